"""The hero's true height, from the ground under the hero's feet.

The distance by apparent height is proportional to `hero.height_m`. With odometry the camera's height above the ground
of the start is known. The feet of a taller hero seem to be below this ground, those of a shorter one above it:

    feet above the ground = (1 - measured / true distance) * camera height + pitch error * distance + step of the ground

The three unknowns are found by least squares over the first seconds, with prior standard deviations of the users'
measuring errors (Bishop, "Pattern Recognition and Machine Learning", 3.3: Bayesian linear regression).
"""

from __future__ import annotations

import math

import numpy as np

from fcn_follow.following.reasons import Reason

PRIOR_SIGMAS = (0.08, math.radians(1.0), 0.1)  # of the height (share), the pitch (rad), and the ground (m)
FEET_SIGMA_M = 0.3  # of one frame; its error lasts for one step of the hero, about ten frames
MEASURED_S, MIN_MEASUREMENTS = 3.0, 15
MIN_DISTANCE_M = 2.0  # nearer, the first estimates are unreliable
CHANGE_1_S = 0.03  # slow enough that the drone's motion stays smooth
MIN_REPORTED = 0.03
BEYOND = 1.4  # times the bound; a larger error comes from the pitch or the ground


class HeroHeight:
    """Call `see` with each accepted measurement; `share` is the relative excess of the true distance."""

    def __init__(self) -> None:
        self.share = 1.0
        self._target: float | None = None
        self._begin_s = self._last_s = -math.inf
        self._inputs: list[tuple[float, float, float]] = []
        self._feet_m: list[float] = []

    def see(
        self, stamp_s: float, camera_height_m: float, feet_above_ground_m: float, distance_m: float, max_change: float
    ) -> None:
        """Take the place of the hero's feet as measured, without `share`, and the camera's height above the ground.

        max_change bounds the correction, as a share of the height.
        """
        if self._target is not None:
            step = CHANGE_1_S * min(1.0, max(0.0, stamp_s - self._last_s))
            self.share += max(-step, min(step, self._target - self.share))
        elif distance_m >= MIN_DISTANCE_M:
            if not self._inputs:
                self._begin_s = stamp_s
            self._inputs.append((camera_height_m, distance_m, 1.0))
            self._feet_m.append(feet_above_ground_m)
            if stamp_s - self._begin_s >= MEASURED_S and len(self._inputs) >= MIN_MEASUREMENTS:
                self._target = self._solved(max_change)
        self._last_s = stamp_s

    def report(self, height_m: float) -> str:
        """The report of a hero who is taller or shorter than height_m, empty without one."""
        if self._target is None or abs(self._target - 1.0) < MIN_REPORTED:
            return ""
        return Reason.HERO_HEIGHT.with_figures(height_m * self._target, height_m)

    def _solved(self, max_change: float) -> float:
        inputs, feet_m = np.array(self._inputs), np.array(self._feet_m)
        if abs(float(np.median(feet_m))) > BEYOND * max_change * float(np.median(inputs[:, 0])):
            return 1.0
        precision = np.diag([sigma**-2 for sigma in PRIOR_SIGMAS]) + inputs.T @ inputs / FEET_SIGMA_M**2
        off = float(np.linalg.solve(precision, inputs.T @ feet_m / FEET_SIGMA_M**2)[0])
        return min(1.0 + max_change, max(1.0 - max_change, 1.0 / (1.0 - min(0.5, off))))
