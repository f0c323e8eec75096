"""The follower as a process over real DDS: it follows, and it stops whenever it should."""

from __future__ import annotations

import math
import os
import sys
import time
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from follower_rig import BEST_EFFORT, LATCHED, FollowerRig, fly, moves
from geometry_msgs.msg import PointStamped, Twist, TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from ros_tools import finish, interrupt, parameter_arguments, start_node, wait_until
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from std_srvs.srv import SetBool
from visualization_msgs.msg import MarkerArray

from fcn_follow.geometry import ZERO_COMMAND
from fcn_follow.nodes.follower import FollowerNode
from fcn_follow.nodes.support.autopilot_host import NodeHost


def test_follows_then_stops_on_ctrl_c(rig, follower):
    process = follower()
    fly(rig)
    assert wait_until(lambda: rig.states[-1] == ("tracking", "hero seen"), rig.show_hero), "after the first turn"
    rig.commands.clear()
    assert wait_until(lambda: len(rig.commands) > 40, rig.show_hero)
    command = rig.commands[-1]
    assert command.header.frame_id == "base_link"
    stamps = [rclpy.time.Time.from_msg(each.header.stamp).nanoseconds for each in rig.commands]
    assert stamps == sorted(stamps)
    assert 0 <= rig.node.get_clock().now().nanoseconds - stamps[-1] < 1e9, "commands are stamped now"
    assert command.twist.linear.x > 0.0, "the hero is 8 m away, 5 m are wanted"
    turned_rad_s = sum(each.twist.angular.z for each in rig.commands) / len(rig.commands)
    assert turned_rad_s > 0.0, "the hero is on the left; the drone may also turn to and fro once more"
    output = interrupt(process)
    rig.spin_for(0.3)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert not moves(rig.commands[-1])


def test_no_frames_and_disabling_are_zero(rig, follower):
    follower("-p", "timeouts.camera_s:=0.8")
    fly(rig)
    assert wait_until(lambda: rig.state() == "holding", rig.spin, 10.0), rig.states
    rig.commands.clear()
    rig.spin_for(0.3)
    assert rig.commands and not any(map(moves, rig.commands)), "zero commands are sent while holding"

    fly(rig)
    assert rig.call(SetBool, "follower/enable", SetBool.Request(data=False)).success
    assert wait_until(lambda: rig.state() == "idle", rig.show_hero)
    rig.spin_for(0.1)
    rig.commands.clear()
    assert wait_until(lambda: len(rig.commands) > 20, rig.show_hero)
    assert not any(map(moves, rig.commands))
    assert rig.call(SetBool, "follower/enable", SetBool.Request(data=True)).success
    fly(rig)


def test_nan_old_and_foreign_positions_move_nothing(rig, follower):
    follower("-p", "camera_frame:=camera_optical_frame")

    def show_bad():
        kinds = [{"x": math.nan}, {"z": math.inf}, {"age_s": 5.0}, {"age_s": -5.0}, {"frame_id": "wing"}, {"z": -3.0}]
        rig.show_hero(**kinds[len(rig.stamps_sent) % len(kinds)])

    assert wait_until(lambda: len(rig.commands) > 100, show_bad)
    assert not any(map(moves, rig.commands))
    assert rig.state() == "holding"


def test_two_publishers_and_wrong_odom_hold(rig, follower):
    process = follower()
    fly(rig)
    second = rig.node.create_publisher(PointStamped, "hero/position", 1)
    assert wait_until(lambda: rig.state() == "holding" and not moves(rig.commands[-1]), rig.show_hero)
    assert "2 publishers on /hero/position" in rig.states[-1][1]
    rig.node.destroy_publisher(second)
    fly(rig)
    second = rig.node.create_publisher(TwistStamped, "cmd_vel", 1)
    assert wait_until(lambda: rig.state() == "holding" and not moves(rig.commands[-1]), rig.show_hero)
    assert "2 publishers on /cmd_vel" in rig.states[-1][1]
    rig.node.destroy_publisher(second)
    fly(rig)

    assert wait_until(lambda: rig.state() == "holding", lambda: rig.show_odom("map"))
    assert "frame 'map'" in rig.states[-1][1]
    fly(rig, lambda: rig.show_odom("drone/odom"))
    assert wait_until(lambda: rig.state() == "holding", rig.show_hero), "odom has stopped"
    assert "odometry is stale" in rig.states[-1][1], rig.states
    output = interrupt(process)
    assert output.count("frame 'map'") <= 2, "said when it begins and when it ends"


