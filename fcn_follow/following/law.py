"""The control law: from the positions of hero and drone to the wanted velocity, before the limits.

It works in cylindrical coordinates around the hero, so that the drone flies around the hero and never over them. Radial
speed = rate of the distance reference + gain * distance error; tangential speed likewise; the hero's velocity is fed
forward to both. The references follow the set points through a critically damped second-order model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from fcn_follow.coordinates import rotated, wrapped
from fcn_follow.following.estimator import HeroEstimate
from fcn_follow.following.orbit import Orbit
from fcn_follow.following.parameters import FollowerParameters, Limits
from fcn_follow.following.pursuit import Pursuit, closing_speed
from fcn_follow.following.reasons import Limit
from fcn_follow.following.vehicle import VehiclePose
from fcn_follow.geometry import VelocityCommand

MIN_HEADING_SPEED_M_S = 0.7  # a slower hero has no heading
MIN_WALKING_SPEED_M_S = 0.6  # below this the velocity is mostly noise, and its feed-forward fades out
BACK_OFF_M_S = 0.3
MAX_LEAD_S = 0.3  # lead of the command, for a drone that takes up velocities slowly
MIN_CLIMB_M_S = 0.3
MAX_RETURN_M_S = 1.0  # back into the range; the camera does not look that way
MIN_BEARING_DISTANCE_M = 0.5  # nearer than this the bearing is undefined
MAX_ELEVATION_RAD = 1.4
MAX_SET_POINT_DISTANCE_M = 50.0
MIN_SET_POINT_HEIGHT_M, MAX_SET_POINT_HEIGHT_M = -1.0, 30.0
BEARING_OFFSETS = {"behind": math.pi, "front": 0.0, "left": math.pi / 2, "right": -math.pi / 2}


@dataclass
class SecondOrder:
    """A critically damped reference with a rate limit, integrated exactly for any step."""

    value: float = 0.0
    rate: float = 0.0

    def step(self, target: float, frequency_rad_s: float, rate_limit: float, dt_s: float, angle: bool = False) -> None:
        """Move towards the target for dt_s; an angle takes the short way round."""
        error = wrapped(self.value - target) if angle else self.value - target
        pull = (self.rate + frequency_rad_s * error) * dt_s
        decay = math.exp(-frequency_rad_s * dt_s)
        rate = (self.rate - frequency_rad_s * pull) * decay
        move = (error + pull) * decay - error
        self.rate = max(-rate_limit, min(rate_limit, rate))
        self.value += max(-rate_limit * dt_s, min(rate_limit * dt_s, move))
        if angle:
            self.value = wrapped(self.value)


@dataclass(frozen=True)
class RelativePosition:
    """The drone seen from the hero: horizontal distance, height above the middle of the body, bearing in odom."""

    distance_m: float
    height_m: float
    bearing_rad: float


def relative_position(hero: HeroEstimate, vehicle: VehiclePose) -> RelativePosition:
    """The drone seen from the hero; directly above it, the bearing is that of the drone's tail."""
    x = vehicle.position_m[0] - hero.position_odom_m[0]
    y = vehicle.position_m[1] - hero.position_odom_m[1]
    distance = math.hypot(x, y)
    bearing = math.atan2(y, x) if distance > MIN_BEARING_DISTANCE_M else wrapped(vehicle.yaw_rad + math.pi)
    return RelativePosition(distance, vehicle.position_m[2] - hero.position_odom_m[2], bearing)


@dataclass
class Trim:
    """The offset that the stick has added to the set points since the last reset."""

    distance_m: float = 0.0
    height_m: float = 0.0
    bearing_rad: float = 0.0


def bounded_distance_m(distance_m: float, limits: Limits) -> float:
    """A set point of the distance within the bounds that hold for parameters and stick together."""
    return max(limits.minimum_distance_m, min(MAX_SET_POINT_DISTANCE_M, distance_m))


def bounded_height_m(height_m: float) -> float:
    """A set point of the height, likewise."""
    return max(MIN_SET_POINT_HEIGHT_M, min(MAX_SET_POINT_HEIGHT_M, height_m))


