"""The follower as a process over real DDS: it follows, and it stops whenever it should."""

from __future__ import annotations

import math

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from follower_rig import BEST_EFFORT, Around, fly, moves
from geometry_msgs.msg import PointStamped, Twist, TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_tools import finish, interrupt, start_node, wait_until
from std_srvs.srv import SetBool

from fcn_follow.geometry import ZERO_COMMAND


def test_follows_then_stops_on_ctrl_c(around, follower):
    process = follower()
    fly(around)
    around.commands.clear()
    assert wait_until(lambda: len(around.commands) > 40, around.show_hero)
    command = around.commands[-1]
    assert command.header.frame_id == "base_link"
    stamps = [rclpy.time.Time.from_msg(each.header.stamp).nanoseconds for each in around.commands]
    assert stamps == sorted(stamps)
    assert 0 <= around.node.get_clock().now().nanoseconds - stamps[-1] < 1e9, "commands are stamped now"
    assert command.twist.linear.x > 0.0, "the hero is 8 m away, 5 m are wanted"
    assert command.twist.angular.z > 0.0, "the hero is on the left"
    output = interrupt(process)
    around.spin_for(0.3)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert not moves(around.commands[-1])


def test_no_frames_and_disabling_are_zero(around, follower):
    follower("-p", "timeouts.camera_s:=0.8")
    fly(around)
    assert wait_until(lambda: around.state() == "holding", around.spin, 10.0), around.states
    around.commands.clear()
    around.spin_for(0.3)
    assert around.commands and not any(map(moves, around.commands)), "zero commands are sent while holding"

    fly(around)
    assert around.call(SetBool, "follower/enable", SetBool.Request(data=False)).success
    assert wait_until(lambda: around.state() == "idle", around.show_hero)
    around.spin_for(0.1)
    around.commands.clear()
    assert wait_until(lambda: len(around.commands) > 20, around.show_hero)
    assert not any(map(moves, around.commands))
    assert around.call(SetBool, "follower/enable", SetBool.Request(data=True)).success
    fly(around)


def test_nan_old_and_foreign_positions_move_nothing(around, follower):
    follower("-p", "camera_frame:=camera_optical_frame")

    def show_bad():
        kinds = [{"x": math.nan}, {"z": math.inf}, {"age_s": 5.0}, {"age_s": -5.0}, {"frame_id": "wing"}, {"z": -3.0}]
        around.show_hero(**kinds[len(around.stamps_sent) % len(kinds)])

    assert wait_until(lambda: len(around.commands) > 100, show_bad)
    assert not any(map(moves, around.commands))
    assert around.state() == "holding"


def test_two_publishers_and_wrong_odom_hold(around, follower):
    process = follower()
    fly(around)
    second = around.node.create_publisher(PointStamped, "hero/position", 1)
    assert wait_until(lambda: around.state() == "holding" and not moves(around.commands[-1]), around.show_hero)
    assert "2 publishers on /hero/position" in around.states[-1][1]
    around.node.destroy_publisher(second)
    fly(around)
    second = around.node.create_publisher(TwistStamped, "cmd_vel", 1)
    assert wait_until(lambda: around.state() == "holding" and not moves(around.commands[-1]), around.show_hero)
    assert "2 publishers on /cmd_vel" in around.states[-1][1]
    around.node.destroy_publisher(second)
    fly(around)

    assert wait_until(lambda: around.state() == "holding", lambda: around.show_odom("map"))
    assert "frame 'map'" in around.states[-1][1]
    fly(around, lambda: around.show_odom("drone/odom"))
    assert wait_until(lambda: around.state() == "holding", around.show_hero), "odom has stopped"
    assert "odometry is stale" in around.states[-1][1], around.states
    output = interrupt(process)
    assert output.count("frame 'map'") <= 2, "said when it begins and when it ends"


def test_live_parameters_are_all_or_nothing(around, follower):
    follower()
    fly(around)

    def set_values(**values):
        parameters = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        request = SetParameters.Request(parameters=[each.to_parameter_msg() for each in parameters])
        return around.call(SetParameters, "follower/set_parameters", request).results

    assert set_values(set_points__distance_m=9.0)[0].successful
    assert wait_until(lambda: around.commands[-1].twist.linear.x < -0.1, around.show_hero), "it backs off to 9 m"
    refused = set_values(limits__minimum_distance_m=12.0)[0]
    assert not refused.successful
    assert "below set_points.distance_m" in refused.reason


