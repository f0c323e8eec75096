"""The last step before a command leaves: it holds whatever the rest of the follower believes.

The guard knows the newest raw detections, the commands that it let pass and the limits; no odometry, no estimate. It
keeps its own dead reckoning of the drone to carry a detection on to now, and takes every person to be anywhere in a
disc around the place where the camera saw them, which grows with the age of the picture.

- A command that is not finite, or beyond anything that flies, is zero, and a fault.
- Speed, climb, descent and yaw rate stay within their limits, and commands grow no faster than the limits of
  acceleration allow in the time that has really passed. A command may always shrink.
- No horizontal motion towards anybody who may be nearer than the minimum distance, and none from which the drone could
  not stop before that; no descent onto them.
- No climb above the ceiling, no descent below the floor.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fcn_follow.coordinates import body_from_optical, rotated, wrapped
from fcn_follow.following.parameters import FollowerParameters, Limits
from fcn_follow.following.reasons import Reason
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose, dead_reckoned
from fcn_follow.geometry import ZERO_COMMAND, Vector3, VelocityCommand

MAX_COMMAND = 1000.0
"""In m/s and rad/s."""
MAX_GAP_S = 2.0
MAX_STEP_S = 0.1
"""A longer pause between two commands lets a command grow no more than this one does."""
ACCELERATION_TOLERANCE = 1.02
"""The limiter's clock and the one that measures the elapsed time are not the same one."""
HEIGHT_GAIN_1_S = 1.0
LAG_SHARE = 1.5
"""A drone that lags behind a speed that falls with the distance would overshoot with 1 (0.3 m from 6 m/s)."""
MARGIN_M = 0.1
PASSES = 4
"""Cutting the motion towards one person may turn it towards another: so often everybody is looked at again."""

TRACK_S, MIN_TRACK_S = 0.6, 0.3
MAX_TRACK, MIN_TRACK = 64, 4
"""The sights from which the hero's approach is taken."""
APPROACH_NOISE_M_S, MAX_APPROACH_M_S = 0.7, 6.0
MEMORY_S = 2.0
MEMORY_IN_VIEW_S, IN_VIEW_RAD = 0.5, 0.4
MAX_MISSED = 64
"""A person who leaves the picture is remembered for 2 s, one missed in its middle for half a second; 64 at most."""
SAME_M, SAME_SHARE, SAME_M_S = 0.7, 0.15, 3.0
"""So far from where somebody was, and this share of the range, and at this speed, it may be the same person."""


@dataclass(frozen=True)
class Heights:
    """The drone's height above where it engaged, and above the ground, in m; None where odometry does not say."""

    above_start_m: float | None = None
    above_ground_m: float | None = None


@dataclass(frozen=True)
class Guarded:
    """What may be flown, what the guard changed, and what is wrong with a command that should never have come."""

    command: VelocityCommand
    limited_by: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class _Person:
    """Seen at stamp_s at a level place (m) of the guard's own dead-reckoned frame, the middle of the body at z.

    range_m is how far away from the camera.
    """

    stamp_s: float
    range_m: float
    x_m: float
    y_m: float
    z_m: float


