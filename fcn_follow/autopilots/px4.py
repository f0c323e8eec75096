"""PX4 through its uXRCE-DDS bridge: TrajectorySetpoint in NED, and OffboardControlMode as the heartbeat.

Velocities are north, east, down, which needs odom with its x axis to the east (REP-103's ENU). Fields that are not
controlled are NaN. The output neither arms nor changes the mode; PX4 follows it once a pilot selects Offboard.
"""

from __future__ import annotations

import math

from builtin_interfaces.msg import Time

from fcn_follow.autopilots.output import Host, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.coordinates import ned_velocity_m_s
from fcn_follow.errors import UserError
from fcn_follow.geometry import VelocityCommand

HEARTBEAT_HZ = 10.0
QUALITY = Quality(reliable=False, transient_local=True)


class Px4Output:
    """Publishes fmu/in/trajectory_setpoint at each step and fmu/in/offboard_control_mode at 10 Hz."""

    def __init__(self, host: Host, _parameters: OutputParameters) -> None:
        try:
            from px4_msgs.msg import OffboardControlMode, TrajectorySetpoint
        except ImportError as error:
            raise UserError(
                "parameter output: px4 needs the ROS package px4_msgs, which is not installed; "
                "build https://github.com/PX4/px4_msgs in your workspace, at the branch of your PX4 release"
            ) from error
        self._mode_type, self._setpoint_type = OffboardControlMode, TrajectorySetpoint
        self._publish_mode = host.publisher(OffboardControlMode, "fmu/in/offboard_control_mode", QUALITY)
        self._publish_setpoint = host.publisher(TrajectorySetpoint, "fmu/in/trajectory_setpoint", QUALITY)
        self._now_ns = host.now_ns
        self._end_heartbeat = host.every(1.0 / HEARTBEAT_HZ, self._send_mode)

    def send(self, command: VelocityCommand, _stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command; without odometry it is already zero (see fault), and the yaw does not matter."""
        message = self._setpoint_type()
        message.timestamp = self._now_ns() // 1000
        for name, value in setpoint_fields(command, yaw_odom_rad or 0.0).items():
            setattr(message, name, value)
        self._publish_setpoint(message)

    def fault(self, yaw_odom_rad: float | None) -> str:
        return "output px4 needs odom" if yaw_odom_rad is None else ""

    def close(self) -> None:
        """End the heartbeat; PX4 then leaves Offboard by its COM_OBL_RC_ACT."""
        self._end_heartbeat()

    def _send_mode(self) -> None:
        message = self._mode_type()
        message.timestamp = self._now_ns() // 1000
        message.position, message.velocity, message.acceleration = False, True, False
        message.attitude, message.body_rate = False, False
        self._publish_mode(message)


def setpoint_fields(command: VelocityCommand, yaw_odom_rad: float) -> dict[str, object]:
    """The fields of TrajectorySetpoint: m/s and rad/s in NED (clockwise from above is positive)."""
    uncontrolled = [math.nan] * 3
    return {
        "position": uncontrolled,
        "velocity": list(ned_velocity_m_s(command, yaw_odom_rad)),
        "acceleration": uncontrolled,
        "jerk": uncontrolled,
        "yaw": math.nan,
        "yawspeed": -command.yaw_rate_rad_s,
    }
