"""Where an installed package finds its own files: through the ament index, and beside itself where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ros_tools import ROOT


def installed(prefix: Path) -> Path:
    """An install of the files that the search wants to see."""
    share = prefix / "share" / "fcn_follow"
    (share / "config").mkdir(parents=True)
    (share / "config" / "follow.yaml").touch()
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "fcn_follow").touch()
    return share


def share_of(package: Path, ament_prefix_path: str) -> Path:
    """What a copy of the package at `package` answers, in a process of its own."""
    code = "from fcn_follow.share import share_directory; print(share_directory())"
    environment = {**os.environ, "PYTHONPATH": str(package), "AMENT_PREFIX_PATH": ament_prefix_path}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=package, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def copied(folder: Path) -> Path:
    shutil.copytree(ROOT / "fcn_follow", folder / "fcn_follow", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_ament_index_tells_where_the_files_are(tmp_path):
    pytest.importorskip("ament_index_python", reason="it comes with a ROS client library")
    share = installed(tmp_path / "workspace")
    package = copied(tmp_path / "elsewhere")
    assert share_of(package, f"{tmp_path / 'empty'}:{tmp_path / 'workspace'}") == share


@pytest.mark.parametrize("ament_prefix_path", ["", "/nowhere"])
def test_without_an_index_they_are_beside_the_package(tmp_path, ament_prefix_path):
    share = installed(tmp_path / "prefix")
    package = copied(tmp_path / "prefix" / "lib" / "site-packages")
    assert share_of(package, ament_prefix_path) == share


def test_a_checkout_reads_its_own_files_whatever_the_index_says(tmp_path):
    installed(tmp_path / "workspace")
    assert share_of(ROOT, str(tmp_path / "workspace")) == ROOT