class Guard:
    """At each step call `advance`, report what was seen with `see_hero` and `see_people`, then `check` the command.

    history holds the drone's poses by the commands that went out. Times are in s.
    """

    def __init__(self, parameters: FollowerParameters) -> None:
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        """Forget everybody, and take the drone to stand still."""
        self._hero: _Person | None = None
        self._hero_track: deque[_Person] = deque(maxlen=MAX_TRACK)
        self._people: tuple[_Person, ...] = ()
        self._missed: tuple[_Person, ...] = ()
        self._people_s = -math.inf
        self.history = VehicleHistory()
        self._last = ZERO_COMMAND
        self._growth_s = 0.0

    def advance(self, now_s: float) -> VehiclePose:
        """The drone now, by the commands that went out; it starts anew where the clock jumped."""
        last = self.history.newest
        if last is None or not 0.0 <= now_s - last.stamp_s <= MAX_GAP_S:
            pose = VehiclePose(now_s)
            self.reset()
        else:
            pose = dead_reckoned(last, self._last, now_s - last.stamp_s, self.parameters.vehicle.response_s)
        self.history.add(pose)
        return pose

    def see_hero(self, stamp_s: float, position_camera_m: Vector3) -> None:
        """The hero's raw detection in the camera's optical frame; one that is older than the last is left out."""
        if self._hero is not None and stamp_s < self._hero.stamp_s:
            return
        last, self._hero = self._hero, self._placed(stamp_s, position_camera_m)
        self._remember((last,) if last else (), (self._hero,))
        self._hero_track.append(self._hero)
        while self._hero.stamp_s - self._hero_track[0].stamp_s > TRACK_S:
            self._hero_track.popleft()

    def see_people(self, stamp_s: float, positions_camera_m: Sequence[Vector3]) -> None:
        """Everybody else in the newest picture; an older one is left out.

        Whoever was in the last one and is not seen again may still be there, and is remembered for MEMORY_S; but for
        those at the hero's place, who are a fringe of its blob and have moved on with it.
        """
        if stamp_s < self._people_s:
            return
        hero, self._people_s = self._hero, stamp_s
        last = [person for person in self._people if hero is None or not _may_be(person, hero)]
        self._people = tuple(self._placed(stamp_s, position) for position in positions_camera_m)
        self._remember(last, self._people)

    def advise(self, wanted: VelocityCommand, now_s: float, heights: Heights) -> VelocityCommand:
        """The wanted command as `check` would let it pass with MARGIN_M to spare.

        What goes into the limiter is advised so, that the guard seldom has to cut what comes out of it.
        """
        pose = self.history.newest or self.advance(now_s)
        kept_away = self._away_from_people(wanted, pose, now_s, MARGIN_M)
        return self._between_floor_and_ceiling(kept_away, pose, heights)

    def check(self, command: VelocityCommand, now_s: float, elapsed_s: float, heights: Heights = Heights()) -> Guarded:
        """What of the command may be flown now; elapsed_s is the time since the last call by a steady clock."""
        limits = self.parameters.limits
        fault, checked = "", command
        if not all(abs(value) <= MAX_COMMAND for value in dataclasses.astuple(command)):  # false for NaN
            fault, checked = Reason.COMMAND_IMPOSSIBLE, ZERO_COMMAND
        pose = self.history.newest or self.advance(now_s)
        restrictions: tuple[tuple[str, Callable[[VelocityCommand], VelocityCommand]], ...] = (
            ("guard: limits", lambda each: _within_limits(each, limits)),
            ("guard: elapsed time", lambda each: self._grown(each, limits, elapsed_s)),
            ("guard: lower limits", lambda each: _within_limits(each, limits)),
            ("guard: people", lambda each: self._away_from_people(each, pose, now_s)),
            ("guard: height", lambda each: self._between_floor_and_ceiling(each, pose, heights)),
        )
        limited = []
        for name, restrict in restrictions:
            restricted = restrict(checked)
            if restricted != checked:
                limited.append(name)
                checked = restricted
        self._last = checked
        return Guarded(checked, tuple(limited), fault)

    def _placed(self, stamp_s: float, position_camera_m: Vector3) -> _Person:
        mount = self.parameters.camera.mount
        forward, left, up = body_from_optical(position_camera_m, mount.pitch_down_rad)
        pose = self.history.at(stamp_s) or self.history.newest or VehiclePose(stamp_s)
        arm_x, arm_y, arm_z = mount.position_body_m
        x, y = rotated(forward + arm_x, left + arm_y, pose.yaw_rad)
        range_m = math.hypot(*position_camera_m)
        return _Person(
            stamp_s, range_m, pose.position_m[0] + x, pose.position_m[1] + y, pose.position_m[2] + up + arm_z
        )

    def _remember(self, last: Sequence[_Person], seen: Sequence[_Person]) -> None:
        """Keep those of the last picture, and of those remembered, whom nobody in the new one can be."""
        unknown, missed = list(seen), []
        for person in (*last, *self._missed):
            again = min(unknown, key=lambda each: _away_m(person, each), default=None)
            if again is not None and _may_be(person, again):
                unknown.remove(again)
            else:
                missed.append(person)
        self._missed = tuple(missed[:MAX_MISSED])

    def _grown(self, command: VelocityCommand, limits: Limits, elapsed_s: float) -> VelocityCommand:
        """The command, changed from the last one by no more than the elapsed time allows, unless it shrinks."""
        self._growth_s = min(MAX_STEP_S, self._growth_s + max(0.0, elapsed_s))
        last = self._last
        dx, dy = command.forward_m_s - last.forward_m_s, command.left_m_s - last.left_m_s
        dz, turn = command.up_m_s - last.up_m_s, command.yaw_rate_rad_s - last.yaw_rate_rad_s
        level_s = 0.0 if _shrinks(command, last) else math.hypot(dx, dy) / limits.acceleration_m_s2
        climb_s = 0.0 if _between(command.up_m_s, last.up_m_s) else abs(dz) / limits.acceleration_m_s2
        turn_s = 0.0
        if not _between(command.yaw_rate_rad_s, last.yaw_rate_rad_s):
            turn_s = abs(turn) / limits.yaw_acceleration_rad_s2
        allowed_s = self._growth_s * ACCELERATION_TOLERANCE
        self._growth_s = max(0.0, self._growth_s - max(level_s, climb_s, turn_s))
        if max(level_s, climb_s, turn_s) <= allowed_s:
            return command
        level, climb, yaw = (min(1.0, allowed_s / need) if need > 0.0 else 1.0 for need in (level_s, climb_s, turn_s))
        return VelocityCommand(
            last.forward_m_s + dx * level, last.left_m_s + dy * level, last.up_m_s + dz * climb,
            last.yaw_rate_rad_s + turn * yaw,
        )  # fmt: skip

    def _away_from_people(
        self, command: VelocityCommand, pose: VehiclePose, now_s: float, margin_m: float = 0.0
    ) -> VelocityCommand:
        limits = self.parameters.limits
        missed = (person for person in self._missed if now_s - person.stamp_s <= _memory_s(person, pose))
        people = (*self._people, *missed, *((self._hero,) if self._hero else ()))
        x, y = rotated(command.forward_m_s, command.left_m_s, pose.yaw_rad)
        up = command.up_m_s
        walls = []
        for person in people:
            px, py = person.x_m - pose.position_m[0], person.y_m - pose.position_m[1]
            distance_m = math.hypot(px, py)
            disc_m = limits.unseen_speed_m_s * max(0.0, now_s - person.stamp_s)
            spare_m = distance_m - disc_m - limits.minimum_distance_m - margin_m
            if distance_m > 0.0:
                comes_m_s = 0.0
                if person is self._hero:
                    comes_m_s = _approach_m_s(self._hero_track, px / distance_m, py / distance_m)
                response_s = self.parameters.vehicle.response_s
                allowed = _stopping_speed(spare_m, comes_m_s, limits.acceleration_m_s2, response_s)
                aside_rad = math.asin(min(1.0, disc_m / distance_m))  # the person may be at either edge of the disc
                edges = (rotated(px / distance_m, py / distance_m, angle) for angle in (0.0, aside_rad, -aside_rad))
                walls += [(*edge, allowed) for edge in edges]
            elif spare_m < 0.0:
                x = y = 0.0
            if distance_m - disc_m < limits.minimum_distance_m:
                up = max(0.0, up)
        x, y = _kept_behind(x, y, walls)
        if (x, y, up) == (*rotated(command.forward_m_s, command.left_m_s, pose.yaw_rad), command.up_m_s):
            return command
        forward, left = rotated(x, y, -pose.yaw_rad)
        return VelocityCommand(forward, left, up, command.yaw_rate_rad_s)

    def _between_floor_and_ceiling(
        self, command: VelocityCommand, pose: VehiclePose, heights: Heights
    ) -> VelocityCommand:
        limits = self.parameters.limits
        above_start_m, above_ground_m = heights.above_start_m, heights.above_ground_m
        if above_ground_m is None and self._hero is not None:
            feet_m = self._hero.z_m - self.parameters.vehicle.hero_height_m / 2
            above_ground_m = pose.position_m[2] - feet_m
        if above_start_m is None:
            above_start_m = pose.position_m[2] if above_ground_m is None else above_ground_m
        up = min(command.up_m_s, max(0.0, HEIGHT_GAIN_1_S * (limits.maximum_height_m - above_start_m)))
        if above_ground_m is not None:
            up = max(up, min(0.0, -HEIGHT_GAIN_1_S * (above_ground_m - limits.minimum_height_m)))
        return command if up == command.up_m_s else dataclasses.replace(command, up_m_s=up)


