"""Each output on a host of the test: topics, quality of service and messages, without rclpy."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from builtin_interfaces.msg import Time

from fcn_follow.autopilots.output import OUTPUTS, Quality, make_output, output_topic
from fcn_follow.autopilots.parameters import CmdVelParameters, MavrosParameters, OutputParameters
from fcn_follow.errors import UserError
from fcn_follow.geometry import VelocityCommand

COMMAND, STAMP = VelocityCommand(1.0, 2.0, 3.0, 0.5), Time(sec=7)


class FakeHost:
    def __init__(self):
        self.topics, self.sent, self.timers = {}, [], []

    def publisher(self, message_type, topic, quality):
        self.topics[topic] = (message_type.__name__, quality)
        return lambda message: self.sent.append((topic, message))

    def every(self, period_s, callback):
        self.timers.append((period_s, callback))
        return self.timers.clear

    def now_ns(self):
        return 5_000_999

    def log(self, text):
        raise AssertionError(text)


@pytest.fixture
def px4_msgs(monkeypatch):
    """The package that PX4's users build themselves."""
    package, messages = ModuleType("px4_msgs"), ModuleType("px4_msgs.msg")
    messages.OffboardControlMode = type("OffboardControlMode", (SimpleNamespace,), {})
    messages.TrajectorySetpoint = type("TrajectorySetpoint", (SimpleNamespace,), {})
    monkeypatch.setitem(sys.modules, "px4_msgs", package)
    monkeypatch.setitem(sys.modules, "px4_msgs.msg", messages)


@pytest.mark.parametrize(
    ("parameters", "kind", "quality"),
    [
        (OutputParameters("cmd_vel"), "TwistStamped", Quality()),
        (OutputParameters("cmd_vel", CmdVelParameters("twist")), "Twist", Quality()),
        (OutputParameters("mavros"), "TwistStamped", Quality()),
        (OutputParameters("ardupilot_dds"), "TwistStamped", Quality(reliable=False)),
    ],
)
def test_a_command_is_a_twist_of_the_body_on_the_outputs_topic(parameters, kind, quality):
    host = FakeHost()
    output = make_output(host, parameters)
    output.send(COMMAND, STAMP, None)
    assert host.topics == {output_topic(parameters): (kind, quality)}
    ((topic, message),) = host.sent
    assert topic == output_topic(parameters)
    twist = message if kind == "Twist" else message.twist
    assert (twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.z) == (1.0, 2.0, 3.0, 0.5)
    assert kind == "Twist" or (message.header.stamp, message.header.frame_id) == (STAMP, "base_link")
    assert output.fault(None) == ""


def test_mavros_in_the_map_needs_odometry_and_turns_by_it():
    host = FakeHost()
    output = make_output(host, OutputParameters("mavros", mavros=MavrosParameters(frame="map")))
    assert output.fault(None) == "output mavros in frame map needs odom"
    output.send(COMMAND, STAMP, None)
    output.send(COMMAND, STAMP, 1.5707963267948966)
    (_, without), (_, turned) = host.sent
    assert (without.twist.linear.x, without.twist.linear.y, without.twist.linear.z) == (0.0, 0.0, 0.0)
    assert turned.header.frame_id == "map"
    assert (turned.twist.linear.x, turned.twist.linear.y) == pytest.approx((-2.0, 1.0))


def test_px4_receives_setpoints_and_a_life_sign_until_the_output_is_closed(px4_msgs):
    host = FakeHost()
    output = make_output(host, OutputParameters("px4"))
    quality = Quality(reliable=False, transient_local=True)
    assert host.topics == {
        "fmu/in/offboard_control_mode": ("OffboardControlMode", quality),
        "fmu/in/trajectory_setpoint": ("TrajectorySetpoint", quality),
    }
    assert output.fault(None) == "output px4 needs odom" and output.fault(0.0) == ""
    output.send(COMMAND, STAMP, 0.0)
    ((period_s, life_sign),) = host.timers
    life_sign()
    (_, setpoint), (_, mode) = host.sent
    assert setpoint.velocity == [2.0, 1.0, -3.0] and setpoint.yawspeed == -0.5
    assert (setpoint.timestamp, mode.timestamp, period_s) == (5000, 5000, 0.1)
    assert mode.velocity and not (mode.position or mode.acceleration or mode.attitude or mode.body_rate)
    output.close()
    assert not host.timers


def test_px4_without_its_package_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "px4_msgs", None)
    with pytest.raises(UserError, match="needs the ROS package px4_msgs"):
        make_output(FakeHost(), OutputParameters("px4"))


def test_every_output_is_one_that_the_parameter_allows():
    field = OutputParameters.__dataclass_fields__["output"]
    assert set(OUTPUTS) == set(field.metadata["parameter"].choices)
