"""What makes a flight smooth: the steps' swing is no motion, the pursued hero jumps no more than a drone may."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fcn_follow.following.estimator import HeroEstimate, HeroEstimator
from fcn_follow.following.guard import Guard
from fcn_follow.following.limits import Limiter
from fcn_follow.following.monitors import PitchMonitor
from fcn_follow.following.parameters import EstimatorParameters, FollowerParameters, Limits
from fcn_follow.following.pursuit import Pursuit, closing_speed
from fcn_follow.geometry import VelocityCommand

FRAME_S, STEP_S = 0.05, 0.02
CAMERA_M = (0.0, 0.0, 2.4)


def velocities(speed_m_s, swing=0.0, swing_hz=1.9, seconds=12.0):
    """The estimated velocity along the line of sight, of a hero ahead; speed_m_s and swing are of time."""
    estimator, x_m, found = HeroEstimator(EstimatorParameters()), 5.0, []
    for index in range(round(seconds / FRAME_S)):
        now_s = index * FRAME_S
        x_m += speed_m_s(now_s) * FRAME_S
        camera = np.array([x_m - 5.0, 0.0, 2.4])
        scale = 1.0 + swing * math.sin(2 * math.pi * swing_hz * now_s)
        estimator.observe(now_s, tuple(camera + scale * np.array([5.0, 0.0, -1.5])), tuple(camera), 3.0)
        estimate = estimator.predict(now_s)
        found.append(estimate.velocity_odom_m_s[0] if estimate else 0.0)
    return np.array(found)


@pytest.mark.parametrize("swing_hz", [1.7, 1.9, 2.3, 2.7])
def test_the_swing_of_the_steps_is_no_velocity(swing_hz):
    swinging = velocities(lambda _: 1.4, swing=0.037, swing_hz=swing_hz)[round(5.0 / FRAME_S) :]
    assert swinging.mean() == pytest.approx(1.4, abs=0.1)
    assert swinging.std() < 0.1, "the measured position swings with 1.4 to 2.2 m/s"


@pytest.mark.parametrize(("before_m_s", "after_m_s"), [(0.0, 1.4), (1.4, 0.0), (1.4, -1.4), (1.4, 3.5)])
def test_a_start_a_stop_and_a_turn_are_noticed_within_half_a_second(before_m_s, after_m_s):
    found = velocities(lambda now_s: before_m_s if now_s < 8.0 else after_m_s, swing=0.02)
    half_way = (before_m_s + after_m_s) / 2
    later = found[round(8.5 / FRAME_S) :]
    assert np.all((later > half_way) == (after_m_s > before_m_s))


def test_who_stands_has_no_velocity():
    assert np.abs(velocities(lambda _: 0.0, swing=0.01)[round(3.0 / FRAME_S) :]).max() < 0.1


def hero(x_m, speed_m_s):
    return HeroEstimate(0.0, (x_m, 0.0, 0.9), (speed_m_s, 0.0, 0.0), 0.1)


def test_the_pursued_hero_keeps_the_limits_where_the_hero_does_not_and_arrives():
    pursuit, limits, speeds, x_m = Pursuit(hero(0.0, 0.0)), Limits(), [], 0.0
    for index in range(500):
        speed_m_s = 1.4 if index < 300 else 0.0
        x_m += speed_m_s * STEP_S
        pursuit.step(hero(x_m, speed_m_s), 2.0, limits, STEP_S)
        speeds.append(pursuit.motion.velocity.x)
        if index == 290:
            assert pursuit.position_m.x == pytest.approx(x_m, abs=0.05), "it does not lag behind a steady walk"
    accelerations = np.diff(speeds) / STEP_S
    assert np.abs(accelerations).max() <= limits.acceleration_m_s2 * 1.001
    assert np.abs(np.diff(accelerations) / STEP_S).max() <= limits.jerk_m_s3 * 1.001
    assert pursuit.position_m.x == pytest.approx(x_m, abs=0.1)
    assert abs(speeds[-1]) < 0.1


def test_a_first_velocity_of_nobody_and_an_estimate_that_jumps_do_not_lead_the_pursuit_away():
    """Somebody walks past the camera: for half a second the estimate flies off at 9 m/s, then it is the hero again."""
    pursuit, limits, away_m = Pursuit(hero(0.0, -9.0)), Limits(), []
    for index in range(200):
        now_s = index * STEP_S
        phantom = now_s < 0.5
        x_m = -9.0 * now_s if phantom else 1.4 * now_s
        pursuit.step(hero(x_m, -9.0 if phantom else 1.4), 2.0, limits, STEP_S)
        away_m.append(abs(pursuit.position_m.x - x_m))
    assert max(away_m[round(0.5 / STEP_S) :]) < 4.0
    assert away_m[-1] < 0.5
    assert pursuit.motion.velocity.x == pytest.approx(1.4, abs=0.3)


def test_no_gain_in_its_range_breaks_the_closing_speed():
    assert closing_speed(1e-160, 1.0, 2.5) == 0.0
    assert closing_speed(1e-9, 1.0, 2.5) == pytest.approx(1e-9)


def test_the_closing_speed_is_a_gain_near_the_end_and_can_stop_far_from_it():
    assert closing_speed(1.0, 0.01, 2.5) == pytest.approx(0.01, rel=0.05)
    assert closing_speed(1.0, 30.0, 2.5) < math.sqrt(2.0 * 2.5 * 30.0)
    assert closing_speed(0.0, 5.0, 2.5) == 0.0


def test_a_hero_who_sprints_away_is_pursued_at_its_speed():
    """From 1.5 to 6 m/s at 3.5 m/s², more than the drone may: the pursued hero falls behind and then catches up."""
    pursuit, x_m = Pursuit(hero(0.0, 1.5)), 0.0
    for index in range(400):
        speed_m_s = min(6.0, 1.5 + 3.5 * index * STEP_S)
        x_m += speed_m_s * STEP_S
        pursuit.step(hero(x_m, speed_m_s), 2.0, Limits(), STEP_S)
    assert pursuit.motion.velocity.x == pytest.approx(6.0, abs=0.1)
    assert abs(pursuit.position_m.x - x_m) < 0.3


def test_an_overruled_motion_in_the_plane_leaves_a_climb_as_it_was():
    limiter, climb = Limiter(), VelocityCommand(up_m_s=1.0)
    for _ in range(100):
        command, _ = limiter.step(VelocityCommand(1.0, 0.0, climb.up_m_s), Limits(), STEP_S)
        limiter.overrule(VelocityCommand(0.0, 0.0, command.up_m_s))
    assert command.up_m_s == pytest.approx(1.0, abs=0.01)


def test_detections_that_jump_do_not_let_the_guard_cut_the_command_at_once():
    """Behind somebody who walks ahead: the allowed speed falls by 0.3 m/s with a detection, and the command eases."""
    guard, passed = Guard(FollowerParameters()), []
    for index in range(400):
        now_s = index * STEP_S
        guard.advance(now_s)
        if index % 5 == 0:
            guard.see_people(now_s, [(0.0, 0.5, 5.0 if index % 50 < 25 else 4.6)])
        passed.append(guard.check(VelocityCommand(forward_m_s=5.0), now_s, STEP_S).command.forward_m_s)
    cuts_m_s = -np.diff(passed[200:])
    assert min(passed[200:]) > 1.0
    assert max(passed[200:]) - min(passed[200:]) > 0.2
    assert cuts_m_s.max() < 0.12, "of 0.3 m/s in all"


@pytest.mark.parametrize(
    ("feet_m", "distance_m", "words"),
    [
        (0.44, 5.0, "0.4 m above the ground of the start: is camera.pitch_down_rad too small by 5 degrees"),
        (-1.3, 15.0, "1.3 m below the ground of the start: is camera.pitch_down_rad too large by 5 degrees"),
        (0.15, 5.0, ""),
        (3.0, 5.0, ""),
        (0.1, 0.43, ""),  # so near, the first estimates can be of anything
    ],
)
def test_a_hero_whose_feet_are_off_the_ground_is_a_doubtful_pitch(feet_m, distance_m, words):
    monitor = PitchMonitor()
    for index in range(60):
        monitor.see(index * STEP_S, feet_m, distance_m)
    assert words in monitor.doubt
    assert bool(monitor.doubt) == bool(words)
    first = monitor.doubt
    for index in range(60, 300):
        monitor.see(index * STEP_S, 3.0, distance_m)
    assert monitor.doubt == first, "a hill on the way is no doubt"
