"""The drone's pose at the stamp of an image: from odometry or, without it, by dead reckoning of the commands.

Dead reckoning integrates the commands through a first-order lag. Its slow drift does no harm, because following needs
only the hero's position relative to the drone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import takewhile

from fcn_follow.coordinates import roll_pitch_yaw, rotated, rotated_by, wrapped
from fcn_follow.following.plausibility import is_unit_quaternion
from fcn_follow.geometry import Vector3, VehicleState, VelocityCommand

MAX_HISTORY = 256
MIN_SPACING_S = 0.01  # between kept poses, so that the history is long enough at any rate of odometry
MAX_EXTRAPOLATION_S = 0.5


@dataclass(frozen=True)
class VehiclePose:
    """The drone in odom at a time: position in m, velocity in m/s, roll, pitch and yaw in rad, yaw rate in rad/s."""

    stamp_s: float
    position_m: Vector3 = (0.0, 0.0, 0.0)
    velocity_m_s: Vector3 = (0.0, 0.0, 0.0)
    attitude_rad: Vector3 = (0.0, 0.0, 0.0)
    yaw_rate_rad_s: float = 0.0

    @property
    def yaw_rad(self) -> float:
        return self.attitude_rad[2]

    def moved_to(self, stamp_s: float) -> VehiclePose:
        """The pose at another time near this one, at constant velocity and yaw rate."""
        dt = max(-MAX_EXTRAPOLATION_S, min(MAX_EXTRAPOLATION_S, stamp_s - self.stamp_s))
        x, y, z = self.position_m
        vx, vy, vz = self.velocity_m_s
        roll, pitch, yaw = self.attitude_rad
        return VehiclePose(
            stamp_s,
            (x + vx * dt, y + vy * dt, z + vz * dt),
            self.velocity_m_s,
            (roll, pitch, wrapped(yaw + self.yaw_rate_rad_s * dt)),
            self.yaw_rate_rad_s,
        )


def pose_from_state(state: VehicleState) -> VehiclePose:
    """The pose of an odometry value that `plausibility.implausible_vehicle` accepts."""
    return VehiclePose(
        state.stamp_s,
        state.position_odom_m,
        state.velocity_odom_m_s,
        roll_pitch_yaw(state.orientation_odom_xyzw),
        state.yaw_rate_rad_s,
    )


def vehicle_from_body_twist(
    stamp_s: float,
    position_odom_m: Vector3,
    orientation_odom_xyzw: tuple[float, float, float, float],
    velocity_body_m_s: Vector3,
    yaw_rate_rad_s: float,
    position_sigma_m: float = 0.0,
    velocity_sigma_m_s: float = 0.0,
) -> VehicleState:
    """The state of an odometry message, whose twist is in the body's frame; NaN velocity without a unit quaternion."""
    if not is_unit_quaternion(orientation_odom_xyzw):
        velocity = (math.nan, math.nan, math.nan)
    else:
        velocity = rotated_by(orientation_odom_xyzw, velocity_body_m_s)
    return VehicleState(
        stamp_s,
        position_odom_m,
        orientation_odom_xyzw,
        velocity,
        yaw_rate_rad_s,
        position_sigma_m,
        velocity_sigma_m_s,
    )


def dead_reckoned(pose: VehiclePose, command: VelocityCommand, dt_s: float, response_s: float) -> VehiclePose:
    """The pose dt_s later of a drone that follows `command` with the time constant response_s."""
    share = 1.0 if response_s <= 0.0 else 1.0 - math.exp(-dt_s / response_s)
    yaw_rate = pose.yaw_rate_rad_s + share * (command.yaw_rate_rad_s - pose.yaw_rate_rad_s)
    yaw = wrapped(pose.yaw_rad + yaw_rate * dt_s)
    vx, vy = rotated(command.forward_m_s, command.left_m_s, yaw)
    velocity = (
        pose.velocity_m_s[0] + share * (vx - pose.velocity_m_s[0]),
        pose.velocity_m_s[1] + share * (vy - pose.velocity_m_s[1]),
        pose.velocity_m_s[2] + share * (command.up_m_s - pose.velocity_m_s[2]),
    )
    x, y, z = pose.position_m
    position = (x + velocity[0] * dt_s, y + velocity[1] * dt_s, z + velocity[2] * dt_s)
    return VehiclePose(pose.stamp_s + dt_s, position, velocity, (0.0, 0.0, yaw), yaw_rate)


class VehicleHistory:
    """The poses of the last few seconds, oldest first, with increasing stamps."""

    def __init__(self) -> None:
        self._poses: deque[VehiclePose] = deque(maxlen=MAX_HISTORY)

    def clear(self) -> None:
        """Forget all poses."""
        self._poses.clear()

    @property
    def newest(self) -> VehiclePose | None:
        """The newest pose, None in an empty history."""
        return self._poses[-1] if self._poses else None

    @property
    def oldest(self) -> VehiclePose | None:
        """The oldest pose, None in an empty history."""
        return self._poses[0] if self._poses else None

    def since(self, stamp_s: float) -> list[VehiclePose]:
        """The poses from stamp_s on, oldest first."""
        newer = list(takewhile(lambda pose: pose.stamp_s >= stamp_s, reversed(self._poses)))
        return newer[::-1]

    def add(self, pose: VehiclePose) -> None:
        """Take a pose, unless its stamp is not newer than the newest."""
        if self._poses and pose.stamp_s <= self._poses[-1].stamp_s:
            return
        if len(self._poses) > 1 and self._poses[-1].stamp_s - self._poses[-2].stamp_s < MIN_SPACING_S:
            self._poses.pop()
        self._poses.append(pose)

    def at(self, stamp_s: float) -> VehiclePose | None:
        """The pose at a time, extrapolated from the last one before it; None outside the history."""
        for pose in reversed(self._poses):
            if pose.stamp_s <= stamp_s:
                return pose.moved_to(stamp_s) if stamp_s - pose.stamp_s <= MAX_EXTRAPOLATION_S else None
        first = self._poses[0] if self._poses else None
        return first.moved_to(stamp_s) if first and first.stamp_s - stamp_s <= MAX_EXTRAPOLATION_S else None
