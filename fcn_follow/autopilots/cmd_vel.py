"""cmd_vel as TwistStamped or Twist in base_link (REP-103), for simulators, Gazebo's velocity control and bridges."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped

from fcn_follow.autopilots.output import Host, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.autopilots.twist import body_velocity, twist, twist_stamped
from fcn_follow.geometry import VelocityCommand


class CmdVelOutput:
    """Publishes the relative topic cmd_vel; parameters choose type and frame."""

    def __init__(self, host: Host, parameters: OutputParameters) -> None:
        self._stamped = parameters.cmd_vel.type == "twist_stamped"
        self._frame_id = parameters.cmd_vel.frame_id
        self._publish = host.publisher(TwistStamped if self._stamped else Twist, "cmd_vel", Quality())

    def send(self, command: VelocityCommand, stamp: Time, _yaw_odom_rad: float | None) -> None:
        velocity, yaw_rate = body_velocity(command), command.yaw_rate_rad_s
        if self._stamped:
            self._publish(twist_stamped(velocity, yaw_rate, stamp, self._frame_id))
        else:
            self._publish(twist(velocity, yaw_rate))

    def fault(self, _yaw_odom_rad: float | None) -> str:
        return ""

    def close(self) -> None:
        """Nothing to close."""
