"""The nodes by their source and as executables, before ROS comes in."""

import ast
from pathlib import Path

import pytest
from rclpy.lifecycle import LifecycleNode
from ros_tools import ROOT

from fcn_follow.nodes import executables
from fcn_follow.nodes.executables import FLEET, NODES


@pytest.mark.parametrize("path", sorted((ROOT / "fcn_follow" / "nodes").rglob("*.py")), ids=lambda path: path.stem)
def test_no_attribute_of_rclpy_s_node_is_overwritten(ros, path: Path):
    """Else its parameter services break without a word."""
    taken = set(vars(LifecycleNode("bare")))
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.ClassDef) and any(
            getattr(base, "id", "") in ("Node", "ParameterNode", "ManagedNode") for base in each.bases
        ):
            own = {
                target.attr
                for target in ast.walk(each)
                if isinstance(target, ast.Attribute)
                and isinstance(target.ctx, ast.Store)
                and getattr(target.value, "id", "") == "self"
            }
            assert not own & taken


@pytest.mark.parametrize("name", [*NODES, *FLEET])
def test_every_executable_explains_itself_and_its_parameters(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        getattr(executables, name)()
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: ros2 run fcn_follow {name} ")
    own = {"recorder": "out", "scorer": "report", "follower": "limits.speed_m_s", "player": "source"}
    assert f"\n  {own.get(name, 'camera.pitch_down_rad')} (" in text
