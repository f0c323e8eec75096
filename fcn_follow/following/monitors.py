"""Small watches over the input and what it leads to: what is refused, a frozen picture, a climb that does not help."""

from __future__ import annotations

import math
import re

from fcn_follow.geometry import Vector3, VelocityCommand

REMEMBERED_S = 1.0
FIGURE = re.compile(r"[\d.]+")
FROZEN_FRAMES = 3
FROZEN_M = 0.6
FROZEN_RAD = 0.3
"""A commanded motion of this size must show in a picture, whatever its latency and the drone's lag."""
CLIMB_M = 4.0
CLIMB_ERROR_M = 1.0
CLIMB_SHARE = 0.3
"""A commanded climb of this size must have shown in the measured height by this share."""


class Refusals:
    """Why the newest input of one kind was refused, for as long as nothing of that kind is accepted."""

    def __init__(self) -> None:
        self._reason = ""
        self._last_s = -math.inf

    def note(self, reason: str, now_s: float) -> None:
        """Something was refused; of reasons that differ in their figures alone, the first is kept."""
        if now_s - self._last_s > REMEMBERED_S or FIGURE.sub("", reason) != FIGURE.sub("", self._reason):
            self._reason = reason
        self._last_s = now_s

    def accepted(self) -> None:
        """Something was accepted."""
        self._reason = ""

    def reason(self, now_s: float) -> str:
        """The reason, where the last refusal was a moment ago."""
        return self._reason if now_s - self._last_s <= REMEMBERED_S else ""


class FrozenPicture:
    """Notices hero positions that stay the same to the last digit while the drone is commanded to move.

    A synthetic camera without noise gives the same picture as long as nothing moves, so equal positions alone say
    nothing. They count only once the drone has been commanded far enough that any living camera would show it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._position_m: Vector3 | None = None
        self._frames = 0
        self._moved_m = self._turned_rad = 0.0
        self._moving_m = self._turning_rad = 0.0
        self._first_s = self._last_s = -math.inf

    def see(self, stamp_s: float, position_camera_m: Vector3) -> None:
        """A hero position came."""
        if position_camera_m != self._position_m:
            self.reset()
            self._position_m, self._first_s = position_camera_m, stamp_s
        self._moved_m, self._turned_rad = self._moved_m + self._moving_m, self._turned_rad + self._turning_rad
        self._moving_m = self._turning_rad = 0.0
        self._frames += 1
        self._last_s = stamp_s

    def move(self, command: VelocityCommand, dt_s: float) -> None:
        """The drone is commanded so for dt_s; it counts once the next position comes."""
        self._moving_m += math.hypot(command.forward_m_s, command.left_m_s, command.up_m_s) * dt_s
        self._turning_rad += abs(command.yaw_rate_rad_s) * dt_s

    def fault(self, frozen_s: float) -> str:
        """What to say while the picture is frozen; it lasts until another position comes or `reset`."""
        moved = self._moved_m > FROZEN_M or self._turned_rad > FROZEN_RAD
        if moved and self._frames >= FROZEN_FRAMES and self._last_s - self._first_s >= frozen_s:
            return "the picture is frozen: the same hero position although the drone is commanded to move"
        return ""


class Climb:
    """Notices a climb that is commanded to reach a height and does not lead upwards by what is measured."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.reset()

    def reset(self) -> None:
        self._failed = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Heights are measured from another zero now, or the last climb has led upwards."""
        self._begin_m: float | None = None
        self._climbed_m = 0.0

    def step(self, up_m_s: float, error_m: float, height_m: float, dt_s: float) -> None:
        """The drone is commanded to climb for dt_s; it is at height_m and should be higher by error_m."""
        if error_m < CLIMB_ERROR_M:
            self.begin_anew()
            return
        if self._begin_m is None:
            self._begin_m = height_m
        self._climbed_m += max(0.0, up_m_s) * dt_s
        if self._climbed_m > CLIMB_M:
            self._failed = self._failed or height_m - self._begin_m < CLIMB_SHARE * self._climbed_m
            self.begin_anew()

    def fault(self) -> str:
        """What to say once a climb has failed; it lasts until `reset`."""
        return f"{self.words}; ~/reset tries again" if self._failed else ""
