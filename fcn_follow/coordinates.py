"""From the camera's optical frame to a gravity-aligned one, and on to those of the autopilots.

Level frame: the body's without roll and pitch (x forward, y left, z up). Odom: fixed, z up. Plain floats are faster
than arrays of this size.
"""

from __future__ import annotations

import math

from fcn_follow.geometry import CameraMount, Vector3, VelocityCommand


def wrapped(angle_rad: float) -> float:
    """The same angle in -pi to pi."""
    return math.remainder(angle_rad, math.tau)


def roll_pitch_yaw(orientation_xyzw: tuple[float, float, float, float]) -> Vector3:
    """Roll, pitch and yaw in rad (about x, y, z; REP-103) of a quaternion, which is normalised."""
    norm = math.hypot(*orientation_xyzw)
    x, y, z, w = (value / norm for value in orientation_xyzw)
    roll = math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x))))
    return roll, pitch, math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def rotated_by(orientation_xyzw: tuple[float, float, float, float], vector: Vector3) -> Vector3:
    """A vector of a frame with this orientation, in the axes of the frame around it."""
    roll, pitch, yaw = roll_pitch_yaw(orientation_xyzw)
    x, y, z = level_from_body(vector, roll, pitch)
    return (*rotated(x, y, yaw), z)


def quaternion_xyzw(roll_rad: float, pitch_rad: float, yaw_rad: float) -> tuple[float, float, float, float]:
    """The orientation of a rotation by yaw, then pitch, then roll (REP-103)."""
    sr, cr = math.sin(roll_rad / 2), math.cos(roll_rad / 2)
    sp, cp = math.sin(pitch_rad / 2), math.cos(pitch_rad / 2)
    sy, cy = math.sin(yaw_rad / 2), math.cos(yaw_rad / 2)
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )


def body_from_optical(position_camera_m: Vector3, pitch_down_rad: float) -> Vector3:
    """A vector of the optical frame in the axes of the camera's mount."""
    right, down, forward = position_camera_m
    sin, cos = math.sin(pitch_down_rad), math.cos(pitch_down_rad)
    return forward * cos - down * sin, -right, -forward * sin - down * cos


def level_from_body(vector: Vector3, roll_rad: float, pitch_rad: float) -> Vector3:
    """A vector of the body frame in the level frame."""
    x, y, z = vector
    sin, cos = math.sin(roll_rad), math.cos(roll_rad)
    y, z = y * cos - z * sin, y * sin + z * cos
    sin, cos = math.sin(pitch_rad), math.cos(pitch_rad)
    return x * cos + z * sin, y, z * cos - x * sin


def rotated(x: float, y: float, angle_rad: float) -> tuple[float, float]:
    """A horizontal vector rotated counter-clockwise; a level vector rotated by the yaw is in odom's axes."""
    sin, cos = math.sin(angle_rad), math.cos(angle_rad)
    return x * cos - y * sin, x * sin + y * cos


def hero_in_odom(
    position_camera_m: Vector3, mount: CameraMount, stabilised: bool, position_odom_m: Vector3, attitude_rad: Vector3
) -> tuple[Vector3, Vector3]:
    """The hero and the camera in odom, both in metres.

    attitude_rad is the body's roll, pitch and yaw. A stabilised camera's pitch is against gravity, so that only the yaw
    rotates its axes; its position on the body rotates with the whole attitude.
    """
    roll, pitch, yaw = attitude_rad
    seen = body_from_optical(position_camera_m, mount.pitch_down_rad)
    if not stabilised:
        seen = level_from_body(seen, roll, pitch)
    arm = level_from_body(mount.position_body_m, roll, pitch)
    arm_x, arm_y = rotated(arm[0], arm[1], yaw)
    seen_x, seen_y = rotated(seen[0], seen[1], yaw)
    x, y, z = position_odom_m
    camera = (x + arm_x, y + arm_y, z + arm[2])
    return (camera[0] + seen_x, camera[1] + seen_y, camera[2] + seen[2]), camera


def enu_velocity_m_s(command: VelocityCommand, yaw_odom_rad: float) -> Vector3:
    """The commanded velocity east, north, up, where odom's x axis points east (REP-103)."""
    east, north = rotated(command.forward_m_s, command.left_m_s, yaw_odom_rad)
    return east, north, command.up_m_s


def ned_velocity_m_s(command: VelocityCommand, yaw_odom_rad: float) -> Vector3:
    """The commanded velocity north, east, down, where odom's x axis points east (REP-103)."""
    east, north, up = enu_velocity_m_s(command, yaw_odom_rad)
    return north, east, -up


def body_ned_velocity_m_s(command: VelocityCommand) -> Vector3:
    """The commanded velocity forward, right, down (MAVLink's MAV_FRAME_BODY_NED)."""
    return command.forward_m_s, -command.left_m_s, -command.up_m_s