def test_live_parameters_are_all_or_nothing(rig, follower):
    follower()
    fly(rig)

    def set_values(**values):
        parameters = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        request = SetParameters.Request(parameters=[each.to_parameter_msg() for each in parameters])
        return rig.call(SetParameters, "follower/set_parameters", request).results

    assert set_values(set_points__distance_m=9.0)[0].successful
    assert wait_until(lambda: rig.commands[-1].twist.linear.x < -0.1, rig.show_hero), "it backs off to 9 m"
    refused = set_values(limits__minimum_distance_m=12.0)[0]
    assert not refused.successful
    assert "below set_points.distance_m" in refused.reason


def test_the_request_follows_a_search_action_that_changes_while_the_drone_holds(rig, follower):
    times = {"timeouts.coast_s": 0.8, "timeouts.search_s": 1.6, "timeouts.camera_s": 9.0, "search.action": "land"}
    follower(*parameter_arguments(times))
    requests = []
    rig.node.create_subscription(String, "follow/request", lambda message: requests.append(message.data), LATCHED)
    fly(rig)
    assert wait_until(lambda: rig.states[-1] == ("holding", "the search has ended"), rig.spin), rig.states
    assert wait_until(lambda: bool(requests) and requests[-1] == "land", rig.spin), requests
    client = rig.node.create_client(SetParameters, "follower/set_parameters")
    assert client.wait_for_service(10.0)
    for action, expected in (("hold", ""), ("return", "return"), ("climb", ""), ("land", "land")):
        change = Parameter("search.action", value=action).to_parameter_msg()
        client.call_async(SetParameters.Request(parameters=[change]))
        assert wait_until(lambda expected=expected: requests[-1] == expected, rig.spin, 10.0), (action, requests)
        assert rig.states[-1] == ("holding", "the search has ended")


def test_heroes_that_are_acted_on_at_once_do_not_raise_the_rate(rig, follower):
    follower()
    diagnostics = []
    rig.node.create_subscription(DiagnosticArray, "/diagnostics", diagnostics.append, 10)
    fly(rig)
    diagnostics.clear()
    assert wait_until(lambda: len(diagnostics) > 4, rig.show_hero)
    rates = [int(value.value) for each in diagnostics for value in each.status[0].values if value.key == "commands_hz"]
    assert max(rates) <= 52, "rate_hz is 50"


def test_debug_topic_explains(rig, follower):
    follower()
    seen = []
    rig.node.create_subscription(DiagnosticArray, "follow/debug", seen.append, 10)
    fly(rig)
    assert wait_until(lambda: bool(seen), rig.show_hero)
    values = {each.key: each.value for each in seen[-1].status[0].values}
    assert {"state", "wanted_forward_m_s", "command_forward_m_s", "limited_by"} <= set(values)


def test_plain_twist_and_waiting_for_enable(ros, follower):
    rig = FollowerRig(Twist)
    follower("-p", "cmd_vel.type:=twist", "-p", "start_enabled:=false")
    assert wait_until(lambda: len(rig.commands) > 50, rig.show_hero)
    assert not any(map(moves, rig.commands))
    rig.call(SetBool, "follower/enable", SetBool.Request(data=True))
    fly(rig)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "limits.speed:=3.0"], "unknown parameter limits.speed"),
        (["-p", "limits.speed_m_s:=300.0"], "0.1 to 20 m/s"),
        (["-p", "limits.minimum_distance_m:=8.0"], "must be below set_points.distance_m"),
        (["-p", "timeouts.coast_s:=0.3"], "timeouts.tracking_s (0.6) must be below timeouts.coast_s"),
        (["-p", "output:=px4"], "needs the ROS package px4_msgs, which is not installed"),
        (["-p", "output:=mavros", "-p", "mavros.node:=a b"], "must not contain characters other than alphanumerics"),
        (["-p", "output:=mavros", "-p", "mavros.topic:=x"], "mavros.topic x is not named after MAVROS' node"),
        (["--params-file", "typo.yaml"], "unknown parameter limits.sped_m_s; did you mean limits.speed_m_s?"),
    ],
)
def test_impossible_parameters_are_one_line(domain_id, tmp_path, monkeypatch, arguments, complaint):
    (tmp_path / "px4_msgs.py").write_text("raise ImportError  # also where it is installed")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
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


