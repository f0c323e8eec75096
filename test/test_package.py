"""The package's metadata: package.xml, setup.py, pyproject.toml and requirements.txt say the same."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from command_line import invoke
from ros_tools import ROOT

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml", "foxglove": "foxglove-sdk"}
"""Of the modules that are not called as their distribution."""
BROUGHT_ALONG = {"lz4", "backports", "google"}
"""Modules that rosbags (the first two) and onnx install."""
ELSEWHERE = {"px4_msgs", "tf2_ros", "tf2_msgs", "tensorrt", "compression"}
"""PX4's own messages, NVIDIA's package, and a module of Python 3.14; each is imported where it is there."""

NOT_INSTALLED = {"ray"}
"""80 MB that only `--on ray` needs: an extra alone, which scripts/setup.sh leaves out."""


def distribution(requirement: str) -> str:
    """The normalised name of what a line of requirements wants."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def declared() -> set[str]:
    extras = PROJECT["optional-dependencies"].values()
    return {distribution(line) for lines in (PROJECT["dependencies"], *extras) for line in lines}


@pytest.mark.parametrize("field", ["name", "version"])
def test_setup_py_tells_colcon_what_package_xml_says(field):
    command = [sys.executable, "setup.py", f"--{field}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == PACKAGE.findtext(field)


def test_the_command_tells_the_version():
    assert invoke("--version") == (f"fcn_follow {PACKAGE.findtext('version')}\n", "")


@pytest.mark.parametrize(
    ("found", "works"), [("0.4.0", False), ("0.9.0", False), ("0.12.3", False), ("0.12.4", True), ("1.0", True)]
)
def test_a_typer_that_is_too_old_is_named_with_the_way_out(found, works, tmp_path):
    """Those of Ubuntu 22.04 and 24.04; they fail at import, or lose the options."""
    (tmp_path / f"typer-{found}.dist-info").mkdir()
    (tmp_path / f"typer-{found}.dist-info" / "METADATA").write_text(f"Name: typer\nVersion: {found}\n")
    if not works:
        (tmp_path / "typer.py").write_text("raise ImportError('too old')")
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "fcn_follow", "--version"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == (0 if works else 1)
    said = f"fcn-follow: typer {found} is too old; in a virtual environment, pip install 'typer>=0.12.4' "
    assert done.stderr == ("" if works else said + "(docs/installing.md)\n")


def test_what_colcon_cannot_read_from_pyproject_stands_in_setup_py():
    """Colcon fails at requires-python in pyproject.toml with Jazzy's setuptools; Humble's does not read it at all."""
    assert {"version", "license", "requires-python", "scripts"} <= set(PROJECT["dynamic"])
    assert PROJECT["name"] == PACKAGE.findtext("name")
    assert "pytest" in PROJECT["optional-dependencies"]["test"]
    assert 'extras_require={"test": ["pytest"]}' in (ROOT / "setup.py").read_text()
    maintainer = PACKAGE.find("maintainer")
    assert PROJECT["maintainers"] == [{"name": maintainer.text, "email": maintainer.get("email")}]


def test_every_dependency_is_pinned():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {distribution(line) for line in lines if "==" in line}
    assert declared() - pinned == NOT_INSTALLED


def test_every_import_is_declared():
    ros = {node.text for node in PACKAGE if node.tag == "exec_depend"}
    known = sys.stdlib_module_names | ros | BROUGHT_ALONG | ELSEWHERE | {"fcn_follow"}
    for path in (ROOT / "fcn_follow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for module in {name.partition(".")[0] for name in names} - known:
                assert DISTRIBUTIONS.get(module, module) in declared(), f"{path}: {module}"


def test_package_xml_has_what_rep_149_demands():
    assert PACKAGE.tag == "package"
    assert PACKAGE.get("format") == "3"
    for tag in ("name", "version", "description"):
        assert len(PACKAGE.findall(tag)) == 1, tag
    assert re.fullmatch(r"[a-z][a-z0-9_]*", PACKAGE.findtext("name"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", PACKAGE.findtext("version"))
    assert PACKAGE.findtext("description").strip()
    assert all(node.text.strip() and "@" in node.get("email") for node in PACKAGE.findall("maintainer"))
    assert PACKAGE.findall("maintainer")
    assert PACKAGE.findall("license")
    depends = [(node.tag, node.text) for node in PACKAGE if node.tag.endswith("depend")]
    assert len(depends) == len(set(depends))
