"""The follower by MAVLink on loopback, against a copter of the tests' own that speaks through pymavlink."""

from __future__ import annotations

import math
import socket
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from follower_rig import LATCHED
from mavlink_vehicle import (
    COPTER_GUIDED,
    COPTER_LOITER,
    PITCH_DOWN_RAD,
    Vehicle,
    free_port,
    mavlink,
    speeds,
    standing,
    walking,
)
from nav_msgs.msg import Odometry
from pymavlink import mavutil
from ros_tools import finish, interrupt, parameter_arguments, start_node, wait_until
from std_srvs.srv import SetBool

from fcn_follow.autopilots.output import MAX_SILENCE_S

ENABLED = ("-p", "start_enabled:=true")
CAMERA = {"camera.stabilised": "false", "camera.pitch_down_rad": PITCH_DOWN_RAD}
QUICK = {"limits.acceleration_m_s2": 4.0, "limits.jerk_m_s3": 30.0, "gains.pursuit_rad_s": 3.0}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def vehicle(ros, port):
    return Vehicle(f"udpout:127.0.0.1:{port}")


def mavlink_on(port: int, **parameters: object) -> list[str]:
    given = {key.replace("__", "."): value for key, value in parameters.items()}
    return parameter_arguments(
        {"output": "mavlink", "mavlink.address": f"udpin:127.0.0.1:{port}", **CAMERA, **QUICK, **given}
    )


def live_for(vehicle: Vehicle, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end_s, vehicle.live, seconds + 10.0)


def is_silent(vehicle: Vehicle, seconds: float = 0.7) -> bool:
    count = len(vehicle.targets)
    live_for(vehicle, seconds)
    return len(vehicle.targets) == count


def watch(vehicle: Vehicle) -> list[tuple[str, str]]:
    """The states of the follower, as they come."""
    states: list[tuple[str, str]] = []
    vehicle.node.create_subscription(KeyValue, "follow/state", lambda m: states.append((m.key, m.value)), LATCHED)
    return states


def walk_off(vehicle: Vehicle, states: list[tuple[str, str]]) -> None:
    """The hero is followed where it stands for three seconds, and then on its walk for four."""
    vehicle.path = standing(6.0, 6.0)
    assert wait_until(lambda: bool(states) and states[-1][0] == "tracking", vehicle.live)
    live_for(vehicle, 3.0)
    vehicle.path = walking(vehicle.time_s, (6.0, 6.0), (6.0, 200.0))
    live_for(vehicle, 4.0)
    assert wait_until(lambda: states[-1][0] == "tracking", vehicle.live)


def test_flies_only_an_armed_autopilot_in_guided(vehicle, port, follower):
    process = follower(*mavlink_on(port))
    states = watch(vehicle)
    vehicle.path, vehicle.mode, vehicle.armed = standing(), COPTER_LOITER, False
    assert wait_until(lambda: bool(states) and "not armed" in states[-1][1], vehicle.live)
    vehicle.armed = True
    assert wait_until(lambda: "in mode LOITER, not in GUIDED" in states[-1][1], vehicle.live)
    live_for(vehicle, 1.0)
    assert not vehicle.targets, "nothing is sent to an autopilot that loiters or is not armed"

    vehicle.mode = COPTER_GUIDED
    assert wait_until(lambda: vehicle.moved() and vehicle.targets[-1].vx > 0.5, vehicle.live)
    target = vehicle.targets[-1]
    assert target.coordinate_frame == mavlink.MAV_FRAME_BODY_NED
    assert target.type_mask == 0b010111000111, "velocity and yaw rate alone"
    assert target.target_system == 1
    assert any(each.yaw_rate < -0.1 for each in vehicle.targets), "the hero is on the left, and NED turns clockwise"

    vehicle.mode = COPTER_LOITER
    assert wait_until(lambda: "in mode LOITER" in states[-1][1], vehicle.live)
    live_for(vehicle, 0.3)
    assert is_silent(vehicle)
    vehicle.mode = COPTER_GUIDED
    assert wait_until(lambda: states[-1][0] == "tracking", vehicle.live)
    assert not is_silent(vehicle)
    output = interrupt(process)
    live_for(vehicle, 0.2)
    assert process.returncode == 0, output
    assert not vehicle.moved()
    assert vehicle.heartbeats
    asked = {(each.command, int(each.param1)) for each in vehicle.commands}
    assert asked == {(mavlink.MAV_CMD_SET_MESSAGE_INTERVAL, number) for number in (30, 32)}, "it never arms"
    assert "Traceback" not in output
    assert "ERROR" not in output.partition("tracking")[0], "a normal start is no error"
    for kind in ("waiting", "fault"):
        assert output.count(f"{kind}: the autopilot is in mode LOITER") == 1, output