def mavros(mav_frame):
    """MAVROS' plugin, and a function that lets it answer beside what else is to be done."""
    plugin = rclpy.create_node("setpoint_velocity", namespace="mavros")
    plugin.declare_parameter("mav_frame", mav_frame)
    executor = SingleThreadedExecutor()
    executor.add_node(plugin)

    def beside(show):
        def both():
            show()
            executor.spin_once(timeout_sec=0.0)

        return both

    return plugin, beside


@pytest.mark.parametrize(
    ("output", "topic", "frame"),
    [("ardupilot_dds", "ap/cmd_vel", "map"), ("mavros", "mavros/setpoint_velocity/cmd_vel", "base_link")],
)
def test_outputs_on_topics(rig, follower, output, topic, frame):
    rig.node.create_subscription(TwistStamped, topic, rig.commands.append, BEST_EFFORT)
    process = follower("-p", f"output:={output}")
    if output == "mavros":
        unknown = "mavros/setpoint_velocity has not reported its mav_frame"
        assert wait_until(lambda: rig.state() == "holding" and unknown in rig.states[-1][1], rig.show_hero)
        rig.spin_for(0.5)
        assert not rig.commands
    _, beside = mavros("BODY_NED")
    without_hero = beside(lambda: rig.show_odom(hero=False))
    assert wait_until(lambda: ("holding", "waiting for the hero") in rig.states, without_hero)
    rig.spin_for(0.3)
    assert not rig.commands, "nothing is sent while it waits: a velocity would cancel a take-off"
    fly(rig, beside(rig.show_odom))
    assert rig.commands[-1].header.frame_id == frame
    assert rig.commands[-1].twist.angular.z > 0.0
    interrupt(process)
    rig.spin_for(0.3)
    assert not moves(rig.commands[-1])


@pytest.mark.parametrize(("mav_frame", "fits"), [("LOCAL_NED", False), ("BODY_NED", True)])
def test_mavros_that_flies_other_axes_is_refused(rig, follower, mav_frame, fits):
    plugin, beside = mavros(mav_frame)
    plugin.create_subscription(TwistStamped, "~/cmd_vel", rig.commands.append, 10)
    follower("-p", "output:=mavros")
    show = beside(rig.show_hero)
    if fits:
        fly(rig, show)
        return
    text = "mavros/setpoint_velocity has mav_frame LOCAL_NED, but parameter mavros.frame base_link needs BODY_NED"
    assert wait_until(lambda: rig.state() == "holding" and text in rig.states[-1][1], show), rig.states
    assert rig.call(SetBool, "follower/enable", SetBool.Request(data=True)).success
    rig.commands.clear()
    rig.spin_for(0.5)
    assert not any(map(moves, rig.commands))


def test_east_north_up_needs_odom(rig, follower):
    rig.node.create_subscription(TwistStamped, "mavros/setpoint_velocity/cmd_vel", rig.commands.append, 10)
    process = follower("-p", "output:=mavros", "-p", "mavros.frame:=map", "-p", "vehicle.response_s:=0.1")
    _, beside = mavros("LOCAL_NED")
    waiting = ("holding", "output mavros in frame map needs odom")
    assert wait_until(lambda: bool(rig.states) and rig.states[-1] == waiting, beside(rig.show_hero))
    rig.spin_for(0.5)
    assert not rig.commands

    rig.yaw, rig.hero_odom_m = math.pi / 2, (-2.0, 9.0)
    fly(rig, rig.show_odom)
    commands = rig.commands
    assert wait_until(lambda: moves(commands[-1]) and commands[-1].header.frame_id == "map", rig.show_odom)
    assert wait_until(lambda: commands[-1].twist.linear.y > 0.3, rig.show_odom), "ahead is north"
    states = [state for state, _ in rig.states]
    assert set(states[states.index("tracking") :]) == {"tracking"}
    output = interrupt(process)
    start = output.partition("tracking")[0]
    assert "waiting: output mavros in frame map needs odom" in start and "ERROR" not in start


