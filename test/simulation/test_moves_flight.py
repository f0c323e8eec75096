"""The flights of `fcn-follow fly one --move`, by true positions."""

import math

import numpy as np
import pytest
from command_line import fcn_follow

from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.eyes import TrueEyes
from fcn_follow.simulation.figures import figures
from fcn_follow.simulation.flight import fly
from fcn_follow.simulation.moves import BEGIN_S, MOVES
from fcn_follow.simulation.scenarios import find_scenario

SMALL = CameraSetup(width_px=80, height_px=60)


def flown(move, duration_s):
    """The log, and the drone's distance from the hero and bearing (rad, unwrapped) at each moment."""
    log = fly(find_scenario("straight"), 0, TrueEyes(SMALL), SMALL, duration_s=duration_s, move=MOVES[move])
    away_m = np.array([m.drone_m for m in log.moments])[:, :2] - np.array([m.hero_m for m in log.moments])[:, :2]
    assert figures(log).limit_violations == 0 and not log.contact
    return log, np.hypot(*away_m.T), np.unwrap(np.arctan2(away_m[:, 1], away_m[:, 0]))


def test_an_orbit_of_a_walking_hero():
    log, distance_m, bearing_rad = flown("orbit", 16.0)
    assert bearing_rad[-1] - bearing_rad[round(BEGIN_S / 0.02)] == pytest.approx(0.3 * 11.0, abs=0.5)
    assert np.abs(distance_m[250:] - 5.0).max() < 0.6
    assert figures(log).hero_in_frame == 1.0


def test_leading_a_walking_hero():
    log, distance_m, bearing_rad = flown("lead", 16.0)
    before, last = log.moments[-100].hero_m, log.moments[-1].hero_m
    heading_rad = math.atan2(last[1] - before[1], last[0] - before[0])
    assert abs(math.remainder(bearing_rad[-1] - heading_rad, math.tau)) < 0.2
    assert distance_m.min() > 4.0
    assert figures(log).hero_in_frame == 1.0


def test_a_dolly_away_and_back():
    _, distance_m, _ = flown("dolly", 25.0)  # then the hero stops
    at = {t: distance_m[round(t / 0.02)] for t in (5.0, 9.0, 15.9, 24.9)}
    assert at[5.0] == pytest.approx(5.0, abs=0.3)
    assert at[9.0] == pytest.approx(7.0, abs=0.5)
    assert at[15.9] == pytest.approx(9.0, abs=0.5)
    assert at[24.9] == pytest.approx(5.0, abs=0.5)


def test_an_unknown_move_is_one_line():
    done = fcn_follow("fly", "one", "--move", "loop")
    assert done.returncode == 1
    assert done.stderr == "fcn-follow: --move loop: it must be one of orbit, lead, dolly\n"