def test_a_vehicle_that_was_disarmed_waits_for_a_new_enable_and_one_that_changed_its_mode_does_not(
    vehicle, port, follower
):
    """A pilot kills the motors, carries the drone away and arms it again, while the hero is in sight."""
    process = follower(*mavlink_on(port))
    states = watch(vehicle)
    vehicle.path = standing()
    assert wait_until(vehicle.moved, vehicle.live)
    vehicle.mode = COPTER_LOITER
    assert wait_until(lambda: states[-1][0] == "holding", vehicle.live)
    vehicle.mode = COPTER_GUIDED
    assert wait_until(lambda: states[-1][0] == "tracking", vehicle.live)

    vehicle.armed = False
    assert wait_until(lambda: states[-1][0] == "idle", vehicle.live), states[-3:]
    text = "disabled by disarming; to follow: ros2 service call /follower/enable"
    assert states[-1][1].startswith(text)
    live_for(vehicle, 0.5)
    vehicle.armed = True
    assert is_silent(vehicle, 2.0), "it must not take off by itself"
    assert states[-1][0] == "idle"

    enable = vehicle.node.create_client(SetBool, "follower/enable")
    assert enable.wait_for_service(10.0)
    enable.call_async(SetBool.Request(data=True))
    vehicle.forget_targets()
    assert wait_until(lambda: states[-1][0] == "tracking" and vehicle.moved(), vehicle.live)
    assert text in interrupt(process)


def test_an_autopilot_that_falls_silent_is_a_fault(vehicle, port, follower):
    process = follower(*mavlink_on(port, mavlink__heartbeat_timeout_s=0.5, timeouts__odom_s=5.0))
    vehicle.path = standing()

    def with_many_heartbeats():
        vehicle.heartbeat()
        vehicle.live()

    assert wait_until(vehicle.moved, with_many_heartbeats)
    vehicle.is_cut = True
    live_for(vehicle, 1.0)
    vehicle.is_cut = False
    assert "fault: no heartbeat from the autopilot 1/1" in interrupt(process)


@pytest.mark.parametrize("address", ["tcp:127.0.0.1:1", "/dev/no_such_port"])
def test_an_address_that_cannot_be_opened_is_one_line(domain_id, address):
    process = start_node("follower", domain_id, *ENABLED, "-p", "output:=mavlink", "-p", f"mavlink.address:={address}")
    output = finish(process)
    assert process.returncode == 1
    assert output.count("\n") == 1, output
    assert address in output


def test_the_autopilots_own_pose_is_enough_to_follow_well(vehicle, port, follower):
    """A camera that tilts with the body, a walk with three sharp corners, and a stop."""
    follower(*mavlink_on(port))
    assert wait_until(lambda: vehicle.place_m[2] < -1.0 and bool(vehicle.heartbeats), vehicle.live)
    begin_s = vehicle.time_s + 7.0
    corners = (6.0, 6.0), (6.0, 24.0), (18.0, 24.0), (18.0, 12.0), (28.0, 12.0)
    corner_s, end_s = begin_s + 18.0 / 1.4, begin_s + 52.0 / 1.4
    vehicle.path = walking(begin_s, *corners)
    live_for(vehicle, end_s + 7.0 - vehicle.time_s)

    def rms_m(first_s, last_s):
        errors = [distance_m - 5.0 for t, distance_m in vehicle.distances_m if first_s < t < last_s]
        return float(np.sqrt(np.mean(np.square(errors))))

    straight_m, turns_m = rms_m(begin_s + 3.0, corner_s), rms_m(corner_s, end_s)
    print(f"RMS of the distance: {straight_m:.2f} m straight on, {turns_m:.2f} m with turns")
    assert straight_m < 0.3
    assert turns_m < 0.8
    assert rms_m(end_s + 5.0, math.inf) < 0.3, "it settles after the stop"
    assert float(np.linalg.norm(vehicle.velocity_m_s)) < 0.2
    gaps_s = np.diff(vehicle.target_times_s)
    assert 1.0 / np.mean(gaps_s) < 52.0, "rate_hz is 50"