class References:
    """Smooth references of distance, height and bearing."""

    def __init__(self) -> None:
        self.distance = SecondOrder()
        self.height = SecondOrder()
        self.bearing = SecondOrder()
        self.kept_bearing_rad = 0.0
        self.hero_heading_rad: float | None = None
        self._orbit = Orbit()

    def engage(self, where: RelativePosition, keep_bearing: bool) -> None:
        """Start at the drone's position. keep_bearing, after a search, keeps the bearing set point."""
        self.distance = SecondOrder(where.distance_m)
        self.height = SecondOrder(where.height_m)
        self.bearing = SecondOrder(where.bearing_rad)
        if not keep_bearing:
            self.kept_bearing_rad = where.bearing_rad
            self.hero_heading_rad = None
            self._orbit = Orbit()

    def step(
        self, parameters: FollowerParameters, trim: Trim, hero: HeroEstimate, where: RelativePosition, dt_s: float
    ) -> tuple[Limit, ...]:
        """Move towards the set points for dt_s; returns what limits a set point."""
        points, limits, camera = parameters.set_points, parameters.limits, parameters.camera
        frequency = parameters.gains.reference_rad_s
        vx, vy, _ = hero.velocity_odom_m_s
        if math.hypot(vx, vy) > MIN_HEADING_SPEED_M_S:
            self.hero_heading_rad = math.atan2(vy, vx)
        bearing = self.kept_bearing_rad
        if points.bearing == "compass":
            bearing = points.compass_rad
        elif points.bearing in BEARING_OFFSETS and self.hero_heading_rad is not None:
            bearing = self.hero_heading_rad + BEARING_OFFSETS[points.bearing]
        distance = bounded_distance_m(points.distance_m + trim.distance_m, limits)
        height = bounded_height_m(points.height_m + trim.height_m)
        lowest = math.tan(max(-MAX_ELEVATION_RAD, camera.pitch_down_rad - camera.keep_rad))
        highest = math.tan(min(MAX_ELEVATION_RAD, camera.pitch_down_rad + camera.keep_rad))
        span = max(where.distance_m, distance)
        in_view = max(span * lowest, min(span * highest, height))
        if in_view > where.height_m:  # too near the hero, a climb stays in view, but nothing forces a descent
            in_view = max(where.height_m, min(in_view, where.distance_m * highest))
        self.distance.step(distance, frequency, min(limits.speed_m_s, points.dolly_m_s), dt_s)
        self.height.step(in_view, frequency, max(limits.up_m_s, limits.down_m_s), dt_s)
        orbit_rad_s = limits.orbit_m_s / max(where.distance_m, limits.minimum_distance_m)
        bearing += trim.bearing_rad
        ahead_rad = wrapped(bearing + self._orbit.offset_rad - where.bearing_rad)
        self._orbit.step(points.orbit_rad_s, orbit_rad_s, ahead_rad, dt_s)
        self.bearing.step(bearing + self._orbit.offset_rad, frequency, orbit_rad_s, dt_s, angle=True)
        return (Limit.CAMERA_VIEW,) if in_view != height else ()


def bearing_error_rad(hero: HeroEstimate, vehicle: VehiclePose) -> float:
    """The angle from the drone's nose to the hero, positive to the left."""
    x = hero.position_odom_m[0] - vehicle.position_m[0]
    y = hero.position_odom_m[1] - vehicle.position_m[1]
    return wrapped(math.atan2(y, x) - vehicle.yaw_rad)


def side_of_leaving(hero: HeroEstimate, vehicle: VehiclePose) -> float:
    """+1 if the hero leaves to the left of the drone, else -1: by the hero's velocity, or position when standing."""
    x = hero.position_odom_m[0] - vehicle.position_m[0]
    y = hero.position_odom_m[1] - vehicle.position_m[1]
    vx, vy, _ = hero.velocity_odom_m_s
    walks = math.hypot(vx, vy) > MIN_WALKING_SPEED_M_S
    return math.copysign(1.0, x * vy - y * vx if walks else bearing_error_rad(hero, vehicle))


def yaw_to_hero(parameters: FollowerParameters, hero: HeroEstimate, vehicle: VehiclePose) -> float:
    """The yaw rate (rad/s) that centres the hero: gain * error + rate of the line of sight."""
    x = hero.position_odom_m[0] - vehicle.position_m[0]
    y = hero.position_odom_m[1] - vehicle.position_m[1]
    squared = x * x + y * y
    if squared < MIN_BEARING_DISTANCE_M**2:
        return 0.0
    vx = hero.velocity_odom_m_s[0] - vehicle.velocity_m_s[0]
    vy = hero.velocity_odom_m_s[1] - vehicle.velocity_m_s[1]
    rate = parameters.gains.yaw_1_s * bearing_error_rad(hero, vehicle) + (x * vy - y * vx) / squared
    rest = parameters.gains.yaw_rest_rad_s
    return math.copysign(max(0.0, abs(rate) - rest), rate)


