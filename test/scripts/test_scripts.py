"""The set-up script: what it reports on machines that it does not serve; the test script: what fails it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ros_tools import ROOT

SCRIPTS = sorted(path for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"] if path.is_file())


def set_up(tools: Path, call: str = "set_up") -> subprocess.CompletedProcess[str]:
    """Source scripts/setup.sh with `tools` before everything else in PATH, and call one of its functions."""
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", f"source {ROOT}/scripts/setup.sh; {call}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_bash(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, timeout=60).returncode == 0


def test_an_arm_machine_is_refused_in_one_line(tmp_path):
    tool(tmp_path, "uname", "echo aarch64")
    done = set_up(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: on aarch64 fcn_follow runs on a ROS 2 install")
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_python_is_named_with_its_apt_line(tmp_path):
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"):
        tool(tmp_path, name, "exit 1")
    done = set_up(tmp_path)
    assert done.returncode == 1
    assert "sudo apt-get install python3 python3-venv" in done.stderr


def test_a_missing_system_package_is_named_with_its_apt_line(tmp_path):
    tool(tmp_path, "id", "echo 1000")
    done = set_up(tmp_path, "system_package false libosmesa6")
    assert done.returncode == 1
    assert done.stderr == "error: a system package is missing; please run: sudo apt-get install libosmesa6\n"


def test_root_gets_it_installed(tmp_path):
    tool(tmp_path, "id", "echo 0")
    tool(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/log; touch {tmp_path}/installed')
    done = set_up(tmp_path, f"is_there() {{ [ -e {tmp_path}/installed ]; }}; system_package is_there libosmesa6")
    assert done.returncode == 0, done.stderr
    assert "install -y -qq libosmesa6" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("report", "gpu", "expected"),
    [
        ('{"name": "torch"}', False, ["install -qq torch=="]),
        ('{"name": "nvidia-cublas"}', False, ["install -qq --timeout 20 --retries 1 --index-url"]),
        ('{"name": "nvidia-cublas"}', True, ["install -qq torch=="]),
    ],
)
def test_the_right_build_of_pytorch_is_chosen(tmp_path, report, gpu, expected):
    """Without a GPU never CUDA packages where there is another way; with one, the plain pin."""
    (tmp_path / "bin").mkdir()
    tool(
        tmp_path / "bin",
        "pip",
        f"""case "$*" in *--dry-run*) echo '{report}' > {tmp_path}/torch.json;;
        *) echo "$@" >> {tmp_path}/log;; esac""",
    )
    has_gpu = f"has_nvidia_gpu() {{ {'true' if gpu else 'false'}; }}"
    done = set_up(tmp_path, f"venv={tmp_path}; {has_gpu}; install_torch")
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "log").read_text().splitlines()
    assert len(log) == len(expected)
    assert all(line.startswith(start) for line, start in zip(log, expected, strict=True)), log


def test_without_the_cpu_index_several_gigabytes_are_announced_first(tmp_path):
    (tmp_path / "bin").mkdir()
    tool(
        tmp_path / "bin",
        "pip",
        f"""case "$*" in *--dry-run*) echo '{{"name": "triton"}}' > {tmp_path}/torch.json;;
        *--index-url*) exit 1;; *) echo "$@" >> {tmp_path}/log;; esac""",
    )
    done = set_up(tmp_path, f"venv={tmp_path}; has_nvidia_gpu() {{ false; }}; install_torch")
    assert done.returncode == 0, done.stderr
    assert "SEVERAL GB follow" in done.stderr
    assert (tmp_path / "log").read_text().startswith("install -qq torch==")


def test_the_checkout_beside_which_it_is_started_is_not_taken_for_the_package(tmp_path):
    """As after `git clone ... fcn_follow`: Python looks for modules where it was started first."""
    (tmp_path / "fcn_follow" / "scripts").mkdir(parents=True)
    script = (ROOT / "scripts" / "follow").read_text(encoding="utf-8")
    (tmp_path / "fcn_follow" / "scripts" / "follow").write_text(script)
    bin_folder = Path(sys.executable).parent
    stubs = f"venv={bin_folder.parent}\nset_up() {{ :; }}\nsystem_package() {{ :; }}\n"
    (tmp_path / "fcn_follow" / "scripts" / "setup.sh").write_text(stubs)
    command = ["bash", "fcn_follow/scripts/follow", "--source", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "nowhere: there is no such folder, zip, video or bag" in done.stdout + done.stderr


def test_help_of_the_tests_is_short():
    done = subprocess.run(["bash", ROOT / "scripts" / "test", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2 and "scripts/test -k images" in done.stdout


@pytest.mark.parametrize("fails", ["", "ruff", "mypy", "pytest"])
def test_each_check_fails_the_script_and_every_report_is_shown(tmp_path, fails):
    """A copy of the script beside stand-ins for the tools."""
    for name in ("test", "setup.sh"):
        (tmp_path / "scripts" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "scripts" / name).write_bytes((ROOT / "scripts" / name).read_bytes())
    stubs = "set_up() { :; }\nsystem_package() { :; }\noptional_package() { :; }\n"
    with (tmp_path / "scripts" / "setup.sh").open("a") as file:
        file.write(stubs)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("ruff", "mypy", "python"):
        checks = "pytest" if name == "python" else name
        tool(tmp_path / ".venv" / "bin", name, f'echo "{checks} was here: $*"; exit {int(fails == checks)}')
    command = ["bash", tmp_path / "scripts" / "test", "-k", "images"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0) is bool(fails), done.stdout
    assert "ruff was here: check ." in done.stdout
    if fails != "ruff":
        assert "pytest was here: -m pytest" in done.stdout and "-k images" in done.stdout
        assert "mypy: mypy was here" in done.stdout.splitlines()[-1]
