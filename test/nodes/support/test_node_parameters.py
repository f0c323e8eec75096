"""Declaring a parameter dataclass on a real node, and what a person sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.parameters import declare_parameters
from fcn_follow.parameters import parameter


@dataclass(frozen=True)
class Limits:
    speed_m_s: float = parameter(2.0, "How fast", unit="m/s", minimum=0.0, maximum=10.0)


@dataclass(frozen=True)
class Example:
    mode: str = parameter("near", "Which one", choices=("near", "far"))
    count: int = parameter(3, "How many", minimum=1)
    limits: Limits = field(default_factory=Limits)


def make(**overrides: object) -> Node:
    given = [Parameter(name.replace("__", "."), value=value) for name, value in overrides.items()]
    return Node("example", parameter_overrides=given)


def test_defaults_and_overrides_reach_the_dataclass(ros):
    assert declare_parameters(make(), Example()) == Example()
    node = make(mode="far", limits__speed_m_s=4)  # a whole number is fine where a float is meant, as in YAML
    parameters = declare_parameters(node, Example())
    assert parameters == Example(mode="far", limits=Limits(4.0))
    assert node.get_parameter("limits.speed_m_s").value == 4.0


def test_descriptors_tell_unit_and_range(ros):
    node = make()
    declare_parameters(node, Example())
    speed = node.describe_parameter("limits.speed_m_s")
    assert speed.description == "How fast [m/s]"
    assert (speed.floating_point_range[0].from_value, speed.floating_point_range[0].to_value) == (0.0, 10.0)
    assert speed.read_only
    assert node.describe_parameter("mode").additional_constraints == "one of near, far"
    assert node.describe_parameter("count").integer_range[0].from_value == 1


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"spead": 1.0}, "unknown parameter spead"),
        ({"limits__speed": 1.0}, "did you mean limits.speed_m_s?"),
        ({"limits__speed_m_s": 11.0}, "limits.speed_m_s: 11.0 is not allowed; allowed is 0 to 10 m/s"),
        ({"mode": "middle"}, "mode: 'middle' is not allowed; allowed is one of near, far"),
        ({"count": "many"}, "count: 'many' is not allowed; it must be a whole number"),
    ],
)
def test_wrong_overrides_are_refused(ros, overrides, expected):
    with pytest.raises(UserError, match=expected.replace("?", r"\?")):
        declare_parameters(make(**overrides), Example())


def test_live_changes_are_all_or_nothing(ros):
    seen: list[Example] = []
    node = make()
    declare_parameters(node, Example(), on_change=seen.append, read_only=("count",))
    result = node.set_parameters_atomically(
        [Parameter("limits.speed_m_s", value=5.0), Parameter("mode", value="middle")]
    )
    assert not result.successful
    assert "one of near, far" in result.reason
    assert seen == []
    assert node.get_parameter("limits.speed_m_s").value == 2.0

    assert node.set_parameters_atomically([Parameter("limits.speed_m_s", value=5.0)]).successful
    assert node.set_parameters_atomically([Parameter("mode", value="far")]).successful
    assert seen[-1] == Example(mode="far", limits=Limits(5.0))
    assert not node.set_parameters_atomically([Parameter("count", value=4)]).successful


def test_without_a_callback_nothing_changes(ros):
    node = make()
    declare_parameters(node, Example())
    assert not node.set_parameters_atomically([Parameter("mode", value="far")]).successful
