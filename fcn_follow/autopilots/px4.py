"""PX4 through its uXRCE-DDS bridge: TrajectorySetpoint in NED, and OffboardControlMode as the heartbeat.

Velocities are north, east, down, which needs odom with its x axis to the east (REP-103's ENU). Fields that are not
controlled are NaN. The output neither arms nor changes the mode. PX4 takes setpoints from this bridge in every mode,
so they are sent only in Offboard, where PX4 needs them all the time.
"""

from __future__ import annotations

import math
from typing import Any

from builtin_interfaces.msg import Time

from fcn_follow.autopilots.output import Arming, Host, Output, Quality
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.coordinates import ned_velocity_m_s
from fcn_follow.errors import UserError
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand

HEARTBEAT_HZ = 10.0
QUALITY = Quality(reliable=False, transient_local=True)
STATUS_TOPICS = ("fmu/out/vehicle_status", "fmu/out/vehicle_status_v1")  # the latter from PX4 1.16 on
MAX_STATUS_AGE_S = 2.0  # PX4 sends it at 2 Hz
OFFBOARD, ARMED = 14, 2  # VehicleStatus.NAVIGATION_STATE_OFFBOARD and ARMING_STATE_ARMED
SETPOINT_FIELDS = ("position", "velocity", "acceleration", "jerk", "yaw", "yawspeed")


class Px4Output(Output):
    """Publishes fmu/in/trajectory_setpoint at each step and fmu/in/offboard_control_mode at 10 Hz."""

    def __init__(self, host: Host, _parameters: OutputParameters) -> None:
        try:
            from px4_msgs.msg import OffboardControlMode, TrajectorySetpoint, VehicleStatus
        except ImportError as error:
            raise UserError(
                "parameter output: px4 needs the ROS package px4_msgs, which is not installed; "
                "build https://github.com/PX4/px4_msgs in your workspace, at the branch of your PX4 release"
            ) from error
        if missing := [name for name in SETPOINT_FIELDS if not hasattr(TrajectorySetpoint(), name)]:
            raise UserError(
                f"parameter output: px4 needs the px4_msgs of PX4 1.14 or later; TrajectorySetpoint of the installed "
                f"one has no {', '.join(missing)}, as in PX4 1.13"
            )
        self._now_ns = host.now_ns
        self._mode_type, self._setpoint_type = OffboardControlMode, TrajectorySetpoint
        self._publish_mode = host.publisher(OffboardControlMode, "fmu/in/offboard_control_mode", QUALITY)
        self._publish_setpoint = host.publisher(TrajectorySetpoint, "fmu/in/trajectory_setpoint", QUALITY)
        self._status: Any = None
        self._status_ns = 0
        self._arming = Arming()
        for topic in STATUS_TOPICS:
            host.subscribe(VehicleStatus, topic, Quality(reliable=False), self._take_status)
        self._end_heartbeat = host.every(1.0 / HEARTBEAT_HZ, self._send_mode)

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command; without odometry it is already zero (see fault), and the yaw does not matter."""
        if not self._is_in_offboard:
            return
        message = self._setpoint_type()
        message.timestamp = self._now_ns() // 1000
        for name, value in setpoint_fields(command, yaw_odom_rad or 0.0).items():
            setattr(message, name, value)
        self._publish_setpoint(message)

    def idle(self, stamp: Time, yaw_odom_rad: float | None) -> None:
        self.send(ZERO_COMMAND, stamp, yaw_odom_rad)

    def fault(self, yaw_odom_rad: float | None) -> str:
        if yaw_odom_rad is None:
            return "output px4 needs odom"
        if self._status is None or self._now_ns() - self._status_ns > MAX_STATUS_AGE_S * 1e9:
            return f"no messages on {STATUS_TOPICS[0]} (does the agent run, with the px4_msgs of this PX4 release?)"
        if not self._arming.is_armed:
            return "PX4 is not armed"
        return "" if self._is_in_offboard else "PX4 is not in mode Offboard"

    def take_disarming(self) -> str:
        return self._arming.take_disarming()

    def status(self) -> dict[str, str | float]:
        known = self._status is not None
        return {
            "autopilot_mode": f"nav_state {self._status.nav_state}" if known else "unknown",
            "autopilot_armed": self._arming.words,
        }

    def close(self) -> None:
        """End the heartbeat; PX4 then leaves Offboard by its COM_OBL_RC_ACT."""
        self._end_heartbeat()

    @property
    def _is_in_offboard(self) -> bool:
        return self._status is not None and self._status.nav_state == OFFBOARD

    def _take_status(self, status: Any) -> None:
        self._status, self._status_ns = status, self._now_ns()
        self._arming.take(status.arming_state == ARMED)

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