def test_a_vehicle_without_a_pose_is_followed_by_dead_reckoning(vehicle, port, follower):
    """With the default vehicle.response_s; the hero is then found less well, but the drone does not swing."""
    follower(*mavlink_on(port, camera__stabilised="true"))
    vehicle.sends_poses = False
    vehicle.is_stabilised = True
    begin_s = vehicle.time_s + 14.0
    vehicle.path = walking(begin_s, (6.0, 6.0), (6.0, 20.0), (16.0, 20.0))
    live_for(vehicle, begin_s + 24.0 / 1.4 + 7.0 - vehicle.time_s)
    walk_m, stop_m = vehicle.rms_m(begin_s + 3.0), vehicle.rms_m(begin_s + 24.0 / 1.4 + 5.0)
    print(f"RMS of the distance: {walk_m:.2f} m on the walk, {stop_m:.2f} m after it")
    assert walk_m < 1.0
    assert stop_m < 0.5


def test_the_autopilots_own_take_off_is_not_cancelled_while_the_follower_waits(ros, port, follower):
    vehicle = Vehicle(f"udpout:127.0.0.1:{port}", height_m=0.0)
    follower(*mavlink_on(port, timeouts__coast_s=0.8, timeouts__search_s=1.0))
    states = watch(vehicle)
    assert wait_until(lambda: ("holding", "waiting for the hero") in states, vehicle.live)
    vehicle.take_off(3.0)
    assert wait_until(lambda: vehicle.place_m[2] < -2.8, vehicle.live)
    assert not vehicle.targets
    assert states[-1] == ("holding", "waiting for the hero"), "a climb that nobody commanded is no fault"

    vehicle.path = standing()
    assert wait_until(vehicle.moved, vehicle.live)
    vehicle.path = None
    assert wait_until(lambda: states[-1] == ("holding", "the search has ended"), vehicle.live)
    live_for(vehicle, 0.3)
    last = [any(speeds(each)) for each in vehicle.targets[-8:]]
    assert not any(last), "following ends with some zeros"
    assert is_silent(vehicle)
    vehicle.take_off(6.0)
    assert wait_until(lambda: vehicle.place_m[2] < -5.8, vehicle.live)


def test_only_the_target_counts_on_a_link_with_others(ros, port, follower):
    vehicle = Vehicle(f"udpout:127.0.0.1:{port}")
    vehicle.link.mav.srcSystem = 7
    vehicle.path, vehicle.mode = standing(), COPTER_LOITER
    vehicle.is_cut = True
    process = follower(*mavlink_on(port, mavlink__target_system=7))
    states = watch(vehicle)

    def with_others():
        vehicle.heartbeat(1, 1, COPTER_GUIDED)
        vehicle.heartbeat(7, 154, COPTER_GUIDED, mavlink.MAV_TYPE_GIMBAL)
        vehicle.heartbeat(255, 190, COPTER_GUIDED, mavlink.MAV_TYPE_GCS)
        vehicle.live()

    text = "no heartbeat from the autopilot 7/1; heard: 1/1, 7/154, 255/190"
    assert wait_until(lambda: ("holding", text) in states, with_others)
    vehicle.is_cut = False
    assert wait_until(lambda: "in mode LOITER" in states[-1][1], with_others)
    live_for(vehicle, 0.5)
    assert not vehicle.targets
    vehicle.mode = COPTER_GUIDED
    assert wait_until(vehicle.moved, with_others)
    assert {(each.target_system, each.target_component) for each in vehicle.targets} == {(7, 1)}
    assert "Traceback" not in interrupt(process)


def test_a_vehicle_that_was_disarmed_while_the_link_was_cut_waits_for_a_new_enable(vehicle, port, follower):
    process = follower(*mavlink_on(port))
    states = watch(vehicle)
    vehicle.path = standing()
    assert wait_until(vehicle.moved, vehicle.live)
    vehicle.is_cut = True
    live_for(vehicle, 2.0)
    vehicle.armed, vehicle.is_cut = False, False
    assert wait_until(lambda: states[-1][0] == "idle", vehicle.live), states[-3:]
    live_for(vehicle, 0.5)
    vehicle.armed = True
    assert is_silent(vehicle, 2.0), "it must not take off by itself"
    assert "disabled by disarming; to follow" in interrupt(process)


