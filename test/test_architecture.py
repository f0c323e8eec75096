"""The rules of docs/architecture.md, held against every import, those inside functions too."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from draw_house import FLYING_NODES, MODULES, PAGE, ROOT, imports, page, reached, room

TOP = ("classes", "coordinates", "errors", "files", "geometry", "parameters", "share", "shared_parameters", "yaml_text")
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
FLIES = (*TOP, "images", "networks", "inference", *APART)
ON_THE_GROUND = ("lab", "simulation", "gazebo", "runner", "cli")
NOT_IN_THE_AIR = ("matplotlib", "mujoco", "rosbags", "typer", "rich", "h5py", "openvino", "onnx", "onnxruntime")


@pytest.mark.parametrize("module", MODULES)
def test_a_floor_knows_only_those_below_it(module):
    own = room(module)
    for other in imports(module):
        if other.startswith("fcn_follow."):
            assert FLOORS[room(other)] <= FLOORS[own], f"{module} imports {other}"
            assert own == room(other) or not {own, room(other)} <= set(APART), f"{module} imports {other}"
        package = other.split(".")[0]
        assert package != "rclpy" or own == "nodes", f"{module} imports {other}"
        is_message = package.endswith(("_msgs", "_interfaces", "_srvs"))
        assert not is_message or own in ("nodes", "autopilots"), f"{module} imports {other}"


def test_what_flies_needs_nothing_of_what_stays_on_the_ground():
    flies = reached([*FLYING_NODES, *(module for module in MODULES if room(module) in FLIES)])
    assert not [module for module in flies if room(module) in ON_THE_GROUND]


def test_the_picture_of_the_house_is_drawn_from_the_imports():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_executables_know_no_runner():
    assert not [name for name in imports("fcn_follow.nodes.executables") if room(name) == "runner"]


@pytest.mark.parametrize("node", FLYING_NODES)
def test_a_flying_node_loads_only_what_it_flies_with(node):
    program = f"import sys, {node}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(NOT_IN_THE_AIR) & set(loaded.stdout.split())


def test_the_runner_and_the_parameters_of_all_nodes_need_no_pytorch():
    """It takes a second at each start and 200 MB, and only the segmenter uses it."""
    modules = "fcn_follow.cli.run, fcn_follow.runner.follow, fcn_follow.nodes.support.parameter_file"
    program = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_no_test_imports_another():
    for path in (ROOT / "test").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) test_", path.read_text(encoding="utf-8"), re.MULTILINE), path
