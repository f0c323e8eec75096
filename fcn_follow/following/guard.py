"""The last check of a command, independent of the rest of the follower.

The guard uses the newest raw detections, the commands that it passed and the limits, but no estimate. Of odometry it
uses only the tilt of a camera without a gimbal, and keeps clear of people both where they are with and without it.
It dead-reckons the drone from its commands to predict detections to now. A person may be anywhere in a disc around the
detected position, whose radius grows with the age of the image.

- A command that is not finite or impossibly large becomes zero, and is a fault.
- Speed, climb, descent and yaw rate keep their limits, and a command grows no faster than the acceleration limits
  allow in the elapsed time. A command may always shrink.
- The drone does not move horizontally towards a person who may be nearer than the minimum distance, keeps a speed from
  which it can stop before that, and does not descend onto a person.
- The drone does not climb above the maximum height and does not descend below the minimum height.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fcn_follow.coordinates import body_from_optical, level_from_body, rotated, wrapped
from fcn_follow.following.parameters import FollowerParameters, Limits, VehicleParameters
from fcn_follow.following.reasons import Limit, Reason
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose, dead_reckoned
from fcn_follow.geometry import ZERO_COMMAND, Vector3, VelocityCommand

MAX_COMMAND = 1000.0  # m/s and rad/s
MAX_GAP_S = 2.0
MAX_STEP_S = 0.1  # a longer pause between two commands allows no further growth
ACCELERATION_TOLERANCE = 1.02  # the limiter and the guard measure time by different clocks
HEIGHT_GAIN_1_S = 1.0
LAG_SHARE = 1.5  # with 1 a lagging drone overshoots by 0.3 m from 6 m/s
ADVICE_MARGIN_M = 0.3
EASING_S = 0.05  # detections jump from frame to frame, and the allowed speed with them
SWING_SHARE = 0.1  # of the range; the hero's steps make it vary by so much
MAX_PASSES = 4  # stopping the motion towards one person may turn it towards another

TRACK_S, MIN_TRACK_S = 0.6, 0.3
MAX_TRACK, MIN_TRACK = 64, 4
MIN_HERO_S = 1.0
APPROACH_NOISE_M_S, MAX_APPROACH_M_S = 0.7, 6.0
BODY_M, ARM_M = 0.3, 0.6  # nearer than ARM_M a body's width counts too
MEMORY_S = 2.0  # of a person who may have left the image
MEMORY_IN_VIEW_S, IN_VIEW_RAD = 0.5, 0.4  # of a person who is no longer detected near the middle of the image
MAX_REMEMBERED = 64
LEVEL = (0.0, 0.0)
# Detections are of the same person within a distance, plus a share of the range, plus a speed times the time between.
SAME_PERSON_M, SAME_PERSON_SHARE, SAME_PERSON_M_S = 0.7, 0.15, 3.0


@dataclass(frozen=True)
class Heights:
    """The drone's height above the start and above the ground, in m; None without odometry."""

    above_start_m: float | None = None
    above_ground_m: float | None = None


