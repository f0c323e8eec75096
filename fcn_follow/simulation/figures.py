"""The figures of a flight, and of several flights of a scenario."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_follow.following.follower import MAX_STEP_S
from fcn_follow.following.parameters import Limits
from fcn_follow.following.reasons import GUARD_LIMITS, Limit
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand
from fcn_follow.simulation.flight import ASKING, FlightLog, Moment

IN_FRAME_PX = 4
"""A hero of at least this many pixels counts as in the frame, as in the Follow-Me score."""
RIGHT_WITHIN_M = 1.5
SWAP_FRAMES = 4
_SETTLED_S = 5.0
"""Time to reach the set points; errors of distance, height and bearing count after it."""
_STEADY_S, _STEADY_WITHIN_M_S, _WALKING_M_S = 5.0, 0.25, 0.5
_BY_PEOPLE = {Limit.PEOPLE_OR_HEIGHT, Limit.GUARD_PEOPLE}
_SMOOTHNESS = (
    "acceleration_rms_m_s2", "acceleration_p99_m_s2", "jerk_rms_m_s3", "jerk_p99_m_s3", "yaw_acceleration_rms_rad_s2",
    "yaw_acceleration_p99_rad_s2", "steady_acceleration_rms_m_s2", "steady_speed_std_m_s",
)  # fmt: skip
_TOLERANCE = 1.001
_LIVE_WINDOW_S, _LIVE_TOLERANCE = 0.1, 1.1
"""A command gets its stamp a moment after it was computed."""


@dataclass(frozen=True)
class Figures:
    """Figures of one flight. Shares are from 0 to 1; NaN if there was nothing to measure."""

    scenario: str
    seed: int
    hero_in_frame: float
    """Share of the frames with visible hero pixels; behind a tree there are none."""
    right_person: float
    """Share of the tracked time in which the follower's estimate is nearer than 1.5 m to the hero; where the estimate
    is not known (a flight over topics), the share of the found blobs that lie on the hero."""
    swaps: int
    """How often another person was taken for the hero in SWAP_FRAMES or more frames in a row."""
    asking: float
    """Share of the time in which the user was asked who the hero is."""
    distance_rms_m: float
    height_rms_m: float
    bearing_rms_rad: float
    """Angle between the drone's nose and the hero."""
    reacquire_s: float
    """The longest time from the hero's return into the frame to tracking; infinite if the hero did not return."""
    closest_person_m: float
    contacts: int
    peak_acceleration_m_s2: float
    peak_jerk_m_s3: float
    acceleration_rms_m_s2: float
    """Of the commands: RMS and 99th percentile of horizontal acceleration and jerk in odom, and of yaw acceleration."""
    acceleration_p99_m_s2: float
    jerk_rms_m_s3: float
    jerk_p99_m_s3: float
    yaw_acceleration_rms_rad_s2: float
    yaw_acceleration_p99_rad_s2: float
    steady_acceleration_rms_m_s2: float
    """While the hero walks steadily: this RMS, and the standard deviation of the commanded speed minus the hero's."""
    steady_speed_std_m_s: float
    yaw_sign_changes_1_s: float
    """Sign changes of the commanded yaw rate per second; zero has no sign."""
    limit_violations: int
    """Commands beyond the follower's limits of speed, acceleration, jerk and yaw rate."""
    reported_s: float
    """Time until the follower gave the reason that the scenario demands; infinite without it, NaN if none is set."""
    mean_iou: float
    centroid_error_px: float
    duration_s: float


def figures_of_json(kept: dict[str, Any]) -> Figures:
    """Figures that were kept as JSON. Raises TypeError or ValueError for anything else."""
    found = Figures(**kept)
    if not all(isinstance(value, str if name == "scenario" else (int, float)) for name, value in kept.items()):
        raise TypeError("a figure is not a number")
    return found