def _within_limits(command: VelocityCommand, limits: Limits) -> VelocityCommand:
    speed = math.hypot(command.forward_m_s, command.left_m_s)
    share = limits.speed_m_s / speed if speed > limits.speed_m_s * (1.0 + 1e-9) else 1.0
    return VelocityCommand(
        command.forward_m_s * share,
        command.left_m_s * share,
        max(-limits.down_m_s, min(limits.up_m_s, command.up_m_s)),
        max(-limits.yaw_rate_rad_s, min(limits.yaw_rate_rad_s, command.yaw_rate_rad_s)),
    )


def _stopping_speed(spare_m: float, comes_m_s: float, braking_m_s2: float, response_s: float) -> float:
    """The speed v from which spare_m is enough to stop before a person who approaches at comes_m_s.

    v * response * LAG_SHARE + v^2 / (2 * braking) + comes * (response + v / braking) = spare.
    """
    spare_m -= comes_m_s * response_s
    if spare_m <= 0.0:
        return 0.0
    lag_m_s = braking_m_s2 * response_s * LAG_SHARE + comes_m_s
    return math.sqrt(lag_m_s * lag_m_s + 2.0 * braking_m_s2 * spare_m) - lag_m_s


def _approach_m_s(track: Sequence[_Person], along_x: float, along_y: float) -> float:
    """How fast somebody comes from the direction (along_x, along_y): the slope of the last sights, less their noise."""
    if len(track) < MIN_TRACK or track[-1].stamp_s - track[0].stamp_s < MIN_TRACK_S:
        return 0.0
    stamps = [person.stamp_s - track[0].stamp_s for person in track]
    away = [person.x_m * along_x + person.y_m * along_y for person in track]
    mean_s, mean_m = sum(stamps) / len(stamps), sum(away) / len(away)
    spread = sum((stamp_s - mean_s) ** 2 for stamp_s in stamps)
    slope = sum((stamp_s - mean_s) * (m - mean_m) for stamp_s, m in zip(stamps, away, strict=True)) / spread
    return min(MAX_APPROACH_M_S, max(0.0, -slope - APPROACH_NOISE_M_S))


