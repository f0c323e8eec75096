"""cmd_vel as TwistStamped or Twist in base_link (REP-103), for simulators, Gazebo's velocity control and bridges."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped

from fcn_follow.autopilots.output import Host, Output, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.autopilots.twist import body_velocity, twist, twist_stamped
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand


class CmdVelOutput(Output):
    """Publishes the relative topic cmd_vel; parameters choose type and frame.

    It sends zeros while the drone is not following: a simulated drone keeps its last velocity for ever.
    """

    def __init__(self, host: Host, parameters: OutputParameters) -> None:
        self._stamped = parameters.cmd_vel.type == "twist_stamped"
        self._frame_id = parameters.cmd_vel.frame_id
        self._publish = host.publisher(TwistStamped if self._stamped else Twist, "cmd_vel", Quality())

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        velocity, yaw_rate = body_velocity(command), command.yaw_rate_rad_s
        if self._stamped:
            self._publish(twist_stamped(velocity, yaw_rate, stamp, self._frame_id))
        else:
            self._publish(twist(velocity, yaw_rate))

    def idle(self, stamp: Time, yaw_odom_rad: float | None) -> None:
        self.send(ZERO_COMMAND, stamp, yaw_odom_rad)