@dataclass(frozen=True)
class Guarded:
    """A checked command, the names of the checks that changed it, and the fault of an impossible one."""

    command: VelocityCommand
    limited_by: tuple[Limit, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class _Person:
    """A detection: the middle of the body (m) in the guard's dead-reckoned frame, and its range from the camera.

    tilted_m is x and y if the tilt in odometry is right.
    """

    stamp_s: float
    range_m: float
    x_m: float
    y_m: float
    z_m: float
    tilted_m: tuple[float, float] | None = None


class Guard:
    """At each step call `advance`, pass detections to `see_hero` and `see_people`, then `check` the command.

    history holds the dead-reckoned poses of the drone. Times are in s.
    """

    def __init__(self, parameters: FollowerParameters) -> None:
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        """Forget all detections, and assume that the drone stands still."""
        self._hero: _Person | None = None
        self._hero_track: deque[_Person] = deque(maxlen=MAX_TRACK)
        self._hero_since_s = math.inf
        self._replaced_heroes: tuple[_Person, ...] = ()
        self._people: tuple[_Person, ...] = ()
        self._remembered: tuple[_Person, ...] = ()
        self._people_s = -math.inf
        self.history = VehicleHistory()
        self._last = ZERO_COMMAND
        self._growth_s = 0.0

    def advance(self, now_s: float) -> VehiclePose:
        """The drone now, dead-reckoned from the commands; the guard starts anew after a jump of the clock."""
        last = self.history.newest
        if last is None or not 0.0 <= now_s - last.stamp_s <= MAX_GAP_S:
            pose = VehiclePose(now_s)
            self.reset()
        else:
            pose = dead_reckoned(last, self._last, now_s - last.stamp_s, self.parameters.vehicle.response_s)
        self.history.add(pose)
        return pose

    def see_hero(self, stamp_s: float, position_camera_m: Vector3, tilt_rad: tuple[float, float] = LEVEL) -> None:
        """Take a detection of the hero in the camera's optical frame, unless it is older than the last one.

        tilt_rad is the roll and pitch of a camera that no gimbal keeps level.
        If a new hero is too far away to be the same person, the old hero may still be hidden at the last place: a hero
        of at least MIN_HERO_S is kept for timeouts.coast_s, unless a person is seen near there.
        """
        if self._hero is not None and stamp_s < self._hero.stamp_s:
            return
        last, self._hero = self._hero, self._placed(stamp_s, position_camera_m, tilt_rad)
        self._remember((last,) if last else (), (self._hero,))
        self._find_replaced((self._hero,))
        if last is None or not _may_be(last, self._hero):
            if last is not None and last.stamp_s - self._hero_since_s >= MIN_HERO_S:
                self._replaced_heroes = (*self._replaced_heroes, last)[-MAX_REMEMBERED:]
            self._hero_since_s = stamp_s
            self._hero_track.clear()
        self._hero_track.append(self._hero)
        while self._hero.stamp_s - self._hero_track[0].stamp_s > TRACK_S:
            self._hero_track.popleft()

    def see_people(
        self, stamp_s: float, positions_camera_m: Sequence[Vector3], tilt_rad: tuple[float, float] = LEVEL
    ) -> None:
        """Take the detections of the other people in an image, unless it is older than the last one.

        A person of the last image without a new detection is kept for MEMORY_S, except one at the hero's
        position, which is a fringe of the hero's blob.
        """
        if stamp_s < self._people_s:
            return
        hero, self._people_s = self._hero, stamp_s
        last = [person for person in self._people if hero is None or not _may_be(person, hero)]
        self._people = tuple(self._placed(stamp_s, position, tilt_rad) for position in positions_camera_m)
        self._remember(last, self._people)
        self._find_replaced(self._people)

    def advise(self, wanted: VelocityCommand, now_s: float, heights: Heights) -> VelocityCommand:
        """The wanted command, restricted by people, with an additional margin, and by height.

        The limiter starts from this command, so that `check` rarely has to reduce its output.
        """
        pose = self.history.newest or self.advance(now_s)
        kept_away = self._away_from_people(wanted, pose, now_s, margin_m=ADVICE_MARGIN_M)
        return self._within_heights(kept_away, pose, heights)

    def check(self, command: VelocityCommand, now_s: float, elapsed_s: float, heights: Heights = Heights()) -> Guarded:
        """The command that may be flown; elapsed_s is the time since the last call by a steady clock."""
        limits = self.parameters.limits
        fault, checked = "", command
        if not all(abs(value) <= MAX_COMMAND for value in dataclasses.astuple(command)):  # false for NaN
            fault, checked = Reason.COMMAND_IMPOSSIBLE, ZERO_COMMAND
        pose = self.history.newest or self.advance(now_s)
        restrictions: tuple[tuple[Limit, Callable[[VelocityCommand], VelocityCommand]], ...] = (
            (Limit.GUARD_LIMITS, lambda each: _within_limits(each, limits)),
            (Limit.GUARD_ELAPSED_TIME, lambda each: self._grown(each, limits, elapsed_s)),
            (Limit.GUARD_LOWER_LIMITS, lambda each: _within_limits(each, limits)),
            (Limit.GUARD_PEOPLE, lambda each: self._away_from_people(each, pose, now_s, elapsed_s)),
            (Limit.GUARD_HEIGHT, lambda each: self._within_heights(each, pose, heights)),
        )
        limited = []
        for name, restrict in restrictions:
            restricted = restrict(checked)
            if restricted != checked:
                limited.append(name)
                checked = restricted
        self._last = checked
        return Guarded(checked, tuple(limited), fault)

    def _placed(self, stamp_s: float, position_camera_m: Vector3, tilt_rad: tuple[float, float]) -> _Person:
        """A detection in the dead-reckoned frame, without the tilt and with it."""
        mount = self.parameters.camera.mount
        seen = forward, left, up = body_from_optical(position_camera_m, mount.pitch_down_rad)
        pose = self.history.at(stamp_s) or self.history.newest or VehiclePose(stamp_s)
        arm_x, arm_y, arm_z = mount.position_body_m
        x, y = rotated(forward + arm_x, left + arm_y, pose.yaw_rad)
        drone_x, drone_y, drone_z = pose.position_m
        tilted_m = None
        if tilt_rad != LEVEL:
            level = level_from_body(seen, *tilt_rad)
            tilted_x, tilted_y = rotated(level[0] + arm_x, level[1] + arm_y, pose.yaw_rad)
            tilted_m = drone_x + tilted_x, drone_y + tilted_y
        range_m = math.hypot(*position_camera_m)
        return _Person(stamp_s, range_m, drone_x + x, drone_y + y, drone_z + up + arm_z, tilted_m)

    def _remember(self, last: Sequence[_Person], seen: Sequence[_Person]) -> None:
        """Remember people of the last image, and those already remembered, who match nobody in the new image.

        A person not detected for long within the camera's view is dropped, even if the drone later flies past.
        """
        pose, unmatched, missed = self.history.newest, list(seen), []
        for person in (*last, *self._remembered):
            nearest = min(unmatched, key=lambda each: _away_m(person, each), default=None)
            if nearest is not None and _may_be(person, nearest):
                unmatched.remove(nearest)
            elif pose is None or pose.stamp_s - person.stamp_s <= _memory_s(person, pose):
                missed.append(person)
        self._remembered = tuple(missed[:MAX_REMEMBERED])

    def _find_replaced(self, seen: Sequence[_Person]) -> None:
        """Forget the replaced heroes near whom a person is seen."""
        speed_m_s = self.parameters.limits.unseen_speed_m_s
        self._replaced_heroes = tuple(
            hero for hero in self._replaced_heroes if not any(_may_be(hero, each, speed_m_s) for each in seen)
        )

    def _grown(self, command: VelocityCommand, limits: Limits, elapsed_s: float) -> VelocityCommand:
        """The command, changed from the last one no more than the elapsed time allows; it may always shrink."""
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
        self,
        command: VelocityCommand,
        pose: VehiclePose,
        now_s: float,
        elapsed_s: float = math.inf,
        margin_m: float = 0.0,
    ) -> VelocityCommand:
        """The command without motion towards people from which the drone could not stop in time.

        If the last command has become too fast, its excess decays with the time constant EASING_S; towards a person who
        may be nearer than the minimum distance it ends at once.
        """
        kept = math.exp(-max(0.0, elapsed_s) / EASING_S)
        x, y = rotated(command.forward_m_s, command.left_m_s, pose.yaw_rad)
        last_x, last_y = rotated(self._last.forward_m_s, self._last.left_m_s, pose.yaw_rad)
        walls, may_descend = [], True
        for along_x, along_y, allowed_m_s, is_near in self._walls(pose, now_s, margin_m):
            excess_m_s = max(0.0, last_x * along_x + last_y * along_y - allowed_m_s)
            walls.append((along_x, along_y, allowed_m_s + (0.0 if is_near else kept * excess_m_s)))
            may_descend = may_descend and not is_near
        free_x, free_y = _limited_along(x, y, walls)
        up = command.up_m_s if may_descend else max(0.0, command.up_m_s)
        if (free_x, free_y, up) == (x, y, command.up_m_s):
            return command
        forward, left = rotated(free_x, free_y, -pose.yaw_rad)
        return VelocityCommand(forward, left, up, command.yaw_rate_rad_s)

    def _walls(self, pose: VehiclePose, now_s: float, margin_m: float) -> Iterator[tuple[float, float, float, bool]]:
        """Directions x, y towards people, the allowed speed along each, and whether the person may be too near."""
        limits = self.parameters.limits
        remembered = (person for person in self._remembered if now_s - person.stamp_s <= _memory_s(person, pose))
        coast_s = self.parameters.timeouts.coast_s
        replaced = (person for person in self._replaced_heroes if now_s - person.stamp_s <= coast_s)
        people = (*self._people, *remembered, *replaced, *((self._hero,) if self._hero else ()))
        for person, (place_x_m, place_y_m) in ((each, place) for each in people for place in _places(each)):
            px, py = place_x_m - pose.position_m[0], place_y_m - pose.position_m[1]
            distance_m = math.hypot(px, py)
            disc_m = limits.unseen_speed_m_s * max(0.0, now_s - person.stamp_s)
            is_near = distance_m - disc_m < limits.minimum_distance_m
            if distance_m == 0.0:
                yield from ((x, y, 0.0, is_near) for x, y in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)))
                continue
            along_x, along_y = px / distance_m, py / distance_m
            spare_m = distance_m - disc_m - limits.minimum_distance_m - margin_m
            approach_m_s = 0.0
            if person is self._hero and not is_near:
                approach_m_s, farther_m = _approach(self._hero_track, along_x, along_y)
                spare_m += min(farther_m, SWING_SHARE * distance_m)
            allowed_m_s = _stopping_speed(spare_m, approach_m_s, self.parameters.vehicle)
            width_m = max(disc_m, BODY_M) if distance_m < ARM_M else disc_m
            edge_rad = math.asin(min(1.0, width_m / distance_m))  # the person may be at either edge of the disc
            for angle_rad in (0.0, edge_rad, -edge_rad):
                yield (*rotated(along_x, along_y, angle_rad), allowed_m_s, is_near)

    def _within_heights(self, command: VelocityCommand, pose: VehiclePose, heights: Heights) -> VelocityCommand:
        limits = self.parameters.limits
        above_start_m, above_ground_m = heights.above_start_m, heights.above_ground_m
        if above_ground_m is None and self._hero is not None:
            feet_m = self._hero.z_m - self.parameters.hero.height_m / 2
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


