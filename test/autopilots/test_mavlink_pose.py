"""The drone's state from MAVLink's messages, against rotation matrices, and the time of late messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mavlink_vehicle import turn
from pymavlink import mavutil

from fcn_follow.autopilots.mavlink_pose import BootClock, MavlinkPose
from fcn_follow.following.plausibility import implausible_vehicle

BOOT_MS, RECEIVED_S = 60_000, 1000.0


def matrix_of(orientation_xyzw) -> np.ndarray:
    vector, w = np.array(orientation_xyzw[:3]), orientation_xyzw[3]
    cross = np.array([[0, -vector[2], vector[1]], [vector[2], 0, -vector[0]], [-vector[1], vector[0], 0]])
    return np.eye(3) + 2.0 * w * cross + 2.0 * cross @ cross


def state_of(attitude=(0.0,) * 6, position=(0.0,) * 6, attitude_age_s=0.0):
    pose, message = MavlinkPose(), mavutil.mavlink.MAVLink_attitude_message
    assert pose.take(message(BOOT_MS - int(1000 * attitude_age_s), *attitude), RECEIVED_S) is None
    return pose.take(mavutil.mavlink.MAVLink_local_position_ned_message(BOOT_MS, *position), RECEIVED_S)


@pytest.mark.parametrize("heading_rad", np.linspace(-3.1, 3.1, 9))
@pytest.mark.parametrize(("roll_rad", "pitch_rad"), [(0.0, 0.0), (0.3, 0.0), (0.0, -0.2), (-0.25, 0.35)])
def test_a_state_is_east_north_up_of_a_body_forward_left_up(heading_rad, roll_rad, pitch_rad):
    """Both frames differ from MAVLink's by a matrix each."""
    to_enu = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    to_flu = np.diag([1.0, -1.0, -1.0])
    ned_from_frd = turn(2, heading_rad) @ turn(1, pitch_rad) @ turn(0, roll_rad)
    state = state_of((roll_rad, pitch_rad, heading_rad, 0.0, 0.0, 0.0), (1.0, 2.0, -3.0, 0.1, 0.2, -0.3))
    assert matrix_of(state.orientation_odom_xyzw) == pytest.approx(to_enu @ ned_from_frd @ to_flu, abs=1e-9)
    assert state.position_odom_m == (2.0, 1.0, 3.0)
    assert state.velocity_odom_m_s == (0.2, 0.1, 0.3)


def test_the_yaw_rate_is_that_of_the_heading_and_turns_the_attitude_on_to_the_position():
    body_rates = 0.0, 0.12, 0.4
    state = state_of((0.3, -0.2, 1.0, *body_rates), attitude_age_s=0.1)
    rate = (0.12 * math.sin(0.3) + 0.4 * math.cos(0.3)) / math.cos(0.2)
    assert state.yaw_rate_rad_s == pytest.approx(-rate)
    to_east = matrix_of(state.orientation_odom_xyzw)[:2, 0]
    assert math.atan2(to_east[1], to_east[0]) == pytest.approx(math.pi / 2 - 1.0 - 0.1 * rate)


def test_a_position_without_a_fresh_attitude_gives_no_state():
    assert state_of(attitude_age_s=1.0) is None
    position = mavutil.mavlink.MAVLink_local_position_ned_message(BOOT_MS, *(0.0,) * 6)
    assert MavlinkPose().take(position, RECEIVED_S) is None


@pytest.mark.parametrize("index", range(12))
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_what_is_no_number_is_refused_as_odometry_is(index, value):
    values = [0.0] * 12
    values[index] = value
    state = state_of(tuple(values[:6]), tuple(values[6:]))
    harmless = index == 3 or (value == 1e30 and index < 5)  # the roll rate is not used, the pitch rate only in a roll
    assert harmless or implausible_vehicle(state)


def test_a_late_message_is_as_old_as_it_is():
    clock = BootClock()
    late_s = [0.0, 0.03, 0.0, 0.4, 2.0, 0.01]
    ages_s = []
    for number, each_s in enumerate(late_s):
        boot_s = 100.0 + 0.1 * number
        received_s = 5000.0 + 0.1 * number + 0.02 + each_s
        ages_s.append(received_s - clock.stamp_s(boot_s, received_s))
    assert ages_s == pytest.approx(late_s, abs=1e-6)


@pytest.mark.parametrize("jump_s", [-3000.0, 3000.0], ids=["set back", "set forward"])
def test_a_reboot_and_a_jump_of_the_nodes_clock_begin_anew(jump_s):
    clock = BootClock()
    for number in range(200):
        clock.stamp_s(100.0 + 0.1 * number, 5000.0 + 0.1 * number)
    assert clock.stamp_s(1.0, 5021.0) == pytest.approx(5021.0)
    assert clock.stamp_s(1.1, 5021.1 + jump_s) == pytest.approx(5021.1 + jump_s)


def test_a_clock_that_drifts_is_followed():
    clock = BootClock()
    for number in range(1000):
        age_s = 5000.0 + 0.1 * number - clock.stamp_s(0.98 * 0.1 * number, 5000.0 + 0.1 * number)
    assert 0.0 <= age_s < 0.25


@pytest.mark.parametrize(("boots", "is_of_two"), [(1, False), (2, False), (20, True)])
def test_a_time_since_boot_that_alternates_is_of_two_autopilots(boots, is_of_two):
    """A reboot, even two, is none."""
    pose = MavlinkPose()
    for number in range(100):
        boot_ms = BOOT_MS + 20 * number - 1_000 * (number * boots // 100)
        pose.take(mavutil.mavlink.MAVLink_attitude_message(max(0, boot_ms), *(0.0,) * 6), RECEIVED_S + 0.02 * number)
    assert pose.is_of_two(RECEIVED_S + 2.0) is is_of_two
    assert not pose.is_of_two(RECEIVED_S + 20.0), "it has ended"
