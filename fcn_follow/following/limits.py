"""The limits of a command: speed, acceleration, jerk, yaw rate, yaw acceleration, and its lead over the drone.

Acceleration and jerk are those of the published command, in body axes. A step never starts a change that could
not end in time: the velocity at which the acceleration, taken back with full jerk, reaches zero keeps the speed limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fcn_follow.coordinates import rotated
from fcn_follow.following.parameters import Limits
from fcn_follow.following.reasons import Limit
from fcn_follow.following.vehicle import VehiclePose
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand

BISECTIONS = 12
RESPONSE_S = 0.25  # time constant of small changes
MAX_LEAD_M_S = 2.5  # a command must not wind up while the drone does not follow it
ACCELERATION_SHOWN_M_S, YAW_ACCELERATION_SHOWN_RAD_S = 0.05, 0.02  # smaller differences are not reported as limited


@dataclass(frozen=True, slots=True)
class PlaneVector:
    """Two components: forward and left, or up and zero."""

    x: float = 0.0
    y: float = 0.0

    def __add__(self, other: PlaneVector) -> PlaneVector:
        return PlaneVector(self.x + other.x, self.y + other.y)

    def __sub__(self, other: PlaneVector) -> PlaneVector:
        return PlaneVector(self.x - other.x, self.y - other.y)

    def __mul__(self, factor: float) -> PlaneVector:
        return PlaneVector(self.x * factor, self.y * factor)

    def __abs__(self) -> float:
        return math.hypot(self.x, self.y)


@dataclass(frozen=True, slots=True)
class PlaneMotion:
    """A velocity (m/s) and its acceleration (m/s^2)."""

    velocity: PlaneVector = PlaneVector()
    acceleration: PlaneVector = PlaneVector()


Excess = Callable[[PlaneVector], float]
"""By how much a velocity exceeds the speed limit, in m/s."""


class Limiter:
    """Follows a wanted command as closely as the limits allow."""

    def __init__(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Set the command to zero without a ramp: after a fault, when disabled, at the end."""
        self._horizontal = self._vertical = PlaneMotion()
        self.command = ZERO_COMMAND

    def overrule(self, command: VelocityCommand) -> None:
        """Continue from a command other than the last one that `step` returned."""
        if (command.forward_m_s, command.left_m_s) != (self.command.forward_m_s, self.command.left_m_s):
            self._horizontal = PlaneMotion(PlaneVector(command.forward_m_s, command.left_m_s))
        if command.up_m_s != self.command.up_m_s:
            self._vertical = PlaneMotion(PlaneVector(command.up_m_s))
        self.command = command

    def step(self, wanted: VelocityCommand, limits: Limits, dt_s: float) -> tuple[VelocityCommand, tuple[Limit, ...]]:
        """The command dt_s after the last one, and the names of the limits that changed the wanted one."""
        if dt_s <= 0.0:
            return self.command, ()
        speed = math.hypot(wanted.forward_m_s, wanted.left_m_s)
        share = min(1.0, limits.speed_m_s / speed) if speed > 0.0 else 1.0
        level = PlaneVector(wanted.forward_m_s, wanted.left_m_s) * share
        up = max(-limits.down_m_s, min(limits.up_m_s, wanted.up_m_s))
        yaw_rate = max(-limits.yaw_rate_rad_s, min(limits.yaw_rate_rad_s, wanted.yaw_rate_rad_s))

        def speed_excess(velocity: PlaneVector) -> float:
            return max(0.0, abs(velocity) - limits.speed_m_s)

        def climb_excess(velocity: PlaneVector) -> float:
            return max(0.0, velocity.x - limits.up_m_s, -velocity.x - limits.down_m_s)

        self._horizontal = _next_motion(self._horizontal, level, limits, dt_s, speed_excess)
        self._vertical = _next_motion(self._vertical, PlaneVector(up), limits, dt_s, climb_excess)
        velocity, climb = self._horizontal.velocity, self._vertical.velocity
        yaw_step = limits.yaw_acceleration_rad_s2 * dt_s
        last_rate = self.command.yaw_rate_rad_s
        self.command = VelocityCommand(
            velocity.x, velocity.y, climb.x, max(last_rate - yaw_step, min(last_rate + yaw_step, yaw_rate))
        )
        limited = (
            (Limit.SPEED, share < 1.0),
            (Limit.CLIMB_SPEED, up != wanted.up_m_s),
            (Limit.YAW_RATE, yaw_rate != wanted.yaw_rate_rad_s),
            (Limit.ACCELERATION, abs(velocity - level) > ACCELERATION_SHOWN_M_S),
            (Limit.CLIMB_ACCELERATION, abs(climb.x - up) > ACCELERATION_SHOWN_M_S),
            (Limit.YAW_ACCELERATION, abs(self.command.yaw_rate_rad_s - yaw_rate) > YAW_ACCELERATION_SHOWN_RAD_S),
        )
        return self.command, tuple(name for name, is_limited in limited if is_limited)


