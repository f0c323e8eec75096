"""Twist messages."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped

from fcn_follow.coordinates import enu_velocity_m_s
from fcn_follow.geometry import ZERO_COMMAND, Vector3, VelocityCommand


def body_velocity(command: VelocityCommand) -> Vector3:
    """The velocity forward, left, up (REP-103)."""
    return command.forward_m_s, command.left_m_s, command.up_m_s


def map_velocity(command: VelocityCommand, yaw_odom_rad: float | None) -> Vector3:
    """The velocity east, north, up (REP-103); zero without odometry."""
    return body_velocity(ZERO_COMMAND) if yaw_odom_rad is None else enu_velocity_m_s(command, yaw_odom_rad)


def twist(velocity_m_s: Vector3, yaw_rate_rad_s: float) -> Twist:
    """A Twist of a velocity in the axes of its frame."""
    message = Twist()
    message.linear.x, message.linear.y, message.linear.z = velocity_m_s
    message.angular.z = yaw_rate_rad_s
    return message


def twist_stamped(velocity_m_s: Vector3, yaw_rate_rad_s: float, stamp: Time, frame_id: str) -> TwistStamped:
    """The Twist with a header."""
    message = TwistStamped()
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.twist = twist(velocity_m_s, yaw_rate_rad_s)
    return message
