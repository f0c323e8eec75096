"""MAVROS' setpoint_velocity plugin: TwistStamped on setpoint_velocity/cmd_vel.

Set mavros.frame by the plugin's parameter mav_frame: base_link for BODY_NED, map (east, north, up) for LOCAL_NED, which
needs odom with its x axis to the east. If MAVROS has another namespace, remap the topic or set mavros.topic.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped

from fcn_follow.autopilots.output import Host, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.autopilots.twist import body_velocity, twist_stamped
from fcn_follow.coordinates import enu_velocity_m_s
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand


class MavrosOutput:
    """Publishes the topic mavros.topic in the frame mavros.frame."""

    def __init__(self, host: Host, parameters: OutputParameters) -> None:
        self._frame_id = parameters.mavros.frame
        self._publish = host.publisher(TwistStamped, parameters.mavros.topic, Quality())

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        if self._frame_id == "base_link":
            velocity = body_velocity(command)
        else:
            velocity = body_velocity(ZERO_COMMAND) if yaw_odom_rad is None else enu_velocity_m_s(command, yaw_odom_rad)
        self._publish(twist_stamped(velocity, command.yaw_rate_rad_s, stamp, self._frame_id))

    def fault(self, yaw_odom_rad: float | None) -> str:
        if self._frame_id == "map" and yaw_odom_rad is None:
            return "output mavros in frame map needs odom"
        return ""

    def close(self) -> None:
        """Nothing to close."""
