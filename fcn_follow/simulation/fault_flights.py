"""Flights with random faults: drawn by a seed, flown in lockstep, and checked for what must never happen."""

from __future__ import annotations

import dataclasses
import json
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcn_follow.coordinates import rotated
from fcn_follow.files import write_whole
from fcn_follow.following.states import State
from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.faults import KINDS, Fault, Injector, Kind, draw_faults
from fcn_follow.simulation.figures import IN_FRAME_PX, figures
from fcn_follow.simulation.flight import DRONE_RESPONSE_S, FlightLog, Moment, fly
from fcn_follow.simulation.scenarios import SCENARIOS, Scenario
from fcn_follow.simulation.suite import EyesSpec, rounded

DURATION_S = 20.0
NEAR_M, OWN_SPEED_M_S = 1.5, 0.5
NAMED_WITHIN_S = 1.0
SHOWN_WITHIN_S = 0.2
COMMANDED_M_S = 1.5
DIFFERENCE_M_S = 1.0
"""A fault can be noticed once the command has this speed, or the motion differs this much from the command."""


@dataclass(frozen=True)
class Task:
    """One flight: the seed draws scenario and faults."""

    seed: int
    eyes: EyesSpec


@dataclass(frozen=True)
class FaultFlight:
    """The result of a flight. Distances in m; delays by kind, in s from the first moment when it could be noticed.

    approach_m is the smallest distance to a person while the drone moved towards them at more than OWN_SPEED_M_S;
    unnamed are the kinds that were not reported within NAMED_WITHIN_S.
    """

    seed: int
    scenario: str
    faults: tuple[Fault, ...]
    contact: str
    closest_m: float
    approach_m: float
    limit_violations: int
    not_finite: int
    named_after_s: dict[str, float]
    unnamed: tuple[str, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """What went wrong; empty for a good flight."""
        found = (
            (f"touched {self.contact}", bool(self.contact)),
            (f"flew towards a person {self.approach_m:.2f} m away", self.approach_m < NEAR_M),
            (f"{self.limit_violations} limits violated", self.limit_violations > 0),
            (f"{self.not_finite} commands not finite", self.not_finite > 0),
            (f"not reported: {', '.join(self.unnamed)}", bool(self.unnamed)),
        )
        return tuple(text for text, happened in found if happened)


def scenario_and_faults(seed: int) -> tuple[Scenario, tuple[Fault, ...]]:
    """The scenario and the faults of a seed."""
    rng = np.random.default_rng([seed, 77])
    scenarios = [scenario for scenario in SCENARIOS if not scenario.misleads_height]
    scenario = scenarios[int(rng.integers(len(scenarios)))]
    return scenario, draw_faults(rng, min(DURATION_S, scenario.duration_s))


def run(task: Task) -> FaultFlight:
    """Fly one task in this process."""
    scenario, faults = scenario_and_faults(task.seed)
    camera = CameraSetup()
    log = fly(scenario, task.seed, task.eyes.open(camera), camera, None, DURATION_S, Injector(faults))
    return judged(log, faults)


def judged(log: FlightLog, faults: Sequence[Fault]) -> FaultFlight:
    """The flight checked for what must never happen."""
    found = figures(log)
    shown_s = [look.stamp_s + look.latency_s for look in log.looks if look.hero_px >= IN_FRAME_PX]
    delays = {fault.kind: _named_after_s(log.moments, fault, shown_s) for fault in faults if KINDS[fault.kind].named}
    commands = [dataclasses.astuple(moment.command) for moment in log.moments]
    return FaultFlight(
        log.seed,
        log.scenario.name,
        tuple(faults),
        log.contact,
        found.closest_person_m,
        min((_approach_m(moment) for moment in log.moments), default=math.inf),
        found.limit_violations,
        sum(not all(map(math.isfinite, command)) for command in commands),
        delays,
        tuple(kind for kind, delay_s in delays.items() if delay_s > NAMED_WITHIN_S),
    )


def _approach_m(moment: Moment) -> float:
    """The horizontal distance to the nearest person towards whom the drone moves."""
    x, y = moment.drone_m[:2]
    nearest_m = math.inf
    for px, py in (moment.hero_m[:2], *moment.people_m):
        away_m = math.hypot(px - x, py - y)
        closing = (px - x) * moment.drone_velocity_m_s[0] + (py - y) * moment.drone_velocity_m_s[1]
        if away_m > 0.0 and closing / away_m > OWN_SPEED_M_S:
            nearest_m = min(nearest_m, away_m)
    return nearest_m


def _named_after_s(moments: Sequence[Moment], fault: Fault, shown_s: Sequence[float]) -> float:
    """The time from the first moment at which the fault could be noticed to its report; NaN if there is none.

    While the drone holds for another reported reason, no further fault can be noticed. shown_s has the arrivals of the
    pictures that show the hero, in order.
    """
    kind = KINDS[fault.kind]
    noticeable_s = math.nan
    for moment, expected_m_s in zip(moments, _expected_velocities(moments), strict=True):
        if moment.now_s < fault.begin_s:
            continue
        if any(name in text for name in kind.named for text in (moment.reason, *moment.limited_by)):
            return 0.0 if math.isnan(noticeable_s) else moment.now_s - noticeable_s
        if not fault.holds(moment.now_s):
            return math.nan if math.isnan(noticeable_s) else moment.now_s - noticeable_s
        if moment.state == State.HOLDING.value:
            noticeable_s = math.nan
        elif kind.needs_hero and not _is_shown(shown_s, moment.now_s):
            continue
        elif math.isnan(noticeable_s) and _is_noticeable(kind, moment, expected_m_s):
            noticeable_s = moment.now_s
    return math.nan


def _is_shown(shown_s: Sequence[float], now_s: float) -> bool:
    """Whether one of the last pictures shows the hero."""
    last = bisect_right(shown_s, now_s) - 1
    return last >= 0 and now_s - shown_s[last] <= SHOWN_WITHIN_S


def _is_noticeable(kind: Kind, moment: Moment, expected_m_s: tuple[float, float]) -> bool:
    if kind.needs_disobedience:
        return math.dist(expected_m_s, moment.drone_velocity_m_s[:2]) > DIFFERENCE_M_S
    return not kind.needs_motion or math.hypot(moment.command.forward_m_s, moment.command.left_m_s) > COMMANDED_M_S


def _expected_velocities(moments: Sequence[Moment]) -> Iterator[tuple[float, float]]:
    """The horizontal velocity in odom, in m/s, of a drone that follows the commands with the simulated drone's lag."""
    x = y = last_s = 0.0
    for moment in moments:
        share = 1.0 - math.exp(-(moment.now_s - last_s) / DRONE_RESPONSE_S)
        wanted_x, wanted_y = rotated(moment.command.forward_m_s, moment.command.left_m_s, moment.drone_yaw_rad)
        x, y, last_s = x + share * (wanted_x - x), y + share * (wanted_y - y), moment.now_s
        yield x, y


def decoded(kept: dict[str, Any]) -> FaultFlight:
    """A flight from its JSON."""
    faults = tuple(Fault(**fault) for fault in kept["faults"])
    return FaultFlight(**{**kept, "faults": faults, "unnamed": tuple(kept["unnamed"])})


def save_flights(out: Path, flights: Sequence[FaultFlight]) -> None:
    """Write faults.json; UserError if that fails."""
    rows = [
        {
            **{name: rounded(value) if isinstance(value, float) else value for name, value in vars(flight).items()},
            "faults": [dataclasses.asdict(fault) for fault in flight.faults],
            "named_after_s": {kind: rounded(delay_s) for kind, delay_s in flight.named_after_s.items()},
            "failures": flight.failures,
        }
        for flight in flights
    ]
    write_whole(out / "faults.json", json.dumps(rows, indent=1) + "\n")
