"""ArduPilot's DDS client: TwistStamped on ap/cmd_vel in base_link, used in GUIDED mode."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped

from fcn_follow.autopilots.output import Host, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.autopilots.twist import body_velocity, twist_stamped
from fcn_follow.geometry import VelocityCommand


class ArdupilotDdsOutput:
    """Publishes the relative topic ap/cmd_vel (/ap/cmd_vel without a namespace)."""

    def __init__(self, host: Host, _parameters: OutputParameters) -> None:
        self._publish = host.publisher(TwistStamped, "ap/cmd_vel", Quality(reliable=False))

    def send(self, command: VelocityCommand, stamp: Time, _yaw_odom_rad: float | None) -> None:
        self._publish(twist_stamped(body_velocity(command), command.yaw_rate_rad_s, stamp, "base_link"))

    def fault(self, _yaw_odom_rad: float | None) -> str:
        return ""

    def close(self) -> None:
        """Nothing to close."""