def test_debug_topic_explains(around, follower):
    follower()
    seen = []
    around.node.create_subscription(DiagnosticArray, "follow/debug", seen.append, 10)
    fly(around)
    assert wait_until(lambda: bool(seen), around.show_hero)
    values = {each.key: each.value for each in seen[-1].status[0].values}
    assert {"state", "wanted_forward_m_s", "command_forward_m_s", "limited_by"} <= set(values)


def test_plain_twist_and_waiting_for_enable(ros, follower):
    around = Around(Twist)
    follower("-p", "cmd_vel.type:=twist", "-p", "start_enabled:=false")
    assert wait_until(lambda: len(around.commands) > 50, around.show_hero)
    assert not any(map(moves, around.commands))
    around.call(SetBool, "follower/enable", SetBool.Request(data=True))
    fly(around)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "limits.speed:=3.0"], "unknown parameter limits.speed"),
        (["-p", "limits.speed_m_s:=300.0"], "0.1 to 20 m/s"),
        (["-p", "limits.minimum_distance_m:=8.0"], "must be below set_points.distance_m"),
        (["-p", "timeouts.coast_s:=0.3"], "timeouts.tracking_s (0.6) must be below timeouts.coast_s"),
        (["-p", "output:=px4"], "px4_msgs"),
        (["--params-file", "typo.yaml"], "unknown parameter limits.sped_m_s; did you mean limits.speed_m_s?"),
    ],
)
def test_impossible_parameters_are_one_line(domain_id, tmp_path, arguments, complaint):
    if "typo.yaml" in arguments:
        path = tmp_path / "typo.yaml"
        path.write_text("/**:\n  ros__parameters:\n    limits:\n      sped_m_s: 3.0\n")
        arguments = ["--params-file", str(path)]
    process = start_node("follower", domain_id, *arguments)
    output = finish(process)
    errors = [line for line in output.splitlines() if line.strip()]
    assert process.returncode == 1
    assert len(errors) == 1, output
    assert complaint in errors[0]


@pytest.mark.parametrize(
    ("output", "topic"), [("ardupilot_dds", "ap/cmd_vel"), ("mavros", "mavros/setpoint_velocity/cmd_vel")]
)
def test_outputs_on_topics(around, follower, output, topic):
    around.node.create_subscription(TwistStamped, topic, around.commands.append, BEST_EFFORT)
    process = follower("-p", f"output:={output}")
    fly(around)
    assert around.commands[-1].header.frame_id == "base_link"
    assert around.commands[-1].twist.angular.z > 0.0
    interrupt(process)
    around.spin_for(0.3)
    assert not moves(around.commands[-1])


def test_east_north_up_needs_odom(around, follower):
    around.node.create_subscription(TwistStamped, "mavros/setpoint_velocity/cmd_vel", around.commands.append, 10)
    follower("-p", "output:=mavros", "-p", "mavros.frame:=map")
    assert wait_until(lambda: len(around.commands) > 60, around.show_hero)
    assert not any(map(moves, around.commands))
    assert around.states[-1] == ("holding", "output mavros in frame map needs odom")

    around.yaw = math.pi / 2
    fly(around, around.show_odom)
    commands = around.commands
    assert wait_until(lambda: moves(commands[-1]) and commands[-1].header.frame_id == "map", around.show_odom)
    assert wait_until(lambda: commands[-1].twist.linear.y > 0.3, around.show_odom), "ahead is north"


def test_a_clock_that_stands_still_is_a_fault(around, follower):
    follower("-p", "use_sim_time:=true")
    assert wait_until(lambda: len(around.commands) > 80, around.show_hero)
    assert not any(map(moves, around.commands))
    assert "clock stands still" in around.states[-1][1]


def test_an_exception_in_the_loop_is_zero(ros, monkeypatch):
    from fcn_follow.nodes.follower import FollowerNode

    node = FollowerNode()
    sent = []
    monkeypatch.setattr(node._output, "send", lambda command, *_: sent.append(command))
    monkeypatch.setattr(node._follower, "step", lambda *_: 1 / 0)
    node._loop()
    node._guarded(lambda: [][1])()
    node.stop()
    node.destroy_node()
    assert len(sent) > 2
    assert set(sent) == {ZERO_COMMAND}