def _stopping_speed(spare_m: float, approach_m_s: float, vehicle: VehicleParameters) -> float:
    """The speed v from which the drone can stop within spare_m of a person who approaches at approach_m_s.

    v * (response * LAG_SHARE + EASING_S) + v^2 / (2 * braking) + comes * (response + v / braking) = spare.
    """
    braking_m_s2, response_s = vehicle.braking_m_s2, vehicle.response_s
    spare_m -= approach_m_s * response_s
    if spare_m <= 0.0:
        return 0.0
    lag_m_s = braking_m_s2 * (response_s * LAG_SHARE + EASING_S) + approach_m_s
    return math.sqrt(lag_m_s * lag_m_s + 2.0 * braking_m_s2 * spare_m) - lag_m_s


def _approach(track: Sequence[_Person], along_x: float, along_y: float) -> tuple[float, float]:
    """The speed (m/s) of approach from the direction (along_x, along_y), and how much farther (m) the last one may be.

    Both come from a line through the track, the speed less its noise: single detections vary with the hero's steps.
    """
    if len(track) < MIN_TRACK or track[-1].stamp_s - track[0].stamp_s < MIN_TRACK_S:
        return 0.0, 0.0
    stamps = [person.stamp_s - track[0].stamp_s for person in track]
    away = [person.x_m * along_x + person.y_m * along_y for person in track]
    mean_s, mean_m = sum(stamps) / len(stamps), sum(away) / len(away)
    spread = sum((stamp_s - mean_s) ** 2 for stamp_s in stamps)
    slope = sum((stamp_s - mean_s) * (m - mean_m) for stamp_s, m in zip(stamps, away, strict=True)) / spread
    farther_m = mean_m + slope * (stamps[-1] - mean_s) - away[-1]
    return min(MAX_APPROACH_M_S, max(0.0, -slope - APPROACH_NOISE_M_S)), farther_m


