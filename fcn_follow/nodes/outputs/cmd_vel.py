"""cmd_vel as TwistStamped or Twist in base_link (REP-103): simulators, Gazebo's velocity control, own bridges."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node

from fcn_follow.geometry import VelocityCommand
from fcn_follow.nodes.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.outputs.twist import RELIABLE, body_velocity, twist, twist_stamped


class CmdVelOutput:
    """Publishes the relative topic cmd_vel; type and frame by parameter."""

    def __init__(self, node: Node, parameters: FollowerNodeParameters) -> None:
        self._stamped = parameters.cmd_vel.type == "twist_stamped"
        self._frame_id = parameters.cmd_vel.frame_id
        self._publisher = node.create_publisher(TwistStamped if self._stamped else Twist, "cmd_vel", RELIABLE)

    def send(self, command: VelocityCommand, stamp: Time, _yaw_odom_rad: float | None) -> None:
        velocity, yaw_rate = body_velocity(command), command.yaw_rate_rad_s
        if self._stamped:
            self._publisher.publish(twist_stamped(velocity, yaw_rate, stamp, self._frame_id))
        else:
            self._publisher.publish(twist(velocity, yaw_rate))

    def fault(self, _yaw_odom_rad: float | None) -> str:
        return ""

    def close(self) -> None:
        """Nothing to end."""
