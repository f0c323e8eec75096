"""How a flight with faults is judged: what was reported, and how long after it could be noticed."""

from __future__ import annotations

import math

import pytest

from fcn_follow.geometry import VelocityCommand
from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.fault_flights import judged
from fcn_follow.simulation.faults import Fault
from fcn_follow.simulation.flight import FlightLog, Look, Moment, follower_parameters
from fcn_follow.simulation.scenarios import find_scenario

BEGIN_S, END_S, SPEED_M_S = 4.0, 8.0, 3.0


def log_of(speed_m_s, reason=lambda now_s: "hero seen", hero_m=lambda now_s: (99.0, 0.0, 0.9)):
    """A flight along x that is commanded at SPEED_M_S throughout and flies at `speed_m_s(now_s)`."""
    log = FlightLog(find_scenario("straight"), 0, follower_parameters(CameraSetup()))
    x_m = 0.0
    for tick in range(500):
        now_s = tick * 0.02
        x_m += speed_m_s(now_s) * 0.02
        log.moments.append(
            Moment(
                now_s, (x_m, 0.0, 2.0), (speed_m_s(now_s), 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, hero_m(now_s), (),
                VelocityCommand(SPEED_M_S), "tracking", None, 5.0, VelocityCommand(SPEED_M_S), (), reason(now_s), now_s,
            )
        )  # fmt: skip
    return log


def cut_link(begin_s=BEGIN_S):
    return [Fault("link_cut", begin_s, END_S, 0.0, 0.0)]


def stops_at_5_s(now_s):
    return SPEED_M_S if 1.0 < now_s < 5.0 else SPEED_M_S * now_s if now_s <= 1.0 else 0.0


def test_a_cut_link_can_be_noticed_once_the_drone_does_something_else():
    named = judged(
        log_of(stops_at_5_s, lambda t: "the drone does not do what is commanded" if t > 5.4 else ""), cut_link()
    )
    assert named.named_after_s["link_cut"] == pytest.approx(0.4, abs=0.05)
    assert named.failures == ()
    silent = judged(log_of(stops_at_5_s), cut_link())
    assert silent.unnamed == ("link_cut",)
    assert silent.failures == ("not reported: link_cut",)


def test_a_cut_link_cannot_be_noticed_while_the_drone_flies_as_commanded():
    assert math.isnan(judged(log_of(lambda _: SPEED_M_S), cut_link()).named_after_s["link_cut"])


@pytest.mark.parametrize(("shown_from_s", "delay_s"), [(5.0, 0.3), (7.5, math.nan)])
def test_a_fault_of_the_hero_s_position_can_be_noticed_once_a_picture_shows_the_hero(shown_from_s, delay_s):
    log = log_of(lambda _: SPEED_M_S, lambda now_s: "refused: positions behind the camera" if 5.3 < now_s < 6 else "")
    if shown_from_s > 6.0:
        log = log_of(lambda _: SPEED_M_S)
    stamps_s = [0.05 * index for index in range(160) if 0.05 * index >= shown_from_s]
    log.looks = [Look(stamp_s, 0.0, 90, True, 0.9, 1.0, True, False) for stamp_s in stamps_s]
    fault = Fault("hero_behind_camera", BEGIN_S, 7.0, 0.0, 0.0)
    assert judged(log, [fault]).named_after_s[fault.kind] == pytest.approx(delay_s, abs=0.05, nan_ok=True)


def test_a_drone_that_flies_at_somebody_near_is_a_failure_and_one_that_is_passed_is_not():
    ahead = judged(log_of(lambda _: SPEED_M_S, hero_m=lambda t: (SPEED_M_S * t + 1.2, 0.0, 0.9)), [])
    assert ahead.approach_m == pytest.approx(1.2, abs=0.1)
    assert any("flew towards a person" in failure for failure in ahead.failures)
    passing = judged(log_of(lambda _: 0.0, hero_m=lambda t: (5.0 - t, 0.5, 0.9)), [])
    assert passing.approach_m == math.inf
