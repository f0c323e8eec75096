"""The pursued hero: the estimate, smoothed within the limits of the drone's motion.

The estimate jumps with each frame, and a person starts, turns and stops faster than a camera drone should. The pursued
hero follows the estimate as a critically damped reference within the limits of acceleration and jerk: it moves with the
estimate's velocity plus a share of the distance to the estimate. In steady motion it does not lag behind, and its
acceleration is known, so that the command can compensate the drone's own lag.
"""

from __future__ import annotations

import math

from fcn_follow.following.estimator import HeroEstimate
from fcn_follow.following.limits import PlaneMotion, PlaneVector, towards_velocity
from fcn_follow.following.parameters import Limits

MAX_BEGIN_M_S = 3.0  # the first estimates of a velocity may come from false detections
MAX_BEHIND_M = 3.0
"""Beyond this distance the estimate has jumped, and a slow reference would fly to an empty place."""


def closing_speed(gain_1_s: float, distance_m: float, braking_m_s2: float) -> float:
    """The speed v (m/s) from which to stop after a distance: v / gain + v^2 / (2 * braking) = distance."""
    if gain_1_s <= 0.0:
        return 0.0
    lag_m_s = braking_m_s2 / gain_1_s
    reach = 2.0 * braking_m_s2 * distance_m
    return reach / (math.sqrt(lag_m_s * lag_m_s + reach) + lag_m_s)


class Pursuit:
    """Horizontal position (m) and motion of the pursued hero in odom; it begins where the hero is."""

    def __init__(self, hero: HeroEstimate) -> None:
        self.position_m = PlaneVector(*hero.position_odom_m[:2])
        self.motion = _begun(hero, MAX_BEGIN_M_S)

    def step(self, hero: HeroEstimate, frequency_rad_s: float, limits: Limits, dt_s: float) -> None:
        """Follow the estimate for dt_s, and remain within MAX_BEHIND_M of it."""
        if dt_s <= 0.0:
            return
        behind = PlaneVector(*hero.position_odom_m[:2]) - self.position_m
        behind_m = abs(behind)
        wanted = PlaneVector(*hero.velocity_odom_m_s[:2])
        if behind_m > 0.0:
            closing_m_s = closing_speed(frequency_rad_s / 2, behind_m, limits.acceleration_m_s2)
            wanted += behind * (closing_m_s / behind_m)
        acceleration = towards_velocity(self.motion, wanted, limits, 0.5 / frequency_rad_s, dt_s)
        self.motion = PlaneMotion(self.motion.velocity + acceleration * dt_s, acceleration)
        self.position_m += self.motion.velocity * dt_s
        if behind_m > MAX_BEHIND_M:
            self.position_m += behind * (1.0 - MAX_BEHIND_M / behind_m)
            self.motion = _begun(hero, max(MAX_BEGIN_M_S, abs(self.motion.velocity)))


def _begun(hero: HeroEstimate, max_m_s: float) -> PlaneMotion:
    """The hero's velocity, at most max_m_s; a velocity that the pursued hero has reached within its limits is real."""
    velocity = PlaneVector(*hero.velocity_odom_m_s[:2])
    return PlaneMotion(velocity * min(1.0, max_m_s / max(abs(velocity), max_m_s)))
