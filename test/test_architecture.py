"""The rules of docs/architecture.md, held against every import, those inside functions too."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from ros_tools import ROOT

PACKAGE = ROOT / "fcn_follow"
TOP = ("classes", "coordinates", "errors", "files", "geometry", "parameters", "share", "yaml_text")
FLOORS = {
    **dict.fromkeys((*TOP, "images"), 0),
    "networks": 1,
    "inference": 2,
    **dict.fromkeys(("perception", "following", "autopilots"), 3),
    "lab": 4,
    "simulation": 5,
    "gazebo": 6,
    "nodes": 7,
    "runner": 8,
    **dict.fromkeys(("cli", "__main__", "__init__"), 9),
}
APART = ("perception", "following", "autopilots")
FLYING_NODES = ("fcn_follow.nodes.segmenter", "fcn_follow.nodes.follower")
FLIES = (*TOP, "images", "networks", "inference", *APART)
ON_THE_GROUND = ("lab", "simulation", "gazebo", "runner", "cli")
NOT_IN_THE_AIR = ("matplotlib", "mujoco", "rosbags", "typer", "rich", "h5py", "openvino", "onnx", "onnxruntime")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str) -> set[str]:
    """What a module imports: modules of this package by their full names, and whatever else."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.module and node.level == 0, f"{module}: a relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@pytest.mark.parametrize("module", MODULES)
def test_a_floor_knows_only_those_below_it(module):
    own = room(module)
    for other in imports(module):
        if other.startswith("fcn_follow."):
            assert FLOORS[room(other)] <= FLOORS[own], f"{module} imports {other}"
            assert own == room(other) or not {own, room(other)} <= set(APART), f"{module} imports {other}"
        package = other.split(".")[0]
        assert package != "rclpy" or own == "nodes", f"{module} imports {other}"
        assert not package.endswith("_msgs") or own in ("nodes", "autopilots"), f"{module} imports {other}"


def test_what_flies_needs_nothing_of_what_stays_on_the_ground():
    reached: set[str] = set()
    waiting = [*FLYING_NODES, *(module for module in MODULES if room(module) in FLIES)]
    while waiting:
        module = waiting.pop()
        if module in MODULES and module not in reached:
            reached.add(module)
            waiting += imports(module)
            assert room(module) not in ON_THE_GROUND, f"{module} flies"
    assert "fcn_follow.nodes.support.parameters" in reached


def test_the_executables_know_no_runner():
    assert not [name for name in imports("fcn_follow.nodes.executables") if room(name) == "runner"]


@pytest.mark.parametrize("node", FLYING_NODES)
def test_a_flying_node_loads_only_what_it_flies_with(node):
    program = f"import sys, {node}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(NOT_IN_THE_AIR) & set(loaded.stdout.split())