def test_a_clock_that_stands_still_is_a_fault(rig, follower):
    process = follower("-p", "use_sim_time:=true")
    clock = rig.node.create_publisher(Clock, "/clock", 1)
    assert wait_until(lambda: len(rig.commands) > 80, rig.show_hero)
    assert not any(map(moves, rig.commands))
    assert "clock stands still" in rig.states[-1][1]
    for ticks in range(1, 51):
        clock.publish(Clock(clock=rclpy.time.Time(nanoseconds=ticks * 20_000_000).to_msg()))
        rig.spin_for(0.02)
    assert wait_until(lambda: "clock stands still" not in rig.states[-1][1], rig.spin)
    assert wait_until(lambda: "clock stands still" in rig.states[-1][1], rig.spin)
    output = interrupt(process)
    assert output.count("waiting: the clock stands still") == 1, "before the first /clock it is no error"
    assert output.count("fault: the clock stands still") == 1


def test_a_simulator_that_stalls_as_a_whole_is_no_fault_until_it_has_ended(rig, follower):
    """Gazebo that renders in software stops /clock and all else for a second or two, many times a minute."""
    follower("-p", "use_sim_time:=true")
    clock = rig.node.create_publisher(Clock, "/clock", 1)
    simulated_s, lived_s = 100.0, time.monotonic()

    def live():
        nonlocal simulated_s, lived_s
        simulated_s += min(0.05, time.monotonic() - lived_s)
        lived_s = time.monotonic()
        clock.publish(Clock(clock=rclpy.time.Time(nanoseconds=int(simulated_s * 1e9)).to_msg()))
        rig.show_hero(age_s=rig.node.get_clock().now().nanoseconds * 1e-9 - simulated_s)
        time.sleep(0.01)

    fly(rig, live)
    count = len(rig.states)
    for _ in range(2):
        rig.spin_for(2.0)
        assert wait_until(lambda: moves(rig.commands[-1]), live)
    assert not any("clock" in reason for _, reason in rig.states[count:]), rig.states[count:]
    assert wait_until(lambda: "the clock stands still" in rig.states[-1][1], rig.spin), "it has ended"
    assert wait_until(lambda: not moves(rig.commands[-1]), rig.spin)


def test_an_exception_in_the_loop_is_zero(ros, monkeypatch):
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


def test_a_follower_in_a_namespace_has_its_topics_and_services_there(ros, follower, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "/**:\n  ros__parameters: {camera: {pitch_down_rad: 0.1}}\n"
        "/**/follower:\n  ros__parameters: {set_points: {distance_m: 20.0}}\n"
    )
    rig = FollowerRig(namespace="/fleet/drone1")
    elsewhere = []
    rig.node.create_subscription(TwistStamped, "/cmd_vel", elsewhere.append, 10)
    follower("-r", "__ns:=/fleet/drone1", "--params-file", str(path))
    fly(rig)
    assert wait_until(lambda: rig.commands[-1].twist.linear.x < -0.1, rig.show_hero), "it backs off to 20 m"
    second = rig.node.create_publisher(PointStamped, "hero/position", 1)
    assert wait_until(lambda: rig.state() == "holding", rig.show_hero)
    assert "2 publishers on /fleet/drone1/hero/position" in rig.states[-1][1]
    rig.node.destroy_publisher(second)
    assert rig.call(SetBool, "/fleet/drone1/follower/enable", SetBool.Request(data=False)).success
    assert wait_until(lambda: rig.state() == "idle", rig.show_hero)
    assert not elsewhere


