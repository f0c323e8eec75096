"""A node's own attributes must not be those of rclpy's Node: its parameter services break without a word."""

import ast
from pathlib import Path

import pytest
import rclpy
from ros_tools import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "fcn_follow" / "nodes").rglob("*.py")), ids=lambda path: path.stem)
def test_no_attribute_of_rclpy_s_node_is_overwritten(ros, path: Path):
    node = rclpy.create_node("bare")
    taken = set(vars(node))
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.ClassDef) and any(
            getattr(base, "id", "") in ("Node", "ParameterNode") for base in each.bases
        ):
            own = {
                target.attr
                for target in ast.walk(each)
                if isinstance(target, ast.Attribute)
                and isinstance(target.ctx, ast.Store)
                and getattr(target.value, "id", "") == "self"
            }
            assert not own & taken
