"""The drone's state from the autopilot's ATTITUDE and LOCAL_POSITION_NED, as odometry with x to the east and z up."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from fcn_follow.coordinates import quaternion_xyzw
from fcn_follow.geometry import VehicleState

WINDOW_S = 5.0
MAX_ATTITUDE_AGE_S = 0.2
SETBACK_S, MIN_SETBACKS = 0.2, 4  # a reboot counts as one


class BootClock:
    """Converts the autopilot's time since its boot to the node's time.

    The fastest message of the last seconds sets the offset, so that a late message gets its true age.
    """

    def __init__(self) -> None:
        self._last_boot_s = 0.0
        self._begun_s = math.inf
        self._offset_s = self._last_offset_s = math.inf

    def stamp_s(self, boot_s: float, received_s: float) -> float:
        """The node's time at which the autopilot made a message."""
        if boot_s < self._last_boot_s - WINDOW_S or not 0.0 <= received_s - self._begun_s <= 2 * WINDOW_S:
            self._begun_s, self._offset_s, self._last_offset_s = received_s, math.inf, math.inf
        elif received_s - self._begun_s > WINDOW_S:
            self._begun_s, self._offset_s, self._last_offset_s = received_s, math.inf, self._offset_s
        self._last_boot_s = boot_s
        self._offset_s = min(self._offset_s, received_s - boot_s)
        return boot_s + min(self._offset_s, self._last_offset_s)


class MavlinkPose:
    """Joins each position with the last attitude, extrapolated to the position's time."""

    def __init__(self) -> None:
        self._clock = BootClock()
        self._attitude: Any = None
        self._last_boot_s = 0.0
        self._setbacks_s: deque[float] = deque(maxlen=MIN_SETBACKS)

    def is_of_two(self, now_s: float) -> bool:
        """Whether the time since the boot went back again and again in the last seconds: two autopilots alternate."""
        return len(self._setbacks_s) == MIN_SETBACKS and 0.0 <= now_s - self._setbacks_s[0] <= WINDOW_S

    def take(self, message: Any, received_s: float) -> VehicleState | None:
        """Take a message; the drone's state for a position with a fresh attitude."""
        boot_s = message.time_boot_ms * 1e-3
        stamp_s = self._clock.stamp_s(boot_s, received_s)
        if boot_s < self._last_boot_s - SETBACK_S:
            self._setbacks_s.append(received_s)
        self._last_boot_s = boot_s
        if message.get_type() == "ATTITUDE":
            self._attitude = message
            return None
        if self._attitude is None:
            return None
        since_s = boot_s - self._attitude.time_boot_ms * 1e-3
        if abs(since_s) > MAX_ATTITUDE_AGE_S:
            return None
        attitude = self._attitude
        angles = (attitude.roll, attitude.pitch, attitude.yaw, attitude.pitchspeed, attitude.yawspeed)
        roll, pitch, yaw, q, r = angles if all(map(math.isfinite, angles)) else (math.nan,) * 5
        yaw_rate = (q * math.sin(roll) + r * math.cos(roll)) / max(0.1, math.cos(pitch))
        return VehicleState(
            stamp_s,
            (message.y, message.x, -message.z),
            quaternion_xyzw(roll, -pitch, math.pi / 2 - (yaw + yaw_rate * since_s)),
            (message.vy, message.vx, -message.vz),
            -yaw_rate,
        )