def test_a_lost_tcp_peer_never_blocks_the_node_and_is_found_again(ros, follower):
    port = free_port(socket.SOCK_STREAM)
    vehicle = Vehicle(f"tcpin:127.0.0.1:{port}")
    process = follower(*mavlink_on(port, mavlink__address=f"tcp:127.0.0.1:{port}"))
    states, diagnostics = watch(vehicle), []
    vehicle.node.create_subscription(DiagnosticArray, "/diagnostics", diagnostics.append, 10)
    vehicle.path = standing()
    assert wait_until(vehicle.moved, vehicle.live)

    vehicle.lose_link()
    assert wait_until(lambda: states[-1][0] == "holding", vehicle.live)
    diagnostics.clear()
    assert wait_until(lambda: len(diagnostics) > 4, vehicle.live)
    rates = [int(value.value) for each in diagnostics for value in each.status[0].values if value.key == "commands_hz"]
    assert min(rates) > 30, "the follower steps on while the connection is lost"
    assert any("the MAVLink connection is lost" in text for _, text in states)
    live_for(vehicle, MAX_SILENCE_S)
    vehicle.open_link(f"tcpin:127.0.0.1:{port}")
    assert wait_until(lambda: states[-1][0] == "idle", vehicle.live), states[-3:]
    assert "may have been disarmed and armed; to follow: ros2 service call /follower/enable" in states[-1][1]
    assert is_silent(vehicle, 2.0), "it must not take off by itself"
    enable = vehicle.node.create_client(SetBool, "follower/enable")
    assert enable.wait_for_service(10.0)
    enable.call_async(SetBool.Request(data=True))
    count = len(vehicle.targets)
    assert wait_until(lambda: states[-1][0] == "tracking" and len(vehicle.targets) > count + 20, vehicle.live)

    vehicle.lose_link()
    live_for(vehicle, 0.5)
    began_s = time.monotonic()
    output = interrupt(process)
    print(f"ended {time.monotonic() - began_s:.1f} s after SIGINT")
    assert process.returncode == 0
    assert "Traceback" not in output and "EOF" not in output


@pytest.mark.parametrize("how", ["the link is cut", "the mode is left", "the follower is killed"])
def test_resuming_is_a_fresh_engagement_with_its_ramp(vehicle, port, follower, how):
    process = follower(*mavlink_on(port))
    states = watch(vehicle)
    walk_off(vehicle, states)
    if how == "the link is cut":
        vehicle.is_cut = True
        live_for(vehicle, 2.0)
        vehicle.forget_targets()
        vehicle.is_cut = False
    elif how == "the mode is left":
        vehicle.mode = COPTER_LOITER
        live_for(vehicle, 2.0)
        vehicle.forget_targets()
        vehicle.mode = COPTER_GUIDED
    else:
        process.kill()
        process.communicate()
        live_for(vehicle, 2.0)
        vehicle.forget_targets()
        follower(*mavlink_on(port))
    assert wait_until(
        lambda: bool(vehicle.targets) and vehicle.target_times_s[-1] - first_s(vehicle) > 3.0, vehicle.live
    )
    speeds_m_s = [math.hypot(each.vx, each.vy) for each in vehicle.targets]
    times_s = np.array(vehicle.target_times_s) - first_s(vehicle)
    for t, speed_m_s in zip(times_s, speeds_m_s, strict=True):
        assert speed_m_s <= 0.4 + 4.0 * max(0.0, t), f"{speed_m_s:.2f} m/s after {t:.2f} s"
    assert max(speeds_m_s) > 1.0
    assert max(speed for t, speed in zip(times_s, speeds_m_s, strict=True) if t < 0.5) < 1.5
    live_for(vehicle, 6.0)
    assert abs(vehicle.distance_m - 5.0) < 0.5


def test_the_zeros_at_the_end_wait_until_a_cut_link_returns(vehicle, port, follower):
    """The hero is gone when it does, so that no new command replaces the last one from before."""
    follower(*mavlink_on(port))
    states = watch(vehicle)
    walk_off(vehicle, states)
    vehicle.is_cut, vehicle.path = True, None
    live_for(vehicle, 1.2)
    assert vehicle.moved(), "it flies on with the last command that came"
    vehicle.is_cut = False
    assert wait_until(lambda: not vehicle.moved(), vehicle.live, 1.0)
    live_for(vehicle, 0.5)
    assert is_silent(vehicle)


