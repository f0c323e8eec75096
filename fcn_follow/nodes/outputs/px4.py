"""PX4 through its uXRCE-DDS bridge: TrajectorySetpoint in NED, and OffboardControlMode as the proof of life.

Velocities are north, east, down: odom is needed, and its x axis must point east (REP-103's ENU). What is not
controlled is NaN. It neither arms nor changes the mode; PX4 takes the setpoints once a pilot has chosen Offboard.
"""

from __future__ import annotations

import math

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from fcn_follow.errors import UserError
from fcn_follow.following.frames import ned_velocity_m_s
from fcn_follow.geometry import VelocityCommand
from fcn_follow.nodes.follower_parameters import FollowerNodeParameters

LIFE_SIGN_HZ = 10.0
QOS = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Px4Output:
    """Publishes fmu/in/trajectory_setpoint at each step and fmu/in/offboard_control_mode at 10 Hz."""

    def __init__(self, node: Node, _parameters: FollowerNodeParameters) -> None:
        try:
            from px4_msgs.msg import OffboardControlMode, TrajectorySetpoint
        except ImportError as error:
            raise UserError(
                "parameter output: px4 needs the ROS package px4_msgs, which is not installed; "
                "build https://github.com/PX4/px4_msgs in your workspace, at the branch of your PX4 release"
            ) from error
        self._node = node
        self._mode_type, self._setpoint_type = OffboardControlMode, TrajectorySetpoint
        self._modes = node.create_publisher(OffboardControlMode, "fmu/in/offboard_control_mode", QOS)
        self._setpoints = node.create_publisher(TrajectorySetpoint, "fmu/in/trajectory_setpoint", QOS)
        self._life_sign = node.create_timer(1.0 / LIFE_SIGN_HZ, self._send_mode)

    def send(self, command: VelocityCommand, _stamp: Time, yaw_odom_rad: float | None) -> None:
        """Without odometry there is nothing to turn the velocity with; it is then zero already (see fault)."""
        message = self._setpoint_type()
        message.timestamp = self._now_us()
        for name, value in setpoint_fields(command, yaw_odom_rad or 0.0).items():
            setattr(message, name, value)
        self._setpoints.publish(message)

    def fault(self, yaw_odom_rad: float | None) -> str:
        return "output px4 needs odom" if yaw_odom_rad is None else ""

    def close(self) -> None:
        """End the life sign; PX4 then leaves Offboard as its COM_OBL_RC_ACT says."""
        self._node.destroy_timer(self._life_sign)

    def _send_mode(self) -> None:
        message = self._mode_type()
        message.timestamp = self._now_us()
        message.position, message.velocity, message.acceleration = False, True, False
        message.attitude, message.body_rate = False, False
        self._modes.publish(message)

    def _now_us(self) -> int:
        return int(self._node.get_clock().now().nanoseconds // 1000)


def setpoint_fields(command: VelocityCommand, yaw_odom_rad: float) -> dict[str, object]:
    """The fields of TrajectorySetpoint: m/s and rad/s in NED (clockwise from above is positive)."""
    nothing = [math.nan] * 3
    return {
        "position": nothing,
        "velocity": list(ned_velocity_m_s(command, yaw_odom_rad)),
        "acceleration": nothing,
        "jerk": nothing,
        "yaw": math.nan,
        "yawspeed": -command.yaw_rate_rad_s,
    }
