"""ArduPilot's own DDS client: TwistStamped on ap/cmd_vel in base_link, taken in GUIDED mode."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from fcn_follow.geometry import VelocityCommand
from fcn_follow.nodes.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.outputs.twist import body_velocity, twist_stamped

BEST_EFFORT = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)


class ArdupilotDdsOutput:
    """Publishes the relative topic ap/cmd_vel (/ap/cmd_vel where there is no namespace)."""

    def __init__(self, node: Node, _parameters: FollowerNodeParameters) -> None:
        self._publisher = node.create_publisher(TwistStamped, "ap/cmd_vel", BEST_EFFORT)

    def send(self, command: VelocityCommand, stamp: Time, _yaw_odom_rad: float | None) -> None:
        self._publisher.publish(twist_stamped(body_velocity(command), command.yaw_rate_rad_s, stamp, "base_link"))

    def fault(self, _yaw_odom_rad: float | None) -> str:
        return ""

    def close(self) -> None:
        """Nothing to end."""
