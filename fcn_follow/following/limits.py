"""The last step before a command leaves: speed, acceleration, jerk, yaw rate and yaw acceleration.

They hold whatever came before.

Accelerations and jerks are those of the published numbers, in the body's axes. A step never starts a change that
could not be ended in time: the velocity at which the acceleration, taken back with full jerk, is zero lies within the
speed limit too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fcn_follow.following.parameters import Limits
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand

BISECTIONS = 12


@dataclass(frozen=True)
class _Motion:
    """A velocity (m/s) and its acceleration (m/s^2) in a plane."""

    vx: float = 0.0
    vy: float = 0.0
    ax: float = 0.0
    ay: float = 0.0


class Limiter:
    """Follows a wanted command as closely as the limits allow; one call a step."""

    def __init__(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Zero at once, whatever the limits say: for faults, for disabling and for the end."""
        self._horizontal = _Motion()
        self._vertical = _Motion()
        self.command = ZERO_COMMAND

    def overrule(self, command: VelocityCommand) -> None:
        """Go on from the command that was let pass instead of the last one."""
        self._horizontal = _Motion(command.forward_m_s, command.left_m_s)
        self._vertical = _Motion(command.up_m_s)
        self.command = command

    def step(self, wanted: VelocityCommand, limits: Limits, dt_s: float) -> tuple[VelocityCommand, tuple[str, ...]]:
        """The command dt_s after the last one and what kept it from being the wanted one."""
        if dt_s <= 0.0:
            return self.command, ()
        speed = math.hypot(wanted.forward_m_s, wanted.left_m_s)
        share = min(1.0, limits.speed_m_s / speed) if speed > 0.0 else 1.0
        up = max(-limits.down_m_s, min(limits.up_m_s, wanted.up_m_s))
        yaw_rate = max(-limits.yaw_rate_rad_s, min(limits.yaw_rate_rad_s, wanted.yaw_rate_rad_s))

        def speed_excess(x: float, y: float) -> float:
            return max(0.0, math.hypot(x, y) - limits.speed_m_s)

        def climb_excess(x: float, _: float) -> float:
            return max(0.0, x - limits.up_m_s, -x - limits.down_m_s)

        forward, left = wanted.forward_m_s * share, wanted.left_m_s * share
        self._horizontal = _approach(self._horizontal, forward, left, limits, dt_s, speed_excess)
        self._vertical = _approach(self._vertical, up, 0.0, limits, dt_s, climb_excess)
        yaw_step = limits.yaw_acceleration_rad_s2 * dt_s
        last_rate = self.command.yaw_rate_rad_s
        self.command = VelocityCommand(
            self._horizontal.vx,
            self._horizontal.vy,
            self._vertical.vx,
            max(last_rate - yaw_step, min(last_rate + yaw_step, yaw_rate)),
        )
        limited = (
            ("speed", share < 1.0),
            ("climb speed", up != wanted.up_m_s),
            ("yaw rate", yaw_rate != wanted.yaw_rate_rad_s),
            ("acceleration", math.hypot(self._horizontal.vx - forward, self._horizontal.vy - left) > 0.05),
            ("climb acceleration", abs(self._vertical.vx - up) > 0.05),
            ("yaw acceleration", abs(self.command.yaw_rate_rad_s - yaw_rate) > 0.02),
        )
        return self.command, tuple(name for name, is_limited in limited if is_limited)


def _within_acceleration(motion: _Motion, limit_m_s2: float) -> _Motion:
    """The motion without the acceleration above the limit, which is left where limits are lowered in flight.

    To ease it with a jerk that was lowered as well would take seconds, in which the speed runs away.
    """
    acceleration = math.hypot(motion.ax, motion.ay)
    if acceleration <= limit_m_s2 * (1.0 + 1e-9):
        return motion
    share = limit_m_s2 / acceleration
    return _Motion(motion.vx, motion.vy, motion.ax * share, motion.ay * share)


def _approach(
    motion: _Motion, x: float, y: float, limits: Limits, dt: float, excess: Callable[[float, float], float]
) -> _Motion:
    """The motion dt later on its way to the velocity (x, y); excess tells by how much a velocity is too fast."""
    jerk = limits.jerk_m_s3
    motion = _within_acceleration(motion, limits.acceleration_m_s2)
    to_go_x, to_go_y = x - motion.vx, y - motion.vy
    to_go = math.hypot(to_go_x, to_go_y)
    # The acceleration that, held for dt and then taken back with full jerk, ends at the wanted velocity.
    ideal = math.sqrt((jerk * dt) ** 2 + 2.0 * jerk * to_go) - jerk * dt
    share = min(limits.acceleration_m_s2, ideal, to_go / dt) / to_go if to_go > 0.0 else 0.0
    jump_x, jump_y = to_go_x * share - motion.ax, to_go_y * share - motion.ay
    jump = math.hypot(jump_x, jump_y)
    share = min(1.0, jerk * dt / jump) if jump > 0.0 else 0.0
    ax, ay = motion.ax + jump_x * share, motion.ay + jump_y * share

    acceleration = math.hypot(motion.ax, motion.ay)
    easing = max(0.0, 1.0 - jerk * dt / acceleration) if acceleration > 0.0 else 0.0
    eased_x, eased_y = motion.ax * easing, motion.ay * easing

    def end_excess(ax: float, ay: float) -> float:
        time = dt + math.hypot(ax, ay) / (2.0 * jerk)
        now = excess(motion.vx + ax * dt, motion.vy + ay * dt)
        return max(now, excess(motion.vx + ax * time, motion.vy + ay * time))

    allowed = end_excess(eased_x, eased_y)
    if end_excess(ax, ay) > allowed:
        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if end_excess(eased_x + (ax - eased_x) * middle, eased_y + (ay - eased_y) * middle) > allowed:
                high = middle
            else:
                low = middle
        ax, ay = eased_x + (ax - eased_x) * low, eased_y + (ay - eased_y) * low
    return _Motion(motion.vx + ax * dt, motion.vy + ay * dt, ax, ay)
