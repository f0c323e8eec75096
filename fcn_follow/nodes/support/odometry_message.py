"""nav_msgs/Odometry as a VehicleState."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nav_msgs.msg import Odometry

from fcn_follow.following.vehicle import vehicle_from_body_twist
from fcn_follow.geometry import VehicleState


def vehicle_state(message: Odometry) -> VehicleState:
    """The state of an odometry message, unchecked."""
    stamp, pose, twist = message.header.stamp, message.pose.pose, message.twist.twist
    position, q = pose.position, pose.orientation
    return vehicle_from_body_twist(
        float(stamp.sec + stamp.nanosec * 1e-9),
        (position.x, position.y, position.z),
        (q.x, q.y, q.z, q.w),
        (twist.linear.x, twist.linear.y, twist.linear.z),
        twist.angular.z,
        _sigma(message.pose.covariance[index] for index in (0, 7, 14)),
        _sigma(message.twist.covariance[index] for index in (0, 7, 14)),
    )


def _sigma(variances: Iterable[float]) -> float:
    """The largest standard deviation; variances that are NaN, zero or negative are unknown."""
    return math.sqrt(max((float(each) for each in variances if each > 0.0), default=0.0))
