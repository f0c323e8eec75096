"""MAVLink without ROS: SET_POSITION_TARGET_LOCAL_NED in the body's frame over UDP, TCP or serial.

The vehicle is the autopilot of system mavlink.target_system; other systems and components on the link are ignored. The
output requests its ATTITUDE and LOCAL_POSITION_NED, which replace odometry. The vehicle is flown only while its
heartbeat is received, armed, and in a mode that follows such commands (ArduPilot GUIDED, PX4 OFFBOARD). The output
never arms and never changes the mode.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Time

from fcn_follow.autopilots.mavlink_link import AUTOPILOT_COMPONENT, MavlinkLink
from fcn_follow.autopilots.mavlink_pose import MavlinkPose
from fcn_follow.autopilots.output import Arming, Host, Output
from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.coordinates import body_ned_velocity_m_s
from fcn_follow.geometry import ZERO_COMMAND, VehicleState, VelocityCommand

# ignored fields: position (1, 2, 4), acceleration (64, 128, 256), yaw (1024)
TYPE_MASK = 1 | 2 | 4 | 64 | 128 | 256 | 1024
BODY_NED = 8
HEARTBEAT_S = 1.0
KINDS = ("HEARTBEAT", "ATTITUDE", "LOCAL_POSITION_NED")
POSE_HZ, MIN_POSE_HZ = 30.0, 15.0
ASKING_S = 2.0
MAX_WAIT_FOR_POSE_S = 6.0
"""A vehicle that has sent no pose for this time after its first heartbeat is followed without one."""
MAX_TEXT = 50  # of a STATUSTEXT


class MavlinkOutput(Output):
    """A link to one autopilot; `take_poses` reads it."""

    def __init__(self, host: Host, parameters: OutputParameters) -> None:
        self._link = MavlinkLink(parameters.mavlink, host.now_ns, KINDS)
        from pymavlink import mavutil  # MavlinkLink has raised UserError if it is not installed

        self._mode_name, self._mavlink = mavutil.mode_string_v10, mavutil.mavlink
        self._target = parameters.mavlink.target_system
        self._timeout_s = parameters.mavlink.heartbeat_timeout_s
        self._now_ns = host.now_ns
        self._pose = MavlinkPose()
        self._poses: list[VehicleState] = []
        self._begun_s = time.monotonic()
        self._beat_s = self._asked_s = self._heard_s = self._pose_s = self._received_s = -math.inf
        self._first_heard_s = math.inf
        self._poses_since_asked = 0
        self._is_flying = self._is_px4 = False
        self._arming = Arming()
        self._mode = ""

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        self._is_flying = True
        if self._is_px4 or self._mode_fault() == "":
            self._send_target(command)

    def idle(self, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send zeros to PX4, which enters and keeps OFFBOARD only with targets, and ignores them in its other modes."""
        self._is_flying = False
        if self._is_px4:
            self._send_target(ZERO_COMMAND)

    def fault(self, yaw_odom_rad: float | None) -> str:
        now_s = time.monotonic()
        if now_s - self._heard_s > self._timeout_s:
            return self._silence()
        if self._pose.is_of_two(self._now_ns() * 1e-9):
            return f"two autopilots are {self._target}/{AUTOPILOT_COMPONENT}; give one of them another system id"
        if self._pose_s == -math.inf and now_s - self._first_heard_s < MAX_WAIT_FOR_POSE_S:
            return "no ATTITUDE and LOCAL_POSITION_NED from the autopilot yet"
        return self._mode_fault()

    def take_poses(self) -> Sequence[VehicleState]:
        self._listen()
        now_s = time.monotonic()
        if now_s - self._beat_s >= HEARTBEAT_S:
            self._beat_s = now_s
            self._send_heartbeat()
        if now_s - self._heard_s <= self._timeout_s:
            self._ask_for_poses(now_s)
        poses, self._poses = self._poses, []
        return poses

    def take_disarming(self) -> str:
        return self._arming.take_disarming()

    def has_heard_since(self, steady_s: float) -> bool:
        """True also after a silence of the heartbeat's timeout: the vehicle has then dropped the last command."""
        return self._received_s > steady_s or time.monotonic() - self._received_s > self._timeout_s

    def announce(self, text: str, is_warning: bool) -> None:
        severity = self._mavlink.MAV_SEVERITY_WARNING if is_warning else self._mavlink.MAV_SEVERITY_NOTICE
        self._link.send("statustext", severity, text.encode("ascii", "replace")[:MAX_TEXT])

    def status(self) -> dict[str, str | float]:
        now_s = time.monotonic()
        return {
            "autopilot_target": f"{self._target}/{AUTOPILOT_COMPONENT}",
            "autopilot_mode": self._mode or "unknown",
            "autopilot_armed": self._arming.words,
            "autopilot_heartbeat_age_s": now_s - self._heard_s,
            "autopilot_pose_age_s": now_s - self._pose_s,
            "autopilot_link": "open" if self._link.is_open else "lost",
            "others_on_the_link": ", ".join(self._link.others),
        }

    def close(self) -> None:
        self._link.close()

    def _silence(self) -> str:
        if not self._link.is_open:
            return "the MAVLink connection is lost"
        heard = f"; heard: {', '.join(self._link.others)}" if self._heard_s == -math.inf and self._link.others else ""
        return f"no heartbeat from the autopilot {self._target}/{AUTOPILOT_COMPONENT}{heard}"

    def _mode_fault(self) -> str:
        wanted = "OFFBOARD" if self._is_px4 else "GUIDED"
        if not self._arming.is_armed:
            return "the autopilot is not armed"
        return "" if self._mode == wanted else f"the autopilot is in mode {self._mode}, not in {wanted}"

    def _listen(self) -> None:
        for message, received_s in self._link.take():
            self._received_s = time.monotonic()
            if message.get_type() == "HEARTBEAT":
                self._take_heartbeat(message)
            elif (state := self._pose.take(message, received_s)) is not None:
                self._poses.append(state)
                self._pose_s = time.monotonic()
                self._poses_since_asked += 1

    def _take_heartbeat(self, message: Any) -> None:
        self._heard_s = time.monotonic()
        self._first_heard_s = min(self._first_heard_s, self._heard_s)
        self._arming.take(bool(message.base_mode & self._mavlink.MAV_MODE_FLAG_SAFETY_ARMED))
        self._is_px4 = message.autopilot == self._mavlink.MAV_AUTOPILOT_PX4
        self._mode = self._mode_name(message)

    def _ask_for_poses(self, now_s: float) -> None:
        """Request both messages, and repeat the request while they come too slowly."""
        since_s = now_s - self._asked_s
        if since_s < ASKING_S:
            return
        if self._poses_since_asked < MIN_POSE_HZ * since_s:
            for kind in (self._mavlink.MAVLINK_MSG_ID_ATTITUDE, self._mavlink.MAVLINK_MSG_ID_LOCAL_POSITION_NED):
                command = self._mavlink.MAV_CMD_SET_MESSAGE_INTERVAL
                interval_us = 1e6 / POSE_HZ
                target = self._target, AUTOPILOT_COMPONENT
                self._link.send("command_long", *target, command, 0, kind, interval_us, 0, 0, 0, 0, 0)
        self._asked_s, self._poses_since_asked = now_s, 0

    def _send_heartbeat(self) -> None:
        dialect = self._mavlink
        status = dialect.MAV_STATE_ACTIVE if self._is_flying else dialect.MAV_STATE_STANDBY
        self._link.send("heartbeat", dialect.MAV_TYPE_ONBOARD_CONTROLLER, dialect.MAV_AUTOPILOT_INVALID, 0, 0, status)

    def _send_target(self, command: VelocityCommand) -> None:
        boot_ms = int((time.monotonic() - self._begun_s) * 1000) % 2**32
        ignored = (0.0, 0.0, 0.0)
        velocity = body_ned_velocity_m_s(command)
        target = self._target, AUTOPILOT_COMPONENT, BODY_NED, TYPE_MASK
        yaw_rate = -command.yaw_rate_rad_s
        fields = (boot_ms, *target, *ignored, *velocity, *ignored, 0.0, yaw_rate)
        self._link.send("set_position_target_local_ned", *fields)