def test_stamps_of_commands_do_not_go_back_with_the_clock(rig, follower):
    """A clock that jitters backwards, and one that is set back by more than timeouts.clock_s."""
    follower("-p", "use_sim_time:=true")
    clock = rig.node.create_publisher(Clock, "/clock", 1)
    begun_s, base_s, ticks = time.monotonic(), 100.0, 0

    def show():
        nonlocal ticks
        ticks += 1
        now_s = base_s + time.monotonic() - begun_s - (0.03 if ticks % 5 == 0 else 0.0)
        clock.publish(Clock(clock=rclpy.time.Time(nanoseconds=int(now_s * 1e9)).to_msg()))
        time.sleep(0.01)
        rig.spin()

    def stamps_s():
        stamps = [command.header.stamp for command in rig.commands]
        return [stamp.sec + 1e-9 * stamp.nanosec for stamp in stamps]

    assert wait_until(lambda: len(rig.commands) > 100 and stamps_s()[-1] > 101.0, show)
    ticking = [stamp_s for stamp_s in stamps_s() if stamp_s > 0.0]
    assert ticking == sorted(ticking)
    base_s = 50.0
    assert wait_until(lambda: 50.0 < stamps_s()[-1] < 90.0, show), "a clock that was set back is followed"
    after = [stamp_s for stamp_s in stamps_s() if 0.0 < stamp_s < 90.0]
    assert after == sorted(after)


