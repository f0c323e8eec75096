"""Monitors: refusals, a slow camera, a frozen picture, a climb without effect, a camera's doubtful pitch."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import astuple
from statistics import median

import numpy as np

from fcn_follow.following.reasons import Reason
from fcn_follow.geometry import Vector3, VelocityCommand

REFUSAL_MEMORY_S = 3.0
MIN_CAMERA_HZ = 3.0  # a hero that was seen longer ago than timeouts.tracking_s (0.6 s) is not tracked
TOLERANCE = 0.9
MIN_INTERVALS, MAX_INTERVALS = 4, 8
MAX_INTERVAL_S = 3.0
FIGURE = re.compile(r"[\d.]+")
MIN_REPETITIONS = 2
MAX_DISTINCT_PICTURES = 32  # a thing fixed to the camera gives about a dozen positions in 200 pictures
MIN_MOTION_M, MIN_TURN_RAD = 0.6, 0.3  # a commanded motion of this size shows in a picture despite latency and lag
MIN_CLIMB_M = 4.0  # a commanded climb of this size must show in the measured height
MIN_CLIMB_ERROR_M = 1.0
MIN_CLIMB_SHARE = 0.3
PITCH_S, MIN_PITCH_SAMPLES = 1.0, 20
MIN_PITCH_DISTANCE_M = 2.0  # nearer, the first estimates are unreliable
MIN_PITCH_ERROR_RAD, MAX_PITCH_ERROR_RAD = math.radians(3.0), math.radians(15.0)


class Refusals:
    """Why the newest observation of one kind was refused, until one is accepted."""

    def __init__(self) -> None:
        self._reason = ""
        self._first_s, self._last_s = math.inf, -math.inf

    def refuse(self, reason: str, now_s: float) -> None:
        """Note a refusal. The same reason with other figures does not replace the last one, which stays readable."""
        if now_s - self._last_s > REFUSAL_MEMORY_S or FIGURE.sub("", reason) != FIGURE.sub("", self._reason):
            self._reason = reason
        self._first_s = min(self._first_s, now_s)
        self._last_s = now_s

    def accept(self) -> None:
        """Note that an observation was accepted."""
        self._reason, self._first_s = "", math.inf

    def reason(self, now_s: float, lasting_s: float = 0.0) -> str:
        """The reason of a refusal within the last seconds, once nothing was accepted for lasting_s; else empty."""
        is_lasting = now_s - self._first_s >= lasting_s
        return self._reason if is_lasting and now_s - self._last_s <= REFUSAL_MEMORY_S else ""


class CameraRate:
    """Detects a camera that is too slow, by the median interval between its frames' stamps."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the frames."""
        self._last_s = -math.inf
        self._intervals_s: deque[float] = deque(maxlen=MAX_INTERVALS)

    def see(self, stamp_s: float) -> None:
        """Take the stamp of a frame; a stamp may come twice."""
        interval_s = stamp_s - self._last_s
        if interval_s <= 0.0:
            return
        self._last_s = stamp_s
        if interval_s <= MAX_INTERVAL_S:
            self._intervals_s.append(interval_s)

    def fault(self, now_s: float) -> str:
        """The fault while frames come too slowly; when they stop, their absence becomes the reason instead."""
        if len(self._intervals_s) < MIN_INTERVALS or now_s - self._last_s > MAX_INTERVAL_S:
            return ""
        rate_hz = 1.0 / median(self._intervals_s)
        too_slow = rate_hz < TOLERANCE * MIN_CAMERA_HZ
        return Reason.CAMERA_SLOW.with_figures(rate_hz, MIN_CAMERA_HZ) if too_slow else ""


class Repetition:
    """Counts the positions since begin_s that were, to the last digit, among the last `distinct` different ones.

    A driver that hangs may repeat several buffers in turn.
    """

    def __init__(self, distinct: int) -> None:
        self._distinct_m: deque[Vector3] = deque(maxlen=distinct)
        self.count, self.begin_s = 0, -math.inf

    def see(self, stamp_s: float, position_m: Vector3) -> None:
        """Take the next position; a new one restarts the count."""
        if position_m in self._distinct_m:
            self.count += 1
            return
        self._distinct_m.append(position_m)
        self.count, self.begin_s = 0, stamp_s


