"""The wanted command of each state, before the limits: follow, coast, search, climb at the end of a search."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from fcn_follow.coordinates import rotated, wrapped
from fcn_follow.following.estimator import HeroEstimate
from fcn_follow.following.law import (
    References,
    Trim,
    bounded_distance_m,
    bounded_height_m,
    follow,
    relative_position,
    scaled,
    side_of_leaving,
    within_space,
    yaw_to_hero,
)
from fcn_follow.following.monitors import ClimbMonitor
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.following.pursuit import Pursuit
from fcn_follow.following.reasons import Limit, Reason
from fcn_follow.following.states import MOVING, State
from fcn_follow.following.vehicle import VehiclePose
from fcn_follow.geometry import ZERO_COMMAND, Vector3, VelocityCommand

Wanted = tuple[VelocityCommand | None, tuple[Limit, ...]]
"""The wanted command and what limits it; None asks for zero without a ramp."""


@dataclass(frozen=True)
class Moment:
    """The inputs of the wanted command besides the parameters and the set points.

    candidate is a person who may be the hero; last_up_m_s is the last command's. has_odometry: whether vehicle comes
    from odometry, not from dead reckoning. Ages are by image stamps, state_age_s by the follower's clock. check_rad_s
    is the yaw rate of the turn that checks the picture; turns_alone: without a turn towards the hero; is_unchecked: no
    such turn has been completed yet.
    """

    now_s: float
    dt_s: float
    state: State
    reason: str
    state_age_s: float
    check_rad_s: float
    turns_alone: bool
    is_unchecked: bool
    frame_age_s: float
    hero_age_s: float
    hero: HeroEstimate | None
    candidate: HeroEstimate | None
    vehicle: VehiclePose
    has_odometry: bool
    last_up_m_s: float


class Steering:
    """Set points with the stick's trim, their references, the start and the side on which the hero left."""

    def __init__(self) -> None:
        self._start_m: Vector3 | None = None
        self._hero_climb = ClimbMonitor(Reason.HERO_CLIMB_FAILED)
        self._ground_climb = ClimbMonitor(Reason.GROUND_CLIMB_FAILED)
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything but failed climbs and the start, from which ceiling and range count."""
        self._references = References()
        self._pursuit: Pursuit | None = None
        self._trim = Trim()
        self._stick, self._stick_s = ZERO_COMMAND, -math.inf
        self._engaged_s = -math.inf
        self._side = 1.0
        self.restart_climbs()

    def push_stick(self, speeds: VelocityCommand, now_s: float) -> None:
        """Move the set points at these speeds until timeouts.stick_s."""
        self._stick, self._stick_s = speeds, now_s

    def engage(self, now_s: float, hero: HeroEstimate, vehicle: VehiclePose, after_search: bool) -> None:
        """Begin to follow; after a search, keep the previous bearing and start."""
        self._references.engage(relative_position(hero, vehicle), keep_bearing=after_search)
        self._pursuit = Pursuit(hero)
        if not after_search:
            self._engaged_s = now_s
            self._start_m = self._start_m or vehicle.position_m

    def begin_search(self, hero: HeroEstimate, vehicle: VehiclePose) -> None:
        """Remember the side on which the hero left."""
        self._side = side_of_leaving(hero, vehicle)

    def restart_climbs(self) -> None:
        """Restart the climbs: heights have a new origin."""
        self._hero_climb.restart()
        self._ground_climb.restart()

    def climb_faults(self) -> tuple[str, str]:
        """The faults of the two climbs, empty without one."""
        return self._hero_climb.fault(), self._ground_climb.fault()

    def height_above_start_m(self, vehicle: VehiclePose) -> float | None:
        """The drone's height above the start, None before the start."""
        return None if self._start_m is None else vehicle.position_m[2] - self._start_m[2]

    def carry_start(self, old: VehiclePose, new: VehiclePose, turn_rad: float = 0.0) -> None:
        """Keep the start relative to the drone, which is at `old` in one frame and at `new` in another."""
        if self._start_m is None:
            return
        was_at = old.moved_to(new.stamp_s).position_m
        dx, dy, dz = (start - place for start, place in zip(self._start_m, was_at, strict=True))
        dx, dy = rotated(dx, dy, turn_rad)
        x, y, z = new.position_m
        self._start_m = (x + dx, y + dy, z + dz)

    def wanted(self, parameters: FollowerParameters, moment: Moment) -> Wanted:
        """The wanted command of the state."""
        if moment.state is State.HOLDING and moment.reason == Reason.SEARCH_ENDED:
            return self._climb(parameters, moment), ()
        if moment.state not in MOVING or moment.hero is None:
            return None, ()
        if moment.frame_age_s > parameters.timeouts.tracking_s:
            return ZERO_COMMAND, (Limit.NO_FRAMES,)
        if moment.state is State.SEARCHING:
            return self._search(parameters, moment, moment.hero), ()
        return self._follow(parameters, moment, moment.hero)

    def _follow(
        self, parameters: FollowerParameters, moment: Moment, hero: HeroEstimate
    ) -> tuple[VelocityCommand, tuple[Limit, ...]]:
        vehicle, timeouts = moment.vehicle, parameters.timeouts
        where = relative_position(hero, vehicle)
        self._move_set_points(parameters, moment, where.distance_m)
        limited = self._references.step(parameters, self._trim, hero, where, moment.dt_s)
        ground_m = 0.0 if moment.has_odometry else hero.position_odom_m[2] - parameters.hero.height_m / 2
        above_ground_m = vehicle.position_m[2] - ground_m
        height_error_m = self._references.height.value - where.height_m
        self._hero_climb.step(moment.last_up_m_s, height_error_m, where.height_m, moment.dt_s)
        if moment.has_odometry:
            missing_m = parameters.limits.minimum_height_m - above_ground_m
            self._ground_climb.step(moment.last_up_m_s, missing_m, above_ground_m, moment.dt_s)
        self._pursuit = self._pursuit or Pursuit(hero)
        self._pursuit.step(hero, parameters.gains.pursuit_rad_s, parameters.limits, moment.dt_s)
        wanted, limited_by_law = follow(parameters, self._references, hero, vehicle, self._pursuit)
        limited += limited_by_law
        share = 1.0
        ramp_s = parameters.gains.ramp_s
        if moment.now_s - self._engaged_s < ramp_s:
            share = (moment.now_s - self._engaged_s) / ramp_s
            limited += (Limit.RAMP,)
        if moment.state is State.COASTING:
            remaining_s = timeouts.coast_s - moment.hero_age_s
            share *= min(1.0, 2.0 * remaining_s / (timeouts.coast_s - timeouts.tracking_s))
            limited += (Limit.COASTING,)
        is_blind = moment.state is State.COASTING and moment.is_unchecked
        if is_blind:
            share = 0.0
        start_m = self._start_m or vehicle.position_m
        wanted, limited_by_space = within_space(parameters, scaled(wanted, share), vehicle, start_m[:2], above_ground_m)
        followed_rad_s = 0.0 if moment.turns_alone or is_blind else wanted.yaw_rate_rad_s
        wanted = replace(wanted, yaw_rate_rad_s=followed_rad_s + moment.check_rad_s)
        return wanted, limited + limited_by_space

    def _search(self, parameters: FollowerParameters, moment: Moment, hero: HeroEstimate) -> VelocityCommand:
        """Look at the predicted hero or at a candidate, then turn slowly towards the side where the hero left."""
        search = parameters.search
        if moment.candidate is not None or moment.state_age_s < search.look_s:
            rate = yaw_to_hero(parameters, moment.candidate or hero, moment.vehicle)
            return VelocityCommand(yaw_rate_rad_s=_clamped(rate, search.look_rate_rad_s))
        remaining_s = parameters.timeouts.search_s - moment.hero_age_s
        stopping_rad_s = parameters.limits.yaw_acceleration_rad_s2 * max(0.0, remaining_s) / 2
        return VelocityCommand(yaw_rate_rad_s=self._side * min(search.turn_rate_rad_s, stopping_rad_s))

    def _climb(self, parameters: FollowerParameters, moment: Moment) -> VelocityCommand | None:
        search = parameters.search
        if moment.state_age_s >= search.climb_s or moment.frame_age_s > parameters.timeouts.camera_s:
            return None
        return VelocityCommand(up_m_s=search.climb_m_s, yaw_rate_rad_s=self._side * search.turn_rate_rad_s)

    def _move_set_points(self, parameters: FollowerParameters, moment: Moment, hero_distance_m: float) -> None:
        """Let the stick move the set points, while its input is fresh."""
        if moment.now_s - self._stick_s > parameters.timeouts.stick_s:
            return
        points, limits, trim, stick = parameters.set_points, parameters.limits, self._trim, self._stick
        distance_m = points.distance_m + trim.distance_m - _clamped(stick.forward_m_s, limits.speed_m_s) * moment.dt_s
        trim.distance_m = bounded_distance_m(distance_m, limits) - points.distance_m
        height_m = points.height_m + trim.height_m + _clamped(stick.up_m_s, limits.up_m_s) * moment.dt_s
        trim.height_m = bounded_height_m(height_m) - points.height_m
        along_m = _clamped(stick.left_m_s, limits.orbit_m_s) * moment.dt_s
        trim.bearing_rad = wrapped(trim.bearing_rad - along_m / max(hero_distance_m, limits.minimum_distance_m))


def _clamped(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))