def test_px4_gets_setpoints_of_the_follower_once_there_is_odometry(domain_id, monkeypatch, cleanup):
    """Its messages are stubs, which no DDS carries: the node's publishers are recorded instead."""
    messages = ModuleType("px4_msgs.msg")
    messages.OffboardControlMode = type("OffboardControlMode", (SimpleNamespace,), {})
    fields = ("position", "velocity", "acceleration", "jerk", "yaw", "yawspeed")
    messages.TrajectorySetpoint = type("TrajectorySetpoint", (SimpleNamespace,), dict.fromkeys(fields))
    messages.VehicleStatus = type("VehicleStatus", (SimpleNamespace,), {})
    monkeypatch.setitem(sys.modules, "px4_msgs", ModuleType("px4_msgs"))
    monkeypatch.setitem(sys.modules, "px4_msgs.msg", messages)
    sent, heard = {}, {}
    monkeypatch.setattr(NodeHost, "publisher", lambda _, kind, topic, __: sent.setdefault(topic, []).append)
    monkeypatch.setattr(NodeHost, "subscribe", lambda _, kind, topic, __, callback: heard.update({topic: callback}))
    arguments = ["--ros-args", "-p", "output:=px4", "-p", "start_enabled:=true", "-p", "vehicle.response_s:=0.1"]
    rclpy.init(args=arguments, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    cleanup.callback(rclpy.try_shutdown)
    rig, follower = FollowerRig(), FollowerNode()
    rig.node.create_subscription(String, "fmu/in/trajectory_setpoint", lambda _: None, 1)  # the vehicle
    executor = SingleThreadedExecutor()
    executor.add_node(follower)
    cleanup.callback(executor.shutdown)
    setpoints, modes = sent["fmu/in/trajectory_setpoint"], sent["fmu/in/offboard_control_mode"]
    rig.hero_odom_m = (9.0, 4.0)

    def show(odometry):
        heard["fmu/out/vehicle_status"](SimpleNamespace(nav_state=14, arming_state=2))
        if odometry:
            north, east, down = map(float, velocity())
            rig.commands.append(TwistStamped())  # the vehicle flies the setpoint
            rig.commands[-1].header.frame_id = "map"
            linear, angular = rig.commands[-1].twist.linear, rig.commands[-1].twist.angular
            linear.x, linear.y, linear.z, angular.z = east, north, -down, -float(setpoints[-1].yawspeed)
            rig.show_odom()
        else:
            rig.show_hero()
        for _ in range(5):
            executor.spin_once(timeout_sec=0.002)

    def velocity():
        return setpoints[-1].velocity

    assert wait_until(lambda: len(modes) > 10 and rig.state() == "holding", lambda: show(False))
    assert rig.states[-1] == ("holding", "output px4 needs odom")
    assert setpoints, "Offboard needs setpoints all the time"
    assert not any(any(each.velocity) or each.yawspeed for each in setpoints)
    assert wait_until(lambda: rig.state() == "tracking" and velocity()[1] > 0.3, lambda: show(True)), "ahead is east"
    assert wait_until(lambda: rig.yaw > 0.15, lambda: show(True)), "a negative yawspeed turns left, where the hero is"
    count = len(setpoints)
    follower.stop()
    assert len(setpoints) > count
    assert not any(any(each.velocity) or each.yawspeed for each in setpoints[count:])
    rclpy.try_shutdown()


def test_markers_show_hero_drone_paths_and_state_while_somebody_listens(rig, follower):
    follower("-p", "odom_frame:=odom")
    rig.hero_odom_m = (9.0, 2.0)
    arrays = []
    fly(rig, rig.show_odom)
    rig.node.create_subscription(MarkerArray, "follow/markers", arrays.append, 10)
    assert wait_until(lambda: len(arrays) > 25, rig.show_odom)
    by_name = {marker.ns: marker for marker in arrays[-1].markers}
    assert {marker.header.frame_id for marker in by_name.values()} == {"odom"}
    hero, drone = by_name["hero"].pose.position, by_name["drone"].pose.position
    assert (hero.x, hero.y) == pytest.approx(rig.hero_odom_m, abs=0.3)
    assert (drone.x, drone.y, drone.z) == pytest.approx(rig.place, abs=0.5)
    assert by_name["hero"].scale.z == 1.7
    doubt = by_name["two standard deviations of the hero"]
    assert 0.0 < doubt.scale.x < 4.0 and doubt.pose.position.z == pytest.approx(hero.z - 0.85)
    first, last = ({marker.ns: len(marker.points) for marker in array.markers} for array in (arrays[0], arrays[-1]))
    assert 3 <= last["drone path"] == last["hero path"] <= 10, "a point a second, and the newest"
    assert first["drone path"] == 1
    assert by_name["state"].text.startswith("tracking")
    stamps_s = [array.markers[0].header.stamp.sec + 1e-9 * array.markers[0].header.stamp.nanosec for array in arrays]
    assert min(later - earlier for earlier, later in pairwise(stamps_s)) > 0.08


def test_px4_hears_the_follower_over_dds_in_its_own_messages(rig, follower):
    px4 = pytest.importorskip("px4_msgs.msg", reason="px4_msgs is built in a workspace of PX4's users")
    setpoints, modes = [], []

    def take(setpoint):
        setpoints.append(setpoint)
        north, east, down = map(float, setpoint.velocity)
        command = TwistStamped()
        command.header.frame_id = "map"
        command.twist.linear.x, command.twist.linear.y, command.twist.linear.z = east, north, -down
        command.twist.angular.z = -float(setpoint.yawspeed)
        rig.commands.append(command)

    rig.node.create_subscription(px4.TrajectorySetpoint, "fmu/in/trajectory_setpoint", take, BEST_EFFORT)
    rig.node.create_subscription(px4.OffboardControlMode, "fmu/in/offboard_control_mode", modes.append, BEST_EFFORT)
    status = rig.node.create_publisher(px4.VehicleStatus, "fmu/out/vehicle_status", 1)
    rig.hero_odom_m = (9.0, 2.0)
    follower("-p", "output:=px4", "-p", "vehicle.response_s:=0.1")

    def show():
        status.publish(px4.VehicleStatus(nav_state=14, arming_state=2))
        rig.show_odom()
        rig.spin()

    flies = wait_until(lambda: rig.state() == "tracking" and setpoints and setpoints[-1].velocity[1] > 0.3, show)
    assert flies, (rig.states[-5:], setpoints[-1:])
    assert modes[-1].velocity and not modes[-1].position
    assert math.isnan(setpoints[-1].position[0]) and setpoints[-1].yawspeed < 0.0