class FrozenPicture:
    """Detects hero positions that repeat themselves to the last digit while the drone is commanded to move.

    A synthetic camera without noise repeats its picture while nothing moves, or while the drone sways to and fro.
    Repetitions therefore count only after a commanded motion away from there that any camera would show.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the positions and the motion."""
        self._repetition = Repetition(MAX_DISTINCT_PICTURES)
        self._last_s = -math.inf
        self._moved, self._moving = np.zeros(4), np.zeros(4)  # in the axes of a command, m and rad

    def see(self, stamp_s: float, position_camera_m: Vector3) -> None:
        """Take a hero position."""
        self._repetition.see(stamp_s, position_camera_m)
        self._moved = self._moved + self._moving if self._repetition.count else np.zeros(4)
        self._moving = np.zeros(4)
        self._last_s = stamp_s

    def move(self, command: VelocityCommand, dt_s: float) -> None:
        """Take dt_s of commanded motion; it counts when the next position comes."""
        self._moving += np.array(astuple(command)) * dt_s

    def fault(self, frozen_s: float) -> str:
        """The fault while the picture is frozen for frozen_s; it ends with another position or `reset`."""
        moved = float(np.linalg.norm(self._moved[:3])) > MIN_MOTION_M or abs(self._moved[3]) > MIN_TURN_RAD
        repeats = self._repetition.count >= MIN_REPETITIONS and self._last_s - self._repetition.begin_s >= frozen_s
        return Reason.PICTURE_FROZEN if moved and repeats else ""


class ClimbMonitor:
    """Detects a commanded climb that does not raise the measured height; `reason` is its fault."""

    def __init__(self, reason: Reason) -> None:
        self._reason = reason
        self._failed = False
        self.restart()

    def restart(self) -> None:
        """Begin a new climb: the last one had an effect, or the origin of the height has changed."""
        self._begin_m: float | None = None
        self._climbed_m = 0.0

    def step(self, up_m_s: float, error_m: float, height_m: float, dt_s: float) -> None:
        """Take dt_s of commanded climb at height_m, with error_m still to climb."""
        if error_m < MIN_CLIMB_ERROR_M:
            self.restart()
            return
        if self._begin_m is None:
            self._begin_m = height_m
        self._climbed_m += max(0.0, up_m_s) * dt_s
        if self._climbed_m > MIN_CLIMB_M:
            self._failed = self._failed or height_m - self._begin_m < MIN_CLIMB_SHARE * self._climbed_m
            self.restart()

    def fault(self) -> str:
        """The fault once a climb has failed."""
        return self._reason if self._failed else ""


class PitchMonitor:
    """Detects a camera whose pitch is not what its parameter says, by the first hero after an engagement.

    Odometry gives the drone's height above the ground of its start. If the hero's feet seem to be above or below that
    ground, by an angle in the range of mounting errors, either the pitch is wrong or the ground is not level. The
    follower cannot distinguish them, and reports both.
    """

    def __init__(self) -> None:
        self._begin_s: float | None = None
        self._angles_rad: list[float] = []
        self.doubt = ""

    def see(self, now_s: float, feet_above_ground_m: float, distance_m: float) -> None:
        """Take the estimated place of the hero's feet; after PITCH_S the doubt no longer changes."""
        if self._begin_s is None:
            self._begin_s = now_s
        if self.doubt or now_s - self._begin_s > PITCH_S or distance_m < MIN_PITCH_DISTANCE_M:
            return
        self._angles_rad.append(math.atan2(feet_above_ground_m, distance_m))
        angle_rad = median(self._angles_rad)
        wrong = MIN_PITCH_ERROR_RAD < abs(angle_rad) < MAX_PITCH_ERROR_RAD
        if wrong and now_s - self._begin_s > 0.9 * PITCH_S and len(self._angles_rad) >= MIN_PITCH_SAMPLES:
            side = "above" if angle_rad > 0.0 else "below"
            change = "small" if angle_rad > 0.0 else "large"
            self.doubt = Reason.PITCH_DOUBTFUL.with_figures(
                abs(feet_above_ground_m), side, change, abs(math.degrees(angle_rad))
            )
