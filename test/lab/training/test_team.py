"""Processes that something else than torchrun has started, and two that refuse together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import torch
from ros_tools import ROOT

from fcn_follow.errors import UserError
from fcn_follow.lab.training.team import join_team


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc' and no number"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "torchrun has not started this process"),
    ],
)
def test_another_starter_is_refused_and_does_not_train_the_same_twice(monkeypatch, variables, reason):
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=reason):
        join_team(torch.device("cpu"))


@pytest.mark.parametrize("variables", [{}, {"WORLD_SIZE": "1"}, {"TORCHELASTIC_RUN_ID": "x"}])
def test_one_process_trains_alone(monkeypatch, variables):
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert join_team(torch.device("cpu")).size == 1


def test_where_the_first_machine_has_the_weights_already_all_end_with_its_message(tmp_path):
    """Two folders are the disks of two machines; before, the second process waited for the first one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fcn_follow", "train", "--data", "frames", "--out", "w.safetensors"]
    for rank in ("0", "1"):
        (tmp_path / rank).mkdir()
    (tmp_path / "0" / "w.safetensors").write_bytes(b"the work of a night")
    members = []
    for rank in ("0", "1"):
        rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "x"}
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "PYTHONPATH": str(ROOT)}
        environment = {**os.environ, **rendezvous, **place}
        members.append(
            subprocess.Popen(
                [*command, "--device", "cpu"], cwd=tmp_path / rank, env=environment, stderr=subprocess.PIPE, text=True
            )
        )
    for member in members:
        _, said = member.communicate(timeout=120)
        assert member.returncode == 1
        assert "fcn-follow: w.safetensors: is there already; move it away or choose another name" in said
        assert "Traceback" not in said