def follow(
    parameters: FollowerParameters, references: References, hero: HeroEstimate, vehicle: VehiclePose, pursuit: Pursuit
) -> tuple[VelocityCommand, tuple[Limit, ...]]:
    """The velocity towards the references, turned to the hero, and what limits it."""
    limits, gains = parameters.limits, parameters.gains
    pursued = replace(hero, position_odom_m=(pursuit.position_m.x, pursuit.position_m.y, hero.position_odom_m[2]))
    seen = relative_position(hero, vehicle)
    where = relative_position(pursued, vehicle)
    outward = references.distance.rate + _braked(
        gains.distance_1_s, references.distance.value - where.distance_m, limits.acceleration_m_s2
    )
    turn = references.bearing.rate + gains.bearing_1_s * wrapped(references.bearing.value - where.bearing_rad)
    along = max(-limits.orbit_m_s, min(limits.orbit_m_s, turn * where.distance_m))
    motion = pursuit.motion
    hero_speed = abs(motion.velocity)
    share = gains.feed_forward * min(1.0, (hero_speed / MIN_WALKING_SPEED_M_S) ** 2)
    lead_s = min(MAX_LEAD_S, parameters.vehicle.response_s)
    ahead = motion.velocity * share + motion.acceleration * lead_s
    hero_outward, hero_along = rotated(ahead.x, ahead.y, -where.bearing_rad)
    outward, along = outward + hero_outward, along + hero_along
    shaped: tuple[Limit, ...] = ()
    if seen.distance_m < limits.minimum_distance_m:
        back_off = gains.distance_1_s * (limits.minimum_distance_m - seen.distance_m) + BACK_OFF_M_S
        outward, along = max(outward, back_off), hero_along
        shaped = (Limit.MINIMUM_DISTANCE,)
    up = references.height.rate + _braked(
        gains.height_1_s, references.height.value - where.height_m, limits.acceleration_m_s2
    )
    forward, left = rotated(outward, along, where.bearing_rad - vehicle.yaw_rad)
    return VelocityCommand(forward, left, up, yaw_to_hero(parameters, hero, vehicle)), shaped


def _braked(gain_1_s: float, error_m: float, acceleration_m_s2: float) -> float:
    return math.copysign(closing_speed(gain_1_s, abs(error_m), acceleration_m_s2), error_m)


def within_space(
    parameters: FollowerParameters,
    wanted: VelocityCommand,
    vehicle: VehiclePose,
    start_m: tuple[float, float],
    height_above_ground_m: float,
) -> tuple[VelocityCommand, tuple[Limit, ...]]:
    """The wanted velocity limited to the space above the minimum height and within the range of the start."""
    limits, gains = parameters.limits, parameters.gains
    forward, left, up = wanted.forward_m_s, wanted.left_m_s, wanted.up_m_s
    shaped: tuple[Limit, ...] = ()
    spare_height_m = height_above_ground_m - limits.minimum_height_m
    if spare_height_m < 0.0:
        climb = MIN_CLIMB_M_S - gains.height_1_s * spare_height_m
        return VelocityCommand(0.0, 0.0, max(up, climb), wanted.yaw_rate_rad_s), (Limit.MINIMUM_HEIGHT,)
    if up < -gains.height_1_s * spare_height_m:
        up, shaped = -gains.height_1_s * spare_height_m, (Limit.MINIMUM_HEIGHT,)
    x, y = vehicle.position_m[0] - start_m[0], vehicle.position_m[1] - start_m[1]
    distance = math.hypot(x, y)
    if distance > 0.0:
        outward_rad = math.atan2(y, x) - vehicle.yaw_rad
        outward, along = rotated(forward, left, -outward_rad)
        allowed = max(-MAX_RETURN_M_S, gains.distance_1_s * (limits.range_m - distance))
        if outward > allowed:
            forward, left = rotated(allowed, along, outward_rad)
            shaped = (*shaped, Limit.RANGE)
    return VelocityCommand(forward, left, up, wanted.yaw_rate_rad_s), shaped


def scaled(wanted: VelocityCommand, share: float) -> VelocityCommand:
    """The same direction at a share of the speed, with the same yaw rate."""
    return VelocityCommand(
        wanted.forward_m_s * share, wanted.left_m_s * share, wanted.up_m_s * share, wanted.yaw_rate_rad_s
    )
