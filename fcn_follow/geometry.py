"""The small frozen values that pass between perception, following and the simulator.

Frames follow REP-103: a camera's optical frame has x right, y down, z forward; a body frame (base_link) has
x forward, y left, z up; odom is a fixed, gravity-aligned frame with z up. Angles are counter-clockwise about z.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Vector3 = tuple[float, float, float]


def vector3(values: Iterable[float]) -> Vector3:
    """Three numbers, such as an array (3,), as a tuple of floats."""
    first, second, third = values
    return (float(first), float(second), float(third))


@dataclass(frozen=True)
class CameraIntrinsics:
    """A pinhole camera (sensor_msgs/CameraInfo.k) of an image of width_px x height_px; all values in pixels."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float


@dataclass(frozen=True)
class CameraMount:
    """How the camera is mounted on the body: its position and pitch.

    position_body_m is the camera in base_link; pitch_down_rad is 0 for a level camera and positive when it looks
    down. The camera looks along the body's x axis and does not roll.
    """

    position_body_m: Vector3 = (0.0, 0.0, 0.0)
    pitch_down_rad: float = 0.0


@dataclass(frozen=True)
class HeroPosition:
    """The middle of the hero's body in the camera's optical frame, at the stamp of the image that showed it."""

    stamp_s: float
    position_camera_m: Vector3


@dataclass(frozen=True)
class VehicleState:
    """The drone in odom: nav_msgs/Odometry with the pose kept and the twist turned into odom axes.

    The sigmas are the largest standard deviations of its covariances, 0 where these are unknown.
    """

    stamp_s: float
    position_odom_m: Vector3
    orientation_odom_xyzw: tuple[float, float, float, float]
    velocity_odom_m_s: Vector3 = (0.0, 0.0, 0.0)
    yaw_rate_rad_s: float = 0.0
    position_sigma_m: float = 0.0
    velocity_sigma_m_s: float = 0.0


@dataclass(frozen=True)
class VelocityCommand:
    """The velocity that the drone should have, in base_link without roll and pitch (REP-103)."""

    forward_m_s: float = 0.0
    left_m_s: float = 0.0
    up_m_s: float = 0.0
    yaw_rate_rad_s: float = 0.0


ZERO_COMMAND = VelocityCommand()