def figures(log: FlightLog) -> Figures:
    """The figures of a flight."""
    settled = [m for m in log.moments if m.now_s >= _SETTLED_S]
    points = log.parameters.set_points
    shown = [look for look in log.looks if look.hero_px >= IN_FRAME_PX]
    dt = log.moments[1].now_s - log.moments[0].now_s if len(log.moments) > 1 else 1.0
    accelerations = np.array([m.drone_acceleration_m_s2 for m in log.moments])
    jerks = np.diff(accelerations, axis=0) / dt
    return Figures(
        scenario=log.scenario.name,
        seed=log.seed,
        hero_in_frame=len(shown) / len(log.looks) if log.looks else math.nan,
        right_person=_right_person(log),
        swaps=sum(len(list(run)) >= SWAP_FRAMES for on, run in groupby(log.looks, lambda x: x.on_other) if on),
        asking=mean([float(m.reason.startswith(ASKING)) for m in log.moments]),
        distance_rms_m=_rms([_level(m.drone_m, m.hero_m) - points.distance_m for m in settled]),
        height_rms_m=_rms([m.drone_m[2] - m.hero_m[2] - points.height_m for m in settled]),
        bearing_rms_rad=_rms([_bearing(m) for m in settled]),
        reacquire_s=_reacquire_s(log),
        closest_person_m=min(m.clearance_m for m in log.moments),
        contacts=int(bool(log.contact)),
        peak_acceleration_m_s2=float(np.linalg.norm(accelerations, axis=1).max()),
        peak_jerk_m_s3=float(np.linalg.norm(jerks, axis=1).max()) if len(jerks) else 0.0,
        **_smoothness(log, dt),
        yaw_sign_changes_1_s=_sign_changes_1_s([m.command.yaw_rate_rad_s for m in settled], dt),
        limit_violations=(
            live_violations(log.commands, log.parameters.limits)
            if log.commands
            else _violations(log.moments, log.parameters.limits)
        ),
        reported_s=_reported_s(log),
        mean_iou=mean([look.iou for look in shown]),
        centroid_error_px=mean([look.centroid_error_px for look in shown if look.seen]),
        duration_s=log.moments[-1].now_s + dt,
    )


def _last_motion_s(commands: Sequence[tuple[float, VelocityCommand]]) -> float:
    """The stamp of the last command that is not zero: the zero at the end of a live flight is not the follower's."""
    return max((stamp_s for stamp_s, command in commands if command != ZERO_COMMAND), default=math.inf)


def _smoothness(log: FlightLog, dt_s: float) -> dict[str, float]:
    """The figures of the follower's own sequence of commands, from _SETTLED_S on; commands are in the body frame."""
    moments = log.moments
    if log.commands:  # a coarse clock may stand still from one moment to the next
        moments = moments[:1] + [after for before, after in pairwise(moments) if after.stepped_s > before.stepped_s]
    if len(moments) < 3:
        return dict.fromkeys(_SMOOTHNESS, math.nan)
    if log.commands:
        time = np.array([m.stepped_s for m in moments])
        stamps, commands = np.array([each[0] for each in log.commands]), [each[1] for each in log.commands]
    else:
        time = stamps = np.array([m.now_s for m in moments])
        commands = [m.command for m in moments]
    steps_s = np.diff(time)
    body = np.array([(c.forward_m_s, c.left_m_s, c.yaw_rate_rad_s) for c in commands])
    forward, left, yaw_rate = (np.interp(time, stamps, column) for column in body.T)
    heading = np.unwrap([m.drone_yaw_rad for m in moments])
    velocity = (forward + 1j * left) * np.exp(1j * heading)
    acceleration = np.diff(velocity) / steps_s
    settled = (time >= _SETTLED_S) & (time <= _last_motion_s(log.commands))
    # A live flight does not know what limited a command, so moments with people in the way cannot be left out.
    steady = np.zeros_like(settled) if log.commands else settled & _is_steady(log, dt_s)
    hero_speed = np.abs(np.gradient(np.array([complex(*m.hero_m[:2]) for m in moments]), dt_s))
    level = np.abs(acceleration)[settled[1:]]
    jerk = np.abs(np.diff(acceleration) / ((steps_s[1:] + steps_s[:-1]) / 2))[settled[2:]]
    yaw = np.abs(np.diff(yaw_rate) / steps_s)[settled[1:]]
    values = (
        *(_rms(level), _p99(level), _rms(jerk), _p99(jerk), _rms(yaw), _p99(yaw)),
        _rms(np.abs(acceleration)[steady[1:]]),
        float(np.std((np.abs(velocity) - hero_speed)[steady])) if steady.any() else math.nan,
    )
    return dict(zip(_SMOOTHNESS, values, strict=True))


