"""MAVLink without ROS: SET_POSITION_TARGET_LOCAL_NED in the body's frame over UDP, TCP or serial.

The follower holds unless the autopilot's heartbeat is received, armed, and in a mode that follows such commands
(ArduPilot GUIDED, PX4 OFFBOARD), so that a change of the mode starts the ramp. The output never arms and never changes
the mode.
"""

from __future__ import annotations

import contextlib
import io
import time

from builtin_interfaces.msg import Time

from fcn_follow.autopilots.output import Host
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.coordinates import body_ned_velocity_m_s
from fcn_follow.errors import UserError
from fcn_follow.geometry import VelocityCommand

# ignored fields: position (1, 2, 4), acceleration (64, 128, 256), yaw (1024)
TYPE_MASK = 1 | 2 | 4 | 64 | 128 | 256 | 1024
BODY_NED = 8
FOLLOWING_MODES = ("GUIDED", "OFFBOARD")
HEARTBEAT_S = 1.0
AUTOPILOT_COMPONENT = 1


class MavlinkOutput:
    """A MAVLink connection, polled at each command."""

    def __init__(self, host: Host, parameters: OutputParameters) -> None:
        try:
            from pymavlink import mavutil
        except ImportError as error:
            raise UserError(
                "parameter output: mavlink needs the Python package pymavlink; install it (pip install pymavlink)"
            ) from error
        link = parameters.mavlink
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # pymavlink prints while it connects
                self._connection = mavutil.mavlink_connection(
                    link.address,
                    baud=link.baud,
                    source_system=link.system_id,
                    source_component=mavutil.mavlink.MAV_COMP_ID_ONBOARD_COMPUTER,
                    autoreconnect=True,
                )
        except Exception as error:
            raise UserError(f"parameter mavlink.address: {link.address!r} cannot be opened: {error}") from error
        self._mavutil = mavutil
        self._log = host.log
        self._timeout_s = link.heartbeat_timeout_s
        self._started_s = time.monotonic()
        self._last_beat_s = -HEARTBEAT_S
        self._heard_s: float | None = None
        self._armed = False
        self._mode = ""
        self._target = 0

    def send(self, command: VelocityCommand, _stamp: Time, _yaw_odom_rad: float | None) -> None:
        self._listen()
        now_s = time.monotonic()
        mavlink = self._connection.mav
        if now_s - self._last_beat_s >= HEARTBEAT_S:
            self._last_beat_s = now_s
            dialect = self._mavutil.mavlink
            mavlink.heartbeat_send(dialect.MAV_TYPE_ONBOARD_CONTROLLER, dialect.MAV_AUTOPILOT_INVALID, 0, 0, 0)
        if self._target:
            boot_ms = int((now_s - self._started_s) * 1000)
            forward, right, down = body_ned_velocity_m_s(command)
            ignored = (0.0, 0.0, 0.0)
            mavlink.set_position_target_local_ned_send(
                boot_ms,
                self._target,
                AUTOPILOT_COMPONENT,
                BODY_NED,
                TYPE_MASK,
                *ignored,
                forward,
                right,
                down,
                *ignored,
                0.0,
                -command.yaw_rate_rad_s,
            )

    def fault(self, _yaw_odom_rad: float | None) -> str:
        if self._heard_s is None or time.monotonic() - self._heard_s > self._timeout_s:
            return "no heartbeat from the autopilot"
        if not self._armed:
            return "the autopilot is not armed"
        if self._mode not in FOLLOWING_MODES:
            return f"the autopilot is in mode {self._mode}, not in {' or '.join(FOLLOWING_MODES)}"
        return ""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _listen(self) -> None:
        """Read the heartbeats of the autopilot: the first one received, others are ignored."""
        while (message := self._connection.recv_match(type="HEARTBEAT", blocking=False)) is not None:
            if message.autopilot == self._mavutil.mavlink.MAV_AUTOPILOT_INVALID:
                continue
            self._target = self._target or message.get_srcSystem()
            if message.get_srcSystem() != self._target:
                continue
            self._heard_s = time.monotonic()
            self._armed = bool(message.base_mode & self._mavutil.mavlink.MAV_MODE_FLAG_SAFETY_ARMED)
            mode = self._mavutil.mode_string_v10(message)
            if mode != self._mode:
                self._log(f"autopilot {self._target}: mode {mode}, {'armed' if self._armed else 'not armed'}")
            self._mode = mode
