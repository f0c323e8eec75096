"""Smoothness of a flight: what the figures say of commands whose acceleration and jerk are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fcn_follow.following.reasons import Limit
from fcn_follow.geometry import VelocityCommand
from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.figures import figures
from fcn_follow.simulation.flight import FlightLog, Moment, follower_parameters
from fcn_follow.simulation.flight_report import write_flight_report
from fcn_follow.simulation.scenarios import find_scenario
from fcn_follow.simulation.town import town_of

STEP_S, WALK_M_S = 0.02, 1.4
SWING_M_S, SWING_RAD_S = 0.1, 2 * math.pi


def swinging(now_s):
    return VelocityCommand(WALK_M_S + SWING_M_S * math.sin(SWING_RAD_S * now_s))


def log_of(
    command=swinging, hero_x_m=lambda now_s: WALK_M_S * now_s, yaw_rad=lambda now_s: 0.0, seconds=20.0, **fields
):
    log = FlightLog(find_scenario("straight"), 0, follower_parameters(CameraSetup()))
    for tick in range(round(seconds / STEP_S)):
        now_s = tick * STEP_S
        drone = ((hero_x_m(now_s) - 5.0, 0.0, 2.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), yaw_rad(now_s))
        hero_m = (hero_x_m(now_s), 0.0, 0.9)
        moment = Moment(now_s, *drone, hero_m, (), command(now_s), "tracking", None, 5.0, stepped_s=now_s, **fields)
        log.moments.append(moment)
    return log


def test_a_swing_of_the_command_has_its_acceleration_jerk_and_speed():
    found = figures(log_of())
    amplitude_m_s2 = SWING_M_S * SWING_RAD_S
    assert found.acceleration_rms_m_s2 == pytest.approx(amplitude_m_s2 / math.sqrt(2), rel=0.01)
    assert found.steady_acceleration_rms_m_s2 == pytest.approx(amplitude_m_s2 / math.sqrt(2), rel=0.01)
    assert found.acceleration_p99_m_s2 == pytest.approx(amplitude_m_s2, rel=0.01)
    assert found.jerk_rms_m_s3 == pytest.approx(amplitude_m_s2 * SWING_RAD_S / math.sqrt(2), rel=0.01)
    assert found.jerk_p99_m_s3 == pytest.approx(amplitude_m_s2 * SWING_RAD_S, rel=0.01)
    assert found.steady_speed_std_m_s == pytest.approx(SWING_M_S / math.sqrt(2), rel=0.01)


def test_commands_over_topics_count_by_their_own_stamps():
    log = log_of(lambda now_s: VelocityCommand())
    log.commands = [(0.03 * index, swinging(0.03 * index)) for index in range(700)]
    assert figures(log).acceleration_rms_m_s2 == pytest.approx(SWING_M_S * SWING_RAD_S / math.sqrt(2), rel=0.02)


def test_a_flight_whose_time_falls_behind_the_follower_s_has_the_same_figures():
    """A machine that is too slow for the simulation stops the flight's time for 0.1 s each second."""
    log = log_of(lambda now_s: VelocityCommand())
    log.moments = [replace(each, stepped_s=each.now_s + 0.1 * math.floor(each.now_s)) for each in log.moments]
    stamps_s = [0.02 * index for index in range(round(log.moments[-1].stepped_s / 0.02))]
    log.commands = [(stamp_s, swinging(stamp_s)) for stamp_s in stamps_s]
    found = figures(log)
    assert found.limit_violations == 0
    assert found.acceleration_rms_m_s2 == pytest.approx(SWING_M_S * SWING_RAD_S / math.sqrt(2), rel=0.03)
    assert found.jerk_p99_m_s3 == pytest.approx(SWING_M_S * SWING_RAD_S**2, rel=0.1)


def test_a_coarse_clock_has_figures_too():
    log = log_of(lambda now_s: VelocityCommand())
    log.moments = [replace(each, stepped_s=math.floor(20.0 * each.now_s) / 20.0) for each in log.moments]
    log.commands = [(0.02 * index, swinging(0.02 * index)) for index in range(1000)]
    assert figures(log).acceleration_rms_m_s2 == pytest.approx(SWING_M_S * SWING_RAD_S / math.sqrt(2), rel=0.05)


def test_a_live_flight_has_no_steady_figures_because_its_limits_are_unknown():
    log = log_of()
    log.commands = [(moment.now_s, moment.command) for moment in log.moments]
    found = figures(log)
    assert math.isnan(found.steady_speed_std_m_s) and math.isnan(found.steady_acceleration_rms_m_s2)


def test_a_drone_that_turns_accelerates_at_a_steady_speed():
    found = figures(log_of(lambda now_s: VelocityCommand(2.0, yaw_rate_rad_s=0.5), yaw_rad=lambda now_s: 0.5 * now_s))
    assert found.acceleration_rms_m_s2 == pytest.approx(2.0 * 0.5, rel=0.01)
    assert found.jerk_rms_m_s3 == pytest.approx(2.0 * 0.5**2, rel=0.01)


def test_the_yaw_acceleration_is_that_of_the_commanded_rate():
    found = figures(log_of(lambda now_s: VelocityCommand(yaw_rate_rad_s=0.2 * math.sin(now_s))))
    assert found.yaw_acceleration_p99_rad_s2 == pytest.approx(0.2, rel=0.02)
    assert found.yaw_acceleration_rms_rad_s2 == pytest.approx(0.2 / math.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    "log",
    [
        log_of(hero_x_m=lambda now_s: 3.0),
        log_of(hero_x_m=lambda now_s: WALK_M_S * now_s + 0.8 * math.cos(now_s)),
        log_of(limited_by=(Limit.PEOPLE_OR_HEIGHT,)),
        log_of(seconds=4.9),
    ],
    ids=["stands", "changes its speed", "somebody is in the way", "short"],
)
def test_only_a_steady_walk_counts_as_one(log):
    found = figures(log)
    assert math.isnan(found.steady_speed_std_m_s) and math.isnan(found.steady_acceleration_rms_m_s2)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_flight_that_ends_at_once_has_no_smoothness(steps):
    assert math.isnan(figures(log_of(seconds=steps * STEP_S)).jerk_rms_m_s3)


def test_the_zero_at_the_end_of_a_live_flight_is_no_jerk_of_the_follower():
    log = log_of(lambda now_s: VelocityCommand(2.0))
    times_s = [moment.now_s for moment in log.moments]
    log.commands = [(now_s, VelocityCommand(2.0 if now_s < times_s[-1] else 0.0)) for now_s in times_s]
    assert figures(log).jerk_rms_m_s3 == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("wanted", [None, VelocityCommand(1.0)], ids=["live", "lockstep"])
def test_the_wanted_speed_is_in_the_plot_only_where_it_is_known(tmp_path, wanted):
    log = log_of(seconds=5.0, wanted=wanted)
    write_flight_report(tmp_path / "flight.html", log, figures(log), town_of(0), None)
    assert ("<!-- wanted -->" in (tmp_path / "flight.html").read_text()) == bool(wanted)
