"""Files are whole or not there, and nobody else can lay hands on them while they are made; caches are private."""

from __future__ import annotations

import os
import stat

import pytest
import torch
from made_weights import lived_in

from fcn_follow import files
from fcn_follow.files import private_folder, write_csv, write_whole, written_aside
from fcn_follow.inference.cache import cache_folder, write_trials
from fcn_follow.inference.engine import EngineSpec, open_engine
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import LoadedWeights, ModelCard, save_weights
from fcn_follow.share import make_cache


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_has_its_name_once_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with written_aside(path) as part:
        part.write_text("new")
        assert not path.exists()
        assert mode(part.parent) == 0o700
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_aside(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [
    lambda path: write_whole(path, "new"),
    lambda path: write_csv(path, ["new"], []),
    lambda path: save_weights(path, build_network("fcn_001"), ModelCard("fcn_001", 40, 56)),
], ids=["text", "table", "weights"])  # fmt: skip
def test_no_link_is_followed(tmp_path, write):
    """A part file of a guessable name could be laid as a link to something precious before it is written."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("result", "result.part", ".result"):
        (tmp_path / name).symlink_to(victim)
    write(tmp_path / "result")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "result").is_symlink()


def test_a_private_folder_is_the_users_alone(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir(mode=0o777)
    assert mode(private_folder(tmp_path / "open")) == 0o700
    assert mode(private_folder(tmp_path / "new")) == 0o700
    monkeypatch.setattr(files.os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        private_folder(tmp_path / "new")


def test_caches_are_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_trials("key", [])
    assert mode(tmp_path / "fcn_follow") == mode(cache_folder()) == 0o700
    assert mode(make_cache("other")) == 0o700


def test_compiled_code_is_kept_in_the_private_cache(tmp_path, monkeypatch):
    """torch.compile loads from there and runs what it finds."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "to be restored")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    weights = LoadedWeights(lived_in(build_network("fcn_001")), ModelCard("fcn_001", 40, 56))
    open_engine(EngineSpec("torch-compiled"), weights)
    assert cache_dir() == str(tmp_path / "fcn_follow" / "torchinductor")
    assert mode(tmp_path / "fcn_follow" / "torchinductor") == 0o700