def limit_lead(command: VelocityCommand, pose: VehiclePose) -> VelocityCommand:
    """The command with a horizontal speed at most MAX_LEAD_M_S above the drone's speed in the same direction."""
    speed = math.hypot(command.forward_m_s, command.left_m_s)
    if speed == 0.0:
        return command
    forward, left = rotated(pose.velocity_m_s[0], pose.velocity_m_s[1], -pose.yaw_rad)
    along = (forward * command.forward_m_s + left * command.left_m_s) / speed
    share = min(1.0, (max(0.0, along) + MAX_LEAD_M_S) / speed)
    return VelocityCommand(
        command.forward_m_s * share, command.left_m_s * share, command.up_m_s, command.yaw_rate_rad_s
    )


def _next_motion(motion: PlaneMotion, target: PlaneVector, limits: Limits, dt_s: float, excess: Excess) -> PlaneMotion:
    """The motion dt_s later on its way to the target velocity."""
    motion = _within_acceleration(motion, limits.acceleration_m_s2)
    towards = towards_velocity(motion, target, limits, RESPONSE_S, dt_s)
    eased = _eased(motion.acceleration, limits.jerk_m_s3, dt_s)
    acceleration = _within_speed(motion.velocity, towards, eased, limits.jerk_m_s3, dt_s, excess)
    return PlaneMotion(motion.velocity + acceleration * dt_s, acceleration)


def _within_acceleration(motion: PlaneMotion, limit_m_s2: float) -> PlaneMotion:
    """The motion with its acceleration cut to a limit that was lowered in flight.

    The jerk limit, lowered as well, would take seconds to reduce it, and the speed would run away.
    """
    acceleration = abs(motion.acceleration)
    if acceleration <= limit_m_s2 * (1.0 + 1e-9):
        return motion
    return PlaneMotion(motion.velocity, motion.acceleration * (limit_m_s2 / acceleration))


def towards_velocity(
    motion: PlaneMotion, target: PlaneVector, limits: Limits, response_s: float, dt_s: float
) -> PlaneVector:
    """The acceleration towards the target velocity, within the limits of acceleration and jerk."""
    jerk = limits.jerk_m_s3
    missing = target - motion.velocity
    missing_m_s = abs(missing)
    # held for dt_s and then reduced with full jerk, this acceleration ends at the target
    ideal = math.sqrt((jerk * dt_s) ** 2 + 2.0 * jerk * missing_m_s) - jerk * dt_s
    eased = missing_m_s / max(dt_s, response_s)
    share = min(limits.acceleration_m_s2, ideal, eased) / missing_m_s if missing_m_s > 0.0 else 0.0
    change = missing * share - motion.acceleration
    change_m_s2 = abs(change)
    return motion.acceleration + change * (min(1.0, jerk * dt_s / change_m_s2) if change_m_s2 > 0.0 else 0.0)


def _eased(acceleration: PlaneVector, jerk_m_s3: float, dt_s: float) -> PlaneVector:
    """The acceleration after dt_s of full jerk towards zero."""
    size = abs(acceleration)
    return acceleration * (max(0.0, 1.0 - jerk_m_s3 * dt_s / size) if size > 0.0 else 0.0)


def _within_speed(
    velocity: PlaneVector, towards: PlaneVector, eased: PlaneVector, jerk_m_s3: float, dt_s: float, excess: Excess
) -> PlaneVector:
    """The acceleration nearest to `towards`, on the line from `eased`, that exceeds the speed no more than `eased`."""

    def max_excess(acceleration: PlaneVector) -> float:
        end_s = dt_s + abs(acceleration) / (2.0 * jerk_m_s3)
        return max(excess(velocity + acceleration * dt_s), excess(velocity + acceleration * end_s))

    allowed = max_excess(eased)
    if not max_excess(towards) > allowed:
        return towards
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if max_excess(eased + (towards - eased) * middle) > allowed:
            high = middle
        else:
            low = middle
    return eased + (towards - eased) * low
