"""A copter that flies SET_POSITION_TARGET_LOCAL_NED over a pymavlink link in real time, and a hero whom it sees.

Its axes are MAVLink's: north, east, down; the heading is clockwise from north. It takes up a velocity as ArduCopter's
default shaping does: with a lag of 0.5 s, a limited acceleration, and the tilt that this acceleration needs.
"""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from pymavlink import mavutil

mavlink = mavutil.mavlink
COPTER_GUIDED, COPTER_LOITER = 4, 5
ARMED = mavlink.MAV_MODE_FLAG_SAFETY_ARMED
LAG_S, YAW_LAG_S, ACCELERATION_M_S2, GRAVITY_M_S2 = 0.5, 0.2, 2.5, 9.81
GUIDED_TIMEOUT_S = 3.0
BOOT_S = 100.0
FRAME_PERIOD_S, LATENCY_S = 1 / 15, 0.08
PITCH_DOWN_RAD = 0.25
HERO_MIDDLE_M = 0.87
HALF_VIEW_RAD = math.radians(40.0)


class Vehicle:
    """Call `live` all the time. `path` is the hero's north and east at a time since the start, None for no hero."""

    def __init__(self, address: str, height_m: float = 2.4, heading_rad: float = 1.2) -> None:
        self.open_link(address)
        self.node = rclpy.create_node("camera_side")
        self.hero = self.node.create_publisher(PointStamped, "hero/position", 1)
        self.path: Callable[[float], tuple[float, float]] | None = None
        self.mode, self.armed = COPTER_GUIDED, True
        self.sends_poses = True
        self.is_cut = False
        self.is_stabilised = False
        self.lies: dict[str, float] = {}
        self.place_m = np.array([3.0, -2.0, -height_m])
        self.velocity_m_s, self.acceleration_m_s2 = np.zeros(3), np.zeros(3)
        self.heading_rad, self.yaw_rate_rad_s = heading_rad, 0.0
        self.climb_to_m: float | None = None
        self.targets: list = []
        self.target_times_s: list[float] = []
        self.heartbeats: list = []
        self.texts: list[str] = []
        self.commands: list = []
        self.distances_m: list[tuple[float, float]] = []
        self._intervals_s = {
            mavlink.MAVLINK_MSG_ID_ATTITUDE: math.inf,
            mavlink.MAVLINK_MSG_ID_LOCAL_POSITION_NED: math.inf,
        }
        self._due_s = dict.fromkeys(self._intervals_s, 0.0)
        self._begun_s = self._last_s = time.monotonic()
        self._beat_s = self._frame_s = -math.inf
        self._beaten: tuple[int, bool] | None = None
        self._frames: deque[tuple[float, PointStamped]] = deque()

    def open_link(self, address: str) -> None:
        self.link = mavutil.mavlink_connection(address, source_system=1, source_component=1)
        self.is_cut = False

    def also_send_to(self, port: int) -> None:
        """Everything that is sent goes to another port of UDP, too."""
        second = mavutil.mavlink_connection(f"udpout:127.0.0.1:{port}", source_system=1, source_component=1)
        first = self.link.write
        self.link.write = lambda buffer: (first(buffer), second.write(buffer))

    def lose_link(self) -> None:
        """Close the connection and, of a TCP server, the socket that listens."""
        self.is_cut = True
        for each in (self.link.port, getattr(self.link, "listen", None)):
            if each is not None:
                each.close()

    @property
    def time_s(self) -> float:
        return time.monotonic() - self._begun_s

    @property
    def distance_m(self) -> float:
        return self.distances_m[-1][1]

    def rms_m(self, begin_s: float, wanted_m: float = 5.0) -> float:
        """The root mean square of the error of the distance since a time."""
        errors = [distance_m - wanted_m for t, distance_m in self.distances_m if t >= begin_s]
        return float(np.sqrt(np.mean(np.square(errors))))

    def take_off(self, height_m: float) -> None:
        self.climb_to_m = height_m

    def live(self) -> None:
        """Fly on to now, and pass on what is due."""
        now_s = time.monotonic()
        dt_s, self._last_s = now_s - self._last_s, now_s
        self._receive()
        self._fly(dt_s)
        self._send()
        self._show_hero()
        rclpy.spin_once(self.node, timeout_sec=0.004)

    def forget_targets(self) -> None:
        self.targets.clear()
        self.target_times_s.clear()

    def moved(self) -> bool:
        return bool(self.targets) and any(speeds(self.targets[-1]))

    def heartbeat(self, system: int = 0, component: int = 1, mode: int | None = None, kind: int = 2) -> None:
        """Send a heartbeat, as another system or component too."""
        flags = mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | (ARMED if self.armed else 0)
        own = self.link.mav.srcSystem, self.link.mav.srcComponent
        self.link.mav.srcSystem, self.link.mav.srcComponent = system or own[0], component
        autopilot = mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA
        self.link.mav.heartbeat_send(kind, autopilot, flags, self.mode if mode is None else mode, 4)
        self.link.mav.srcSystem, self.link.mav.srcComponent = own

    def _receive(self) -> None:
        if self.is_cut and isinstance(self.link, mavutil.mavtcpin):
            return
        while (message := self.link.recv_match(blocking=False)) is not None:
            if self.is_cut:
                continue
            kind = message.get_type()
            if kind == "SET_POSITION_TARGET_LOCAL_NED":
                self.targets.append(message)
                self.target_times_s.append(time.monotonic())
                if self.mode == COPTER_GUIDED:
                    self.climb_to_m = None  # a velocity cancels a take-off
            elif kind == "HEARTBEAT":
                self.heartbeats.append(message)
            elif kind == "STATUSTEXT":
                self.texts.append(message.text)
            elif kind == "COMMAND_LONG":
                self.commands.append(message)
                if message.command == mavlink.MAV_CMD_SET_MESSAGE_INTERVAL:
                    self._intervals_s[int(message.param1)] = message.param2 * 1e-6

    def _fly(self, dt_s: float) -> None:
        wanted, yaw_rate = np.zeros(3), 0.0
        is_fresh = bool(self.targets) and time.monotonic() - self.target_times_s[-1] < GUIDED_TIMEOUT_S
        if self.climb_to_m is not None:
            wanted[2] = -min(1.5, max(0.0, self.climb_to_m + self.place_m[2]))
        elif self.armed and self.mode == COPTER_GUIDED and is_fresh:
            target = self.targets[-1]
            sin, cos = math.sin(self.heading_rad), math.cos(self.heading_rad)
            wanted = np.array([target.vx * cos - target.vy * sin, target.vx * sin + target.vy * cos, target.vz])
            yaw_rate = target.yaw_rate
        acceleration = (wanted - self.velocity_m_s) / LAG_S
        size = float(np.linalg.norm(acceleration))
        self.acceleration_m_s2 = acceleration * min(1.0, ACCELERATION_M_S2 / size) if size else acceleration
        self.velocity_m_s = self.velocity_m_s + self.acceleration_m_s2 * dt_s
        self.yaw_rate_rad_s += (yaw_rate - self.yaw_rate_rad_s) * min(1.0, dt_s / YAW_LAG_S)
        self.place_m = self.place_m + self.velocity_m_s * dt_s
        self.heading_rad = math.remainder(self.heading_rad + self.yaw_rate_rad_s * dt_s, math.tau)
        if self.path:
            self.distances_m.append((self.time_s, math.dist(self.path(self.time_s), self.place_m[:2])))

    @property
    def roll_pitch_rad(self) -> tuple[float, float]:
        sin, cos = math.sin(self.heading_rad), math.cos(self.heading_rad)
        north, east, _ = self.acceleration_m_s2
        return math.atan((east * cos - north * sin) / GRAVITY_M_S2), -math.atan(
            (north * cos + east * sin) / GRAVITY_M_S2
        )

    def _send(self) -> None:
        if self.is_cut:
            return
        now_s, boot_ms = time.monotonic(), int((BOOT_S + self.time_s) * 1000)
        if now_s - self._beat_s >= 1.0 or self._beaten != (self.mode, self.armed):
            self._beat_s, self._beaten = now_s, (self.mode, self.armed)
            self.heartbeat()
        if not self.sends_poses or self.lies.get("is_stale"):
            return
        place_m = self.place_m + np.array([self.lies.get("jump_m", 0.0), 0.0, 0.0])
        velocity_m_s = self.velocity_m_s + np.array([self.lies.get("speed_m_s", 0.0), 0.0, 0.0])
        boot_ms -= int(1000 * self.lies.get("late_s", 0.0))
        for kind, interval_s in self._intervals_s.items():
            if now_s >= self._due_s[kind] and interval_s < math.inf:
                self._due_s[kind] = max(self._due_s[kind] + interval_s, now_s)
                if kind == mavlink.MAVLINK_MSG_ID_ATTITUDE:
                    roll_rad, pitch_rad = self.roll_pitch_rad
                    attitude = self.lies.get("roll_rad", roll_rad), pitch_rad, self.heading_rad
                    self.link.mav.attitude_send(boot_ms, *attitude, 0.0, 0.0, self.yaw_rate_rad_s)
                else:
                    self.link.mav.local_position_ned_send(boot_ms, *place_m, *velocity_m_s)

    def _show_hero(self) -> None:
        """The hero in a camera that is fixed to the body and looks ahead and down."""
        now_s = time.monotonic()
        if self.path and now_s - self._frame_s >= FRAME_PERIOD_S:
            self._frame_s = now_s
            north, east = self.path(self.time_s)
            away = np.array([north, east, -HERO_MIDDLE_M]) - self.place_m
            roll_rad, pitch_rad = (0.0, 0.0) if self.is_stabilised else self.roll_pitch_rad
            right, down, forward = camera_axes(roll_rad, pitch_rad, self.heading_rad) @ away
            message = PointStamped()
            message.header.stamp = self.node.get_clock().now().to_msg()
            message.header.frame_id = "camera_optical_frame"
            message.point.x, message.point.y, message.point.z = map(float, (right, down, forward))
            if forward > 0.5 and max(abs(math.atan2(right, forward)), abs(math.atan2(down, forward))) < HALF_VIEW_RAD:
                self._frames.append((now_s + LATENCY_S, message))
        while self._frames and self._frames[0][0] <= now_s:
            self.hero.publish(self._frames.popleft()[1])


