"""The floors of docs/architecture.md, held against the imports."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fcn_follow"
FLOORS = {
    **dict.fromkeys(("geometry", "parameters", "errors", "files", "share", "yaml_text"), 0),
    **dict.fromkeys(("networks", "data"), 1),
    **dict.fromkeys(("perception", "following"), 2),
    **dict.fromkeys(("bags", "deployment", "training", "scoring", "simulation", "gazebo"), 3),
    **dict.fromkeys(("nodes", "cli", "__main__", "__init__"), 4),
}
APART = {("perception", "following"), ("following", "perception")}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_floor_knows_only_those_below_it(path):
    own = room(path)
    for module in imports(path):
        assert not (own != "nodes" and module.split(".")[0] in ("rclpy", "sensor_msgs", "geometry_msgs")), module
        if module.startswith("fcn_follow."):
            other = module.split(".")[1]
            assert FLOORS[other] <= FLOORS[own], f"{own} imports {module}"
            assert (own, other) not in APART, f"{own} imports {module}"