def _kept_behind(x: float, y: float, walls: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The velocity with no more than the allowed speed along each direction; zero where that cannot be."""
    for _ in range(PASSES):
        free = True
        for along_x, along_y, allowed in walls:
            excess = x * along_x + y * along_y - allowed
            if excess > 1e-9:
                x, y, free = x - excess * along_x, y - excess * along_y, False
        if free:
            return x, y
    return 0.0, 0.0


def _shrinks(command: VelocityCommand, last: VelocityCommand) -> bool:
    """Whether the horizontal command is a part of the last one: between it and zero."""
    along = command.forward_m_s * last.forward_m_s + command.left_m_s * last.left_m_s
    cross = command.forward_m_s * last.left_m_s - command.left_m_s * last.forward_m_s
    speed, last_speed = math.hypot(command.forward_m_s, command.left_m_s), math.hypot(last.forward_m_s, last.left_m_s)
    return speed <= last_speed and along >= 0.0 and abs(cross) <= 1e-9 * max(1.0, last_speed**2)


def _away_m(person: _Person, other: _Person) -> float:
    return math.hypot(other.x_m - person.x_m, other.y_m - person.y_m)


def _memory_s(person: _Person, pose: VehiclePose) -> float:
    """How long somebody is remembered: not long where the camera looks and does not see them any more."""
    bearing_rad = math.atan2(person.y_m - pose.position_m[1], person.x_m - pose.position_m[0]) - pose.yaw_rad
    return MEMORY_IN_VIEW_S if abs(wrapped(bearing_rad)) < IN_VIEW_RAD else MEMORY_S


def _may_be(person: _Person, later: _Person) -> bool:
    """Whether somebody in a newer picture may be this person, who has walked on."""
    noise_m = SAME_M + SAME_SHARE * later.range_m
    return _away_m(person, later) <= noise_m + SAME_M_S * max(0.0, later.stamp_s - person.stamp_s)


def _between(value: float, last: float) -> bool:
    return min(0.0, last) <= value <= max(0.0, last)