def _is_steady(log: FlightLog, dt_s: float) -> NDArray[np.bool_]:
    """Moments before which the hero was tracked and walked at one velocity for _STEADY_S, with nobody in the way."""
    hero = np.gradient(np.array([m.hero_m[:2] for m in log.moments]), dt_s, axis=0)
    free = [m.state == "tracking" and not _BY_PEOPLE.intersection(m.limited_by) for m in log.moments]
    span = round(_STEADY_S / dt_s)
    steady = np.zeros(len(hero), dtype=bool)
    for end in range(span, len(hero)):
        window = hero[end - span : end + 1]
        mean = window.mean(0)
        steady[end] = (
            np.hypot(*mean) > _WALKING_M_S
            and np.hypot(*(window - mean).T).max() < _STEADY_WITHIN_M_S
            and all(free[end - span : end + 1])
        )
    return steady


def _right_person(log: FlightLog) -> float:
    near = [
        _level(m.estimate_m, m.hero_m) < RIGHT_WITHIN_M for m in log.moments if m.estimate_m and m.state == "tracking"
    ]
    return mean(near or [look.on_hero for look in log.looks if look.seen])


def _level(a: Sequence[float], b: Sequence[float]) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


def _bearing(moment: Moment) -> float:
    dx, dy = moment.hero_m[0] - moment.drone_m[0], moment.hero_m[1] - moment.drone_m[1]
    return math.remainder(math.atan2(dy, dx) - moment.drone_yaw_rad, math.tau)