def free_port(kind: int = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def turn(axis: int, angle_rad: float) -> np.ndarray:
    """The rotation matrix about one of the three axes."""
    sin, cos = math.sin(angle_rad), math.cos(angle_rad)
    matrix = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def camera_axes(roll_rad: float, pitch_rad: float, heading_rad: float) -> np.ndarray:
    """The matrix that turns north, east, down into the optical frame's right, down, forward."""
    body = turn(2, heading_rad) @ turn(1, pitch_rad) @ turn(0, roll_rad) @ turn(1, -PITCH_DOWN_RAD)
    return body.T[[1, 2, 0]]


def speeds(target) -> tuple[float, float, float, float]:
    return target.vx, target.vy, target.vz, target.yaw_rate


def standing(north_m: float = 8.0, east_m: float = 5.0) -> Callable[[float], tuple[float, float]]:
    return lambda _: (north_m, east_m)


def walking(
    begin_s: float, *corners_m: tuple[float, float], speed_m_s: float = 1.4
) -> Callable[[float], tuple[float, float]]:
    """From corner to corner, then standing."""

    def path(t: float) -> tuple[float, float]:
        left_m = max(0.0, t - begin_s) * speed_m_s
        for start, end in pairwise(corners_m):
            side_m = math.dist(start, end)
            if left_m < side_m:
                share = left_m / side_m
                return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
            left_m -= side_m
        return corners_m[-1]

    return path
