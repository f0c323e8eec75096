"""Declaring a parameter dataclass on a real node, and what a person sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.parameters import ParameterNode
from fcn_follow.parameters import fixed_parameter, parameter
from fcn_follow.shared_parameters import CameraParameters


@dataclass(frozen=True)
class Limits:
    speed_m_s: float = parameter(2.0, "How fast", unit="m/s", minimum=0.0, maximum=10.0)


@dataclass(frozen=True)
class Example:
    mode: str = parameter("near", "Which one", choices=("near", "far"))
    count: int = fixed_parameter(3, "How many", minimum=1)
    limits: Limits = field(default_factory=Limits)


def make(**overrides: object) -> ParameterNode:
    given = [Parameter(name.replace("__", "."), value=value) for name, value in overrides.items()]
    return ParameterNode("example", parameter_overrides=given)


def test_defaults_and_overrides_reach_the_dataclass(ros):
    assert make().declare(Example()) == Example()
    node = make(mode="far", limits__speed_m_s=4)  # a whole number is fine where a float is meant, as in YAML
    parameters = node.declare(Example())
    assert parameters == Example(mode="far", limits=Limits(4.0))
    assert node.get_parameter("limits.speed_m_s").value == 4.0


def test_descriptors_tell_unit_and_range(ros):
    node = make()
    node.declare(Example())
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
        ({"limits__speed_m_s": 11.0}, "limits.speed_m_s: 11.0 is not allowed; it must be 0 to 10 m/s"),
        ({"mode": "middle"}, "mode: 'middle' is not allowed; it must be one of near, far"),
        ({"count": "many"}, "count: 'many' is not allowed; it must be a whole number"),
    ],
)
def test_wrong_overrides_are_refused(ros, overrides, expected):
    with pytest.raises(UserError, match=expected.replace("?", r"\?")):
        make(**overrides).declare(Example())


def test_live_changes_are_all_or_nothing(ros):
    seen: list[Example] = []
    node = make()
    node.declare(Example(), on_change=seen.append)
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


def test_a_whole_number_is_taken_where_a_number_is_wanted_and_nothing_else_is(ros):
    """`ros2 param set /follower limits.speed_m_s 4` sends a whole number."""
    seen: list[Example] = []
    node = make()
    node.declare(Example(), on_change=seen.append)
    assert node.set_parameters_atomically([Parameter("limits.speed_m_s", value=4)]).successful
    assert (seen[-1].limits.speed_m_s, node.get_parameter("limits.speed_m_s").value) == (4.0, 4.0)
    assert type(node.get_parameter("limits.speed_m_s").value) is float
    for value, reason in ((11, "out of range"), (True, "BOOL"), ("fast", "STRING")):
        result = node.set_parameters_atomically([Parameter("limits.speed_m_s", value=value)])
        assert not result.successful
        assert reason in result.reason, result.reason
    assert len(seen) == 1


def test_a_parameter_of_another_node_is_told_apart_from_a_misspelt_one(ros):
    """A file's section /** may hold what one node alone has."""
    for name, expected in (
        (
            "limits.acceleration_m_s2",
            "unknown parameter limits.acceleration_m_s2: it is one of follower, not of example; give it to follower",
        ),
        (
            "weights",
            "weights: it is one of segmenter, not of example; .* in the section /\\*\\*/segmenter, not /\\*\\*",
        ),
        ("wieghts", "unknown parameter wieghts; known are"),
    ):
        with pytest.raises(UserError, match=expected):
            make(**{name: 1.0}).declare(Example())


def test_without_a_callback_nothing_changes(ros):
    node = make()
    node.declare(Example())
    assert not node.set_parameters_atomically([Parameter("mode", value="far")]).successful


@dataclass(frozen=True)
class WithCamera:
    camera: CameraParameters = field(default_factory=CameraParameters)
    rate_hz: float = parameter(1.0, "How often", unit="Hz")


def test_what_other_nodes_share_is_ignored_and_nothing_else(ros):
    node = make(camera__pitch_down_rad=0.2, hero__height_m=1.6, mode="far")
    assert node.declare(Example()) == Example(mode="far")
    assert not node.has_parameter("camera.pitch_down_rad")
    assert make(camera__pitch_down_rad=0.2).declare(WithCamera()).camera.pitch_down_rad == 0.2
    for unknown in ("camera__pitch", "hero__width_m", "camera__keep_rad"):
        with pytest.raises(UserError, match=f"unknown parameter {unknown.replace('__', '.')}"):
            make(**{unknown: 0.2}).declare(Example())


def test_a_parameter_without_a_value_is_refused(ros):
    with pytest.raises(UserError, match=r"a parameter of example has no value \(null or an empty list\)"):
        make(count=None)


FILE = """
/**:
  ros__parameters:
    camera: {pitch_down_rad: 0.1, x_m: 0.5}
    use_sim_time: true
/**/example:
  ros__parameters:
    camera: {x_m: 0.7}
    rate_hz: 5
"""


@pytest.mark.parametrize("namespace", ["", "/drone1", "/fleet/drone1"])
def test_a_parameter_file_sets_all_nodes_and_one_node(domain_id, tmp_path, namespace):
    (tmp_path / "mine.yaml").write_text(FILE)
    arguments = ["--ros-args", "--params-file", str(tmp_path / "mine.yaml"), "-p", "camera.y_m:=0.9"]
    rclpy.init(args=arguments, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = ParameterNode("example", namespace=namespace)
        declared = node.declare(WithCamera())
        assert declared == WithCamera(CameraParameters(0.1, True, 0.7, 0.9), 5.0)
        assert node.get_parameter("use_sim_time").value is True
        assert ParameterNode("other", namespace=namespace).declare(Example()) == Example()
    finally:
        rclpy.try_shutdown()
