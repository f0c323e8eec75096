"""Each output on a host of the test: topics, quality of service and messages, without rclpy."""

from __future__ import annotations

import math
import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from builtin_interfaces.msg import Time

from fcn_follow.autopilots import output as output_module
from fcn_follow.autopilots.output import OUTPUTS, Quality, make_output, output_topic
from fcn_follow.autopilots.parameters import CmdVelParameters, MavrosParameters, OutputParameters
from fcn_follow.autopilots.px4 import setpoint_fields
from fcn_follow.errors import UserError
from fcn_follow.geometry import VelocityCommand

SETPOINT_1_14 = ("timestamp", "position", "velocity", "acceleration", "jerk", "yaw", "yawspeed")
SETPOINT_1_13 = (
    *("timestamp", "x", "y", "z", "yaw", "yawspeed", "vx", "vy", "vz"),
    *("acceleration", "jerk", "thrust"),
)
COMMAND, STAMP = VelocityCommand(1.0, 2.0, 3.0, 0.5), Time(sec=7)


class FakeHost:
    def __init__(self):
        self.topics, self.sent, self.timers, self.heard, self.asked = {}, [], [], {}, []
        self.time_ns = 5_000_999

    def publisher(self, message_type, topic, quality):
        self.topics[topic] = (message_type.__name__, quality)
        return lambda message: self.sent.append((topic, message))

    def subscribe(self, message_type, topic, quality, callback):
        self.heard[topic] = (message_type.__name__, quality, callback)

    def question(self, node, parameter, callback):
        return lambda: self.asked.append((node, parameter, callback))

    def every(self, period_s, callback):
        self.timers.append((period_s, callback))
        return self.timers.clear

    def now_ns(self):
        return self.time_ns


@pytest.fixture(params=["stand-in", "installed"])
def px4_msgs(request, monkeypatch):
    """The package that PX4's users build themselves."""
    if request.param == "installed":
        return pytest.importorskip("px4_msgs.msg", reason="px4_msgs is built in a workspace of PX4's users")
    package, messages = ModuleType("px4_msgs"), ModuleType("px4_msgs.msg")
    messages.OffboardControlMode = type("OffboardControlMode", (SimpleNamespace,), {})
    messages.TrajectorySetpoint = type("TrajectorySetpoint", (SimpleNamespace,), dict.fromkeys(SETPOINT_1_14))
    messages.VehicleStatus = type("VehicleStatus", (SimpleNamespace,), {})
    monkeypatch.setitem(sys.modules, "px4_msgs", package)
    monkeypatch.setitem(sys.modules, "px4_msgs.msg", messages)
    return messages


ARMING = {
    "mavros": ("mavros_msgs", "State", "mavros/state", Quality(reliable=False)),
    "ardupilot_dds": ("ardupilot_msgs", "Status", "ap/status", Quality(transient_local=True)),
}


@pytest.fixture(params=ARMING)
def arming(request, monkeypatch):
    """An output that hears of arming by a package of its autopilot's users: its name, and a function that says it."""
    package, name, topic, quality = ARMING[request.param]
    messages = ModuleType(f"{package}.msg")
    setattr(messages, name, type(name, (SimpleNamespace,), {}))
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setitem(sys.modules, f"{package}.msg", messages)

    def say(host, armed, connected=True):
        kind, how, callback = host.heard[topic]
        assert (kind, how) == (name, quality)
        callback(SimpleNamespace(armed=armed, connected=connected))

    return request.param, say


def px4_status(host, nav_state=14, arming_state=2):
    """A message of PX4: 14 is Offboard, 4 Hold; 2 is armed."""
    for _, _, callback in host.heard.values():
        callback(SimpleNamespace(nav_state=nav_state, arming_state=arming_state))


def reported(host, mav_frame):
    """MAVROS, if it is there, answers."""
    for _, ask in host.timers:
        ask()
    for _, _, answer in host.asked:
        answer(mav_frame)