def mean(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN if there is none."""
    kept = [float(value) for value in values if not math.isnan(value)]
    return float(np.mean(kept)) if kept else math.nan


def _rms(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else math.nan


def _p99(values: NDArray[np.float64]) -> float:
    return float(np.percentile(values, 99)) if len(values) else math.nan


def _sign_changes_1_s(rates: Sequence[float], dt_s: float) -> float:
    signs = [rate > 0.0 for rate in rates if rate]
    return sum(a != b for a, b in pairwise(signs)) / (len(rates) * dt_s) if rates else math.nan


def _reacquire_s(log: FlightLog) -> float:
    """The longest time from the first frame that shows the hero again to the next moment of tracking."""
    if log.moments[-1].state != "tracking" and log.looks and log.looks[-1].hero_px < IN_FRAME_PX:
        return math.inf
    tracking_s = [m.now_s for m in log.moments if m.state == "tracking"]
    lost_s = [m.now_s for m in log.moments if m.state in ("coasting", "searching", "holding")]
    longest = math.nan
    for before, after in pairwise(log.looks):
        returned = before.hero_px < IN_FRAME_PX <= after.hero_px
        if returned and any(abs(s - after.stamp_s) < 0.05 for s in lost_s):
            later = [s for s in tracking_s if s >= after.stamp_s]
            wait_s = later[0] - after.stamp_s if later else log.moments[-1].now_s - after.stamp_s
            longest = wait_s if math.isnan(longest) else max(longest, wait_s)
    return longest


def _reported_s(log: FlightLog) -> float:
    wanted = log.scenario.must_report
    if not wanted:
        return math.nan
    return next((m.now_s for m in log.moments if wanted in m.reason), math.inf)


def _violations(moments: Sequence[Moment], limits: Limits) -> int:
    """Commands beyond a limit. Stops to zero and interventions of the guard may be abrupt."""
    steps = [after for before, after in pairwise(moments) if after.stepped_s > before.stepped_s]
    velocity = np.array([(m.command.forward_m_s, m.command.left_m_s, m.command.up_m_s) for m in steps]).reshape(-1, 3)
    yaw_rate = np.array([m.command.yaw_rate_rad_s for m in steps])
    level = np.hypot(velocity[:, 0], velocity[:, 1])
    up = velocity[:, 2]
    count = int((level > limits.speed_m_s * _TOLERANCE).sum() + (up > limits.up_m_s * _TOLERANCE).sum())
    count += int((up < -limits.down_m_s * _TOLERANCE).sum())
    count += int((np.abs(yaw_rate) > limits.yaw_rate_rad_s * _TOLERANCE).sum())
    guarded = np.array([any(each in GUARD_LIMITS for each in m.limited_by) for m in steps], dtype=bool)
    free = (np.abs(velocity).sum(1) == 0.0) | guarded
    dt_s = np.minimum(np.diff([m.stepped_s for m in steps]), MAX_STEP_S)[:, None]
    change = np.diff(velocity, axis=0) / dt_s
    bumps = np.diff(change, axis=0) / dt_s[1:]
    for part in (slice(0, 2), slice(2, 3)):
        pushes = np.linalg.norm(change[:, part], axis=1) > limits.acceleration_m_s2 * _TOLERANCE
        jerks = np.linalg.norm(bumps[:, part], axis=1) > limits.jerk_m_s3 * _TOLERANCE
        count += int((pushes & ~free[1:]).sum() + (jerks & ~free[2:] & ~free[1:-1] & ~free[:-2]).sum())
    return count


def live_violations(commands: Sequence[tuple[float, VelocityCommand]], limits: Limits) -> int:
    """Commands beyond a limit in a flight over topics: speeds, and their growth in windows of at least _LIVE_WINDOW_S.

    Interventions of the guard are not known here, so a command may shrink at any rate.
    """
    count, begin = 0, 0
    for stamp_s, command in commands:
        count += math.hypot(command.forward_m_s, command.left_m_s) > limits.speed_m_s * _TOLERANCE
        count += not -limits.down_m_s * _TOLERANCE <= command.up_m_s <= limits.up_m_s * _TOLERANCE
        count += abs(command.yaw_rate_rad_s) > limits.yaw_rate_rad_s * _TOLERANCE
        while begin + 1 < len(commands) and stamp_s - commands[begin + 1][0] >= _LIVE_WINDOW_S:
            begin += 1
        since_s, before = commands[begin]
        if stamp_s - since_s < _LIVE_WINDOW_S:
            continue
        growth = math.hypot(command.forward_m_s, command.left_m_s) - math.hypot(before.forward_m_s, before.left_m_s)
        climb = abs(command.up_m_s) - abs(before.up_m_s)
        allowed = limits.acceleration_m_s2 * (stamp_s - since_s) * _LIVE_TOLERANCE
        turn_allowed = limits.yaw_acceleration_rad_s2 * (stamp_s - since_s) * _LIVE_TOLERANCE
        count += growth > allowed or climb > allowed
        count += abs(command.yaw_rate_rad_s) - abs(before.yaw_rate_rad_s) > turn_allowed
    return count


def scenario_means(all_figures: Sequence[Figures]) -> list[dict[str, float | str]]:
    """A row for each scenario: the worst of the safety figures, the mean of the others."""
    worst: dict[str, Callable[[list[float]], float]] = {
        "closest_person_m": min,
        "contacts": sum,
        "limit_violations": sum,
        "swaps": sum,
        "reacquire_s": max,
        "reported_s": max,
        "peak_acceleration_m_s2": max,
        "peak_jerk_m_s3": max,
    }
    rows: list[dict[str, float | str]] = []
    for name in dict.fromkeys(f.scenario for f in all_figures):
        flights = [asdict(f) for f in all_figures if f.scenario == name]
        row: dict[str, float | str] = {"scenario": name, "seeds": float(len(flights))}
        for item in fields(Figures)[2:]:
            kept = [flight[item.name] for flight in flights if not math.isnan(flight[item.name])]
            row[item.name] = worst.get(item.name, mean)(kept) if kept else math.nan
        rows.append(row)
    return rows