def test_two_autopilots_with_one_id_are_a_fault(vehicle, port, follower):
    """They stand side by side, so that their poses do not differ."""
    follower(*mavlink_on(port))
    states = watch(vehicle)
    vehicle.path = standing()
    assert wait_until(vehicle.moved, vehicle.live)
    twin = mavutil.mavlink_connection(f"udpout:127.0.0.1:{port}", source_system=1, source_component=1)

    def both_live() -> None:
        vehicle.live()
        boot_ms = int(1000 * vehicle.time_s) + 50_000
        twin.mav.attitude_send(boot_ms, 0.0, 0.0, vehicle.heading_rad, 0.0, 0.0, vehicle.yaw_rate_rad_s)
        twin.mav.local_position_ned_send(boot_ms, *vehicle.place_m, *vehicle.velocity_m_s)

    text = "two autopilots are 1/1; give one of them another system id"
    assert wait_until(lambda: states[-1] == ("holding", text), both_live)
    assert wait_until(lambda: not vehicle.moved(), both_live, 1.0)
    assert wait_until(lambda: states[-1][0] == "tracking", vehicle.live)


def first_s(vehicle: Vehicle) -> float:
    """When the first target that moves the drone came; the last one without any."""
    moving = [t for t, each in zip(vehicle.target_times_s, vehicle.targets, strict=True) if any(speeds(each))]
    return moving[0] if moving else vehicle.target_times_s[-1]


def test_the_pilots_ground_station_and_the_diagnostics_show_what_happens(vehicle, port, follower):
    process = follower(*mavlink_on(port, timeouts__coast_s=0.8, timeouts__search_s=1.6, timeouts__camera_s=9.0))
    diagnostics = []
    vehicle.node.create_subscription(DiagnosticArray, "/diagnostics", diagnostics.append, 10)

    def shown():
        return {each.key: each.value for each in diagnostics[-1].status[0].values} if diagnostics else {}

    assert wait_until(lambda: shown().get("autopilot_mode") == "GUIDED", vehicle.live)
    assert wait_until(lambda: bool(vehicle.heartbeats), vehicle.live)
    assert {each.system_status for each in vehicle.heartbeats} == {mavlink.MAV_STATE_STANDBY}
    assert not vehicle.texts
    vehicle.path = standing()
    assert wait_until(lambda: shown().get("state") == "tracking", vehicle.live)
    values = shown()
    assert (values["autopilot_target"], values["autopilot_armed"], values["autopilot_link"]) == ("1/1", "True", "open")
    assert 0.0 <= float(values["autopilot_heartbeat_age_s"]) < 3.0
    assert 0.0 <= float(values["autopilot_pose_age_s"]) < 0.5
    assert wait_until(lambda: vehicle.heartbeats[-1].system_status == mavlink.MAV_STATE_ACTIVE, vehicle.live)
    vehicle.path = None
    assert wait_until(lambda: len(vehicle.texts) == 3, vehicle.live)
    assert vehicle.texts == [
        "fcn_follow: following",
        "fcn_follow: hero lost, searching",
        "fcn_follow: ended: the search has ended",
    ]
    assert wait_until(lambda: vehicle.heartbeats[-1].system_status == mavlink.MAV_STATE_STANDBY, vehicle.live)
    assert "ERROR" not in interrupt(process)


def test_a_pose_from_the_autopilot_and_from_odom_is_a_fault(vehicle, port, follower):
    follower(*mavlink_on(port))
    states = watch(vehicle)
    vehicle.path = standing()
    assert wait_until(vehicle.moved, vehicle.live)
    odom = vehicle.node.create_publisher(Odometry, "odom", 1)
    text = "the drone's pose comes from the autopilot; stop what publishes /odom, or remap it"
    assert wait_until(lambda: states[-1] == ("holding", text), vehicle.live)
    vehicle.node.destroy_publisher(odom)
    assert wait_until(lambda: states[-1][0] == "tracking", vehicle.live)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"jump_m": 5.0}, "odometry jumped by"),
        ({"speed_m_s": 90.0}, "odometry is refused: a speed above"),
        ({"roll_rad": math.nan}, "odometry is refused: an orientation that is no unit quaternion"),
        ({"late_s": 2.0}, "odometry is refused: stamps"),
        ({"is_stale": True}, "odometry is stale"),
    ],
    ids=str,
)
def test_a_pose_that_no_drone_can_have_is_refused_as_odometry_is(vehicle, port, follower, changes, text):
    follower(*mavlink_on(port))
    states = watch(vehicle)
    vehicle.path = standing()
    assert wait_until(lambda: bool(states) and states[-1][0] == "tracking", vehicle.live)
    vehicle.lies = changes
    assert wait_until(lambda: states[-1][0] == "holding" and text in states[-1][1], vehicle.live), states[-3:]
    live_for(vehicle, 0.4)
    assert not vehicle.moved()
    vehicle.lies = {}
    assert wait_until(lambda: states[-1][0] == "tracking", vehicle.live)