def _limited_along(x: float, y: float, walls: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The velocity within the allowed speed along each direction (x, y, speed); zero if there is none."""
    for _ in range(MAX_PASSES):
        satisfied = True
        for along_x, along_y, allowed in walls:
            excess = x * along_x + y * along_y - allowed
            if excess > 1e-9:
                x, y, satisfied = x - excess * along_x, y - excess * along_y, False
        if satisfied:
            return x, y
    return 0.0, 0.0


def _shrinks(command: VelocityCommand, last: VelocityCommand) -> bool:
    """Whether the horizontal command lies between the last one and zero."""
    along = command.forward_m_s * last.forward_m_s + command.left_m_s * last.left_m_s
    cross = command.forward_m_s * last.left_m_s - command.left_m_s * last.forward_m_s
    speed, last_speed = math.hypot(command.forward_m_s, command.left_m_s), math.hypot(last.forward_m_s, last.left_m_s)
    return speed <= last_speed and along >= 0.0 and abs(cross) <= 1e-9 * max(1.0, last_speed**2)


def _places(person: _Person) -> Iterator[tuple[float, float]]:
    """Where the person may be: without the tilt, and with it."""
    yield person.x_m, person.y_m
    if person.tilted_m is not None:
        yield person.tilted_m


def _away_m(person: _Person, other: _Person) -> float:
    return math.hypot(other.x_m - person.x_m, other.y_m - person.y_m)


def _memory_s(person: _Person, pose: VehiclePose) -> float:
    """How long a person is remembered; shorter in the middle of the image, where the camera would see them."""
    bearing_rad = math.atan2(person.y_m - pose.position_m[1], person.x_m - pose.position_m[0]) - pose.yaw_rad
    return MEMORY_IN_VIEW_S if abs(wrapped(bearing_rad)) < IN_VIEW_RAD else MEMORY_S


def _may_be(person: _Person, later: _Person, speed_m_s: float = SAME_PERSON_M_S) -> bool:
    """Whether a later detection may be the same person, who has walked there."""
    noise_m = SAME_PERSON_M + SAME_PERSON_SHARE * later.range_m
    return _away_m(person, later) <= noise_m + speed_m_s * max(0.0, later.stamp_s - person.stamp_s)


def _between(value: float, last: float) -> bool:
    return min(0.0, last) <= value <= max(0.0, last)