@pytest.mark.parametrize(
    ("parameters", "kind", "quality"),
    [
        (OutputParameters("cmd_vel"), "TwistStamped", Quality()),
        (OutputParameters("cmd_vel", CmdVelParameters("twist")), "Twist", Quality()),
        (OutputParameters("mavros"), "TwistStamped", Quality()),
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
    reported(host, "BODY_NED")
    assert output.fault(None) == ""


def test_a_simulated_drone_gets_zeros_while_it_is_not_flown_and_an_autopilot_nothing():
    for kind in ("cmd_vel", "mavros", "ardupilot_dds"):
        host = FakeHost()
        make_output(host, OutputParameters(kind)).idle(STAMP, 0.0)
        speeds = [(message.twist.linear.x, message.twist.angular.z) for _, message in host.sent]
        assert speeds == ([(0.0, 0.0)] if kind == "cmd_vel" else [])


def test_ardupilot_gets_velocities_in_the_map_and_needs_odometry():
    host = FakeHost()
    output = make_output(host, OutputParameters("ardupilot_dds"))
    assert host.topics == {"ap/cmd_vel": ("TwistStamped", Quality(reliable=False))}
    assert output.fault(None) == "output ardupilot_dds needs odom" and output.fault(0.0) == ""
    output.send(COMMAND, STAMP, None)
    output.send(COMMAND, STAMP, math.pi / 2)
    (_, without), (_, message) = host.sent
    assert (without.twist.linear.x, without.twist.linear.y, without.twist.linear.z) == (0.0, 0.0, 0.0)
    assert (message.header.stamp, message.header.frame_id) == (STAMP, "map")
    assert (message.twist.linear.x, message.twist.linear.y, message.twist.linear.z) == pytest.approx((-2.0, 1.0, 3.0))
    assert message.twist.angular.z == 0.5


@pytest.mark.parametrize(
    ("frame", "mav_frame", "fits"),
    [
        ("base_link", "LOCAL_NED", False),
        ("base_link", "BODY_NED", True),
        ("map", "LOCAL_NED", True),
        ("map", "BODY_NED", False),
    ],
)
def test_mavros_is_asked_for_its_frame_and_a_mismatch_is_refused(frame, mav_frame, fits):
    host = FakeHost()
    output = make_output(host, OutputParameters("mavros", mavros=MavrosParameters(frame=frame)))
    ((_, ask),) = host.timers
    ask()
    ((node, parameter, answer),) = host.asked
    assert (node, parameter) == ("mavros/setpoint_velocity", "mav_frame")
    assert output.fault(0.0).startswith("mavros/setpoint_velocity has not reported its mav_frame")
    answer(mav_frame)
    text = output.fault(0.0)
    assert (text == "") is fits
    assert fits or (mav_frame in text and f"mavros.frame {frame}" in text)
    assert output.status()["mavros_mav_frame"] == mav_frame


@pytest.mark.parametrize(
    ("parameters", "node"),
    [
        (MavrosParameters("uav1/mavros/setpoint_velocity/cmd_vel"), "uav1/mavros/setpoint_velocity"),
        (MavrosParameters("mavros_cmd_vel", "mavros/setpoint_velocity"), "mavros/setpoint_velocity"),
    ],
)
def test_a_mavros_elsewhere_is_asked_and_flown_only_once_it_has_answered(parameters, node):
    host = FakeHost()
    output = make_output(host, OutputParameters("mavros", mavros=parameters))
    ((_, ask),) = host.timers
    for _ in range(100):
        ask()
        assert output.fault(None).startswith(f"{node} has not reported its mav_frame")
    assert {each[:2] for each in host.asked} == {(node, "mav_frame")}
    reported(host, "BODY_NED")
    assert output.fault(None) == ""


def test_a_topic_that_is_not_named_after_the_node_of_mavros_needs_its_name():
    with pytest.raises(
        UserError, match=r"parameter mavros\.node: mavros\.topic mavros_cmd_vel is not named after MAVROS"
    ):
        make_output(FakeHost(), OutputParameters("mavros", mavros=MavrosParameters("mavros_cmd_vel")))


def test_mavros_in_the_map_needs_odometry_and_turns_by_it():
    host = FakeHost()
    output = make_output(host, OutputParameters("mavros", mavros=MavrosParameters(frame="map")))
    reported(host, "LOCAL_NED")
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
    assert set(host.heard) == {"fmu/out/vehicle_status", "fmu/out/vehicle_status_v1"}
    assert {each[:2] for each in host.heard.values()} == {("VehicleStatus", Quality(reliable=False))}
    assert output.fault(None) == "output px4 needs odom"
    assert "no messages on fmu/out/vehicle_status" in output.fault(0.0)
    px4_status(host, arming_state=1)
    assert output.fault(0.0) == "PX4 is not armed"
    px4_status(host, nav_state=4)
    assert output.fault(0.0) == "PX4 is not in mode Offboard"
    output.send(COMMAND, STAMP, 0.0)
    output.idle(STAMP, 0.0)
    assert not host.sent, "PX4 would take a setpoint in any mode"
    px4_status(host)
    assert output.fault(0.0) == ""
    output.send(COMMAND, STAMP, 0.0)
    ((period_s, life_sign),) = host.timers
    life_sign()
    (_, setpoint), (_, mode) = host.sent
    assert list(setpoint.velocity) == [2.0, 1.0, -3.0] and setpoint.yawspeed == -0.5
    assert (setpoint.timestamp, mode.timestamp, period_s) == (5000, 5000, 0.1)
    assert mode.velocity and not (mode.position or mode.acceleration or mode.attitude or mode.body_rate)
    output.idle(STAMP, 0.0)
    assert list(host.sent[-1][1].velocity) == [0.0, 0.0, 0.0], "Offboard needs setpoints all the time"
    host.time_ns += 3_000_000_000
    assert "no messages on" in output.fault(0.0)
    output.close()
    assert not host.timers


def test_px4_tells_once_that_it_was_disarmed_however_soon_it_is_armed_again(px4_msgs):
    host = FakeHost()
    output = make_output(host, OutputParameters("px4"))
    for arming_state in (1, 2, 2):
        px4_status(host, arming_state=arming_state)
        assert not output.take_disarming(), "it was only armed"
    px4_status(host, nav_state=4)
    assert not output.take_disarming(), "another mode"
    for arming_state in (1, 2):
        px4_status(host, arming_state=arming_state)
    assert output.take_disarming() and not output.take_disarming()


def test_mavros_and_ardupilot_tell_once_that_the_vehicle_was_disarmed(arming):
    kind, say = arming
    host = FakeHost()
    output = make_output(host, OutputParameters(kind))
    reported(host, "BODY_NED")
    assert output.fault(0.0) == "" and output.status()["autopilot_armed"] == "unknown"
    say(host, armed=False)
    assert output.fault(0.0) == "the autopilot is not armed" and not output.take_disarming()
    for _ in range(2):
        say(host, armed=True)
        assert output.fault(0.0) == "" and not output.take_disarming(), "it was only armed"
    assert output.status()["autopilot_armed"] == "True"
    for armed in (False, True):
        say(host, armed)
    assert output.take_disarming() and not output.take_disarming()


def test_a_vehicle_that_returns_armed_after_a_silence_may_have_been_disarmed_meanwhile(arming, monkeypatch):
    """While MAVROS or the radio was cut off, somebody carried the drone away and armed it again."""
    kind, say = arming
    now_s = 100.0
    clock = SimpleNamespace(clock_gettime=lambda _: now_s, CLOCK_BOOTTIME=time.CLOCK_BOOTTIME)
    monkeypatch.setattr(output_module, "time", clock)
    host = FakeHost()
    output = make_output(host, OutputParameters(kind))
    reported(host, "BODY_NED")
    say(host, armed=False)
    for silence_s in (60.0, 1.0, 4.9):  # it is armed for the first time; a message or some are lost
        now_s += silence_s
        say(host, armed=True)
        assert output.take_disarming() == ""
    now_s += 7.0
    if kind == "ardupilot_dds":  # it reports changes only, such as one of its mode
        assert output.fault(0.0) == ""
        say(host, armed=True)
        assert output.take_disarming() == ""
        return
    assert output.fault(0.0) == "mavros/state is silent (does MAVROS run?)", "no command before the next report"
    say(host, armed=False, connected=False)
    say(host, armed=True)
    assert output.take_disarming() == "a silence of 7 s, in which the vehicle may have been disarmed and armed"
    assert output.fault(0.0) == ""
    assert output.take_disarming() == ""
    now_s += 60.0
    say(host, armed=False)
    assert output.take_disarming() == "disarming"


@pytest.mark.parametrize("arming", ["mavros"], indirect=True)
def test_a_mavros_without_its_autopilot_knows_of_no_arming(arming):
    kind, say = arming
    host = FakeHost()
    output = make_output(host, OutputParameters(kind))
    reported(host, "BODY_NED")
    say(host, armed=True)
    say(host, armed=False, connected=False)
    assert output.fault(0.0) == "MAVROS has no connection to the autopilot" and not output.take_disarming()
    say(host, armed=True)
    assert output.fault(0.0) == "" and not output.take_disarming()


@pytest.mark.parametrize(("kind", "package"), [(kind, ARMING[kind][0]) for kind in ARMING])
def test_without_the_package_of_its_messages_arming_is_reported_as_unknown(kind, package, monkeypatch):
    for name in (package, f"{package}.msg"):
        monkeypatch.setitem(sys.modules, name, None)
    host = FakeHost()
    output = make_output(host, OutputParameters(kind))
    reported(host, "BODY_NED")
    assert output.fault(0.0) == "" and not host.heard and not output.take_disarming()
    assert output.status()["autopilot_armed"] == f"unknown: {package} is not installed"


def test_a_mavros_elsewhere_reports_its_arming_there(monkeypatch):
    messages = ModuleType("mavros_msgs.msg")
    messages.State = SimpleNamespace
    monkeypatch.setitem(sys.modules, "mavros_msgs", ModuleType("mavros_msgs"))
    monkeypatch.setitem(sys.modules, "mavros_msgs.msg", messages)
    for parameters, topic in (
        (MavrosParameters("uav1/mavros/setpoint_velocity/cmd_vel"), "uav1/mavros/state"),
        (MavrosParameters("cmd_vel", "/mavros/setpoint_velocity"), "/mavros/state"),
        (MavrosParameters("cmd_vel", "setpoint_velocity"), "state"),
    ):
        host = FakeHost()
        make_output(host, OutputParameters("mavros", mavros=parameters))
        assert list(host.heard) == [topic]


def test_px4_flies_the_same_way_at_every_heading():
    """Against rotation matrices: from the body (x forward, y left, z up) to ENU, and from ENU to NED."""
    to_ned = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    body = np.array([COMMAND.forward_m_s, COMMAND.left_m_s, COMMAND.up_m_s])
    for yaw_rad in np.linspace(-math.pi, math.pi, 73):
        sin, cos = np.sin(yaw_rad), np.cos(yaw_rad)
        to_enu = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        fields = setpoint_fields(COMMAND, float(yaw_rad))
        assert fields["velocity"] == pytest.approx(list(to_ned @ to_enu @ body)), f"heading {yaw_rad}"
        assert fields["yawspeed"] == -COMMAND.yaw_rate_rad_s
        for name in ("position", "acceleration", "jerk"):
            assert np.isnan(fields[name]).all() and len(fields[name]) == 3
        assert math.isnan(fields["yaw"])
    north = setpoint_fields(VelocityCommand(1.0), math.pi / 2)["velocity"]
    assert north == pytest.approx([1.0, 0.0, 0.0]), "a drone that looks north flies north"


def test_messages_of_px4_before_1_14_are_refused_by_name(px4_msgs, monkeypatch):
    before = type("TrajectorySetpoint", (SimpleNamespace,), dict.fromkeys(SETPOINT_1_13))
    monkeypatch.setattr(px4_msgs, "TrajectorySetpoint", before)
    with pytest.raises(UserError, match=r"PX4 1\.14 or later; .* has no position, velocity, as in PX4 1\.13"):
        make_output(FakeHost(), OutputParameters("px4"))


def test_px4_without_its_package_is_reported(monkeypatch):
    for name in ("px4_msgs", "px4_msgs.msg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="needs the ROS package px4_msgs"):
        make_output(FakeHost(), OutputParameters("px4"))


def test_every_output_is_one_that_the_parameter_allows():
    field = OutputParameters.__dataclass_fields__["output"]
    assert set(OUTPUTS) == set(field.metadata["parameter"].choices)
