"""The orbit set point: the wanted bearing goes round the hero at a constant rate."""

from __future__ import annotations

import math

from fcn_follow.coordinates import wrapped

MAX_AHEAD_RAD = 1.5
"""The set point waits for a drone that is farther behind, for example while a person stands in the way."""
SHARE_OF_LIMIT = 0.8
"""The rest of the speed round the hero is for catching up."""


class Orbit:
    """Adds to the bearing set point."""

    def __init__(self) -> None:
        self.offset_rad = 0.0

    def step(self, rate_rad_s: float, limit_rad_s: float, ahead_rad: float, dt_s: float) -> None:
        """Advance by dt_s; `ahead_rad` is the angle from the drone's bearing to the set point, counter-clockwise."""
        rate_rad_s = math.copysign(min(abs(rate_rad_s), SHARE_OF_LIMIT * limit_rad_s), rate_rad_s)
        if rate_rad_s * ahead_rad < 0.0 or abs(ahead_rad) < MAX_AHEAD_RAD:
            self.offset_rad = wrapped(self.offset_rad + rate_rad_s * dt_s)
