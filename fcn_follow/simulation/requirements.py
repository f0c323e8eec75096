"""The requirements on the suite of flights; those on scenarios that did not fly are left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcn_follow.simulation.figures import Figures, mean
from fcn_follow.simulation.scenarios import Scenario


@dataclass(frozen=True)
class Judgement:
    """One requirement on the suite, the result, and whether that is enough."""

    requirement: str
    found: str
    met: bool


def judge(flights: Sequence[Figures], scenarios: Sequence[Scenario]) -> list[Judgement]:
    """The suite's requirements over all flights; a scenario's share is the mean over its seeds."""
    return [
        *_in_frame(flights, scenarios),
        *_re_acquired(flights, scenarios),
        *_errors(flights),
        *_smoothness(flights),
        *_reported(flights),
        *_safety(flights),
    ]


def _in_frame(flights: Sequence[Figures], scenarios: Sequence[Scenario]) -> Iterator[Judgement]:
    share = {s.name: mean([f.hero_in_frame for f in flights if f.scenario == s.name]) for s in scenarios}
    everywhere = mean(list(share.values()))
    yield Judgement("hero in the frame, mean, at least 95 %", f"{everywhere:.1%}", everywhere >= 0.95)
    if in_the_open := [share[s.name] for s in scenarios if not s.occlusion_s]:
        found = mean(in_the_open)
        yield Judgement("hero in the frame, mean without the occlusions, at least 97 %", f"{found:.1%}", found >= 0.97)
    shorter = [s.name for s in scenarios if not s.long_occlusion]
    if shorter:
        worst = min(shorter, key=lambda name: share[name])
        yield Judgement(
            "in every scenario but the long occlusions, at least 80 %", f"{worst} {share[worst]:.1%}",
            share[worst] >= 0.8,
        )  # fmt: skip
    right = mean([f.right_person for f in flights])
    swaps = sum(f.swaps for f in flights)
    yield Judgement("never another person taken for the hero in four frames in a row", f"{swaps} times", swaps == 0)
    yield Judgement("on the right person, of the tracked time, at least 98 %", f"{right:.1%}", right >= 0.98)


def _re_acquired(flights: Sequence[Figures], scenarios: Sequence[Scenario]) -> Iterator[Judgement]:
    for occlusion_s, within_s, share in ((2.0, 1.5, 0.95), (5.0, 4.0, 0.8)):
        names = {s.name for s in scenarios if s.occlusion_s == occlusion_s}
        waits_s = [f.reacquire_s for f in flights if f.scenario in names]
        if waits_s:
            in_time = sum(not wait_s > within_s for wait_s in waits_s)
            yield Judgement(
                f"hidden for {occlusion_s:.0f} s: tracked again within {within_s:g} s in {share:.0%} of the cases",
                f"{in_time} of {len(waits_s)}",
                in_time >= share * len(waits_s),
            )


def _errors(flights: Sequence[Figures]) -> Iterator[Judgement]:
    for name, max_m in (
        ("straight", 0.6),
        ("turns", 1.2),
        ("running", 1.2),
        ("storm", 2.0),
        ("hill", 1.0),
        ("stairs", 1.0),
        ("tall", 0.6),
        ("short", 0.6),
    ):
        found_m = mean([f.distance_rms_m for f in flights if f.scenario == name])
        if not math.isnan(found_m):
            yield Judgement(f"{name}: RMS distance error at most {max_m} m", f"{found_m:.2f} m", found_m <= max_m)
    right = mean([f.right_person for f in flights if f.scenario == "twins"])
    if not math.isnan(right):
        yield Judgement("twins: on the right person, at least 80 %", f"{right:.1%}", right >= 0.8)
    for title, unit in (("distance_rms_m", "m"), ("bearing_rms_rad", "rad")):
        late = mean([getattr(f, title) for f in flights if f.scenario == "latency"])
        prompt = mean([getattr(f, title) for f in flights if f.scenario == "bend"])
        if not math.isnan(late + prompt):
            yield Judgement(
                f"200 ms latency: RMS {title.split('_')[0]} error at most 1.3 times that of bend",
                f"{late:.3f} / {prompt:.3f} {unit} = {late / prompt:.2f}",
                late <= 1.3 * prompt,
            )
    turns_1_s = mean([f.yaw_sign_changes_1_s for f in flights if f.scenario == "straight"])
    if not math.isnan(turns_1_s):
        yield Judgement("straight: yaw rate changes sign less than once a second", f"{turns_1_s:.2f}", turns_1_s < 1.0)


def _smoothness(flights: Sequence[Figures]) -> Iterator[Judgement]:
    steady = [f for f in flights if f.scenario in ("straight", "turns", "bend", "gusts", "dusk")]
    for name, title, unit, at_most in (
        ("steady_acceleration_rms_m_s2", "RMS of the commanded acceleration", "m/s²", 0.5),
        ("steady_speed_std_m_s", "standard deviation of the speed", "m/s", 0.1),
    ):
        found = mean([getattr(f, name) for f in steady])
        if not math.isnan(found):
            yield Judgement(f"steady walk: {title} at most {at_most} {unit}", f"{found:.2f} {unit}", found <= at_most)


def _reported(flights: Sequence[Figures]) -> Iterator[Judgement]:
    delays_s = [f.reported_s for f in flights if not math.isnan(f.reported_s)]
    if delays_s:
        found = max(delays_s)
        yield Judgement("a wrong parameter is reported within 5 s", f"{found:.1f} s", found <= 5.0)


def _safety(flights: Sequence[Figures]) -> Iterator[Judgement]:
    contacts, violations = sum(f.contacts for f in flights), sum(f.limit_violations for f in flights)
    closest = min(flights, key=lambda f: f.closest_person_m)
    yield Judgement("no contact", str(contacts), contacts == 0)
    yield Judgement(
        "never nearer than 1.5 m to a person", f"{closest.closest_person_m:.2f} m ({closest.scenario})",
        closest.closest_person_m >= 1.5,
    )  # fmt: skip
    yield Judgement("no limit violated", str(violations), violations == 0)
