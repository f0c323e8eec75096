"""A drone that something else flies, such as an autopilot's own simulator: its poses come from outside.

z = 0 of its odometry is the ground on which it stands. Until it has climbed to FLYING_M it stands at the scenario's
start and looks at the hero, wherever it is in its odometry; after that the odometry's place in the town is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fcn_follow.coordinates import rotated, wrapped
from fcn_follow.following.odometry import Odometry
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.vehicle import VehiclePose
from fcn_follow.geometry import VehicleState, VelocityCommand
from fcn_follow.simulation.drone import Drone
from fcn_follow.simulation.town import HALF_SIDE_M

FLYING_M = 1.0
LEGS_M = 0.31  # more than the radius with which the drone touches the ground
"""The height of the body's middle above the ground on which the drone stands."""
MAX_HEIGHT_M = 100.0
TIMEOUTS = Timeouts()


class OutsideDrone(Drone):
    """`take` takes a state of the vehicle, `move_to` moves the drone to where it was at a time, by the same clock.

    The states are checked as the follower checks odometry (following/odometry.py).
    """

    def __init__(self, start_m: tuple[float, float], yaw_rad: float, ground: Callable[[float, float], float]) -> None:
        super().__init__((*start_m, ground(*start_m) + LEGS_M), yaw_rad)
        self.is_seen = self.is_flying = False
        self._start_m, self._start_yaw_rad, self._ground = start_m, yaw_rad, ground
        self._odometry = Odometry()
        self._first = VehiclePose(-math.inf)
        self._roll_pitch_rad = (0.0, 0.0)

    def take(self, state: VehicleState, now_s: float) -> None:
        """Take a state if it is possible for a drone; after a jump of the clock to an earlier time begin again."""
        newest = self._odometry.newest
        if newest is not None and newest.stamp_s > now_s + TIMEOUTS.future_s:
            self._odometry.start_anew()
        self._odometry.take(state, now_s, TIMEOUTS, frame_in_use=False)

    def move_to(self, now_s: float) -> str:
        """Move to the pose at `now_s`; without a pose the drone is not seen, and the reason is returned."""
        fault = self._odometry.fault(now_s, TIMEOUTS) if self._odometry.heard else "no pose of the vehicle yet"
        pose = self._odometry.history.at(now_s)
        if not fault:
            fault = "no pose of the vehicle at this time" if pose is None else self._place(pose)
        self.is_seen = pose is not None and not fault
        return fault

    @property
    def roll_pitch_rad(self) -> tuple[float, float]:
        return self._roll_pitch_rad

    def command(self, command: VelocityCommand, now_s: float) -> None:
        """Do nothing: the commands go to the other simulator."""

    def step(self, now_s: float, dt_s: float) -> None:
        """Do nothing: `move_to` moves the drone."""

    def _place(self, pose: VehiclePose) -> str:
        """Move to a pose of the vehicle's odometry; the reason if that is not possible, else an empty text."""
        is_flying = self.is_flying or pose.position_m[2] > FLYING_M
        first = self._first if self.is_flying else pose
        turn_rad = wrapped(self._start_yaw_rad - first.yaw_rad)
        east, north = pose.position_m[0] - first.position_m[0], pose.position_m[1] - first.position_m[1]
        x, y = (start + away for start, away in zip(self._start_m, rotated(east, north, turn_rad), strict=True))
        ground_m = self._ground(*self._start_m)
        z = max(ground_m + pose.position_m[2], self._ground(x, y)) + LEGS_M
        if max(abs(x), abs(y)) > HALF_SIDE_M or z > MAX_HEIGHT_M:
            return f"the vehicle has left the town: it is at {x:.0f}, {y:.0f}, {z:.0f} m"
        self.is_flying, self._first = is_flying, first
        self.position_m = np.array([x, y, z])
        vx, vy, vz = pose.velocity_m_s
        self.velocity_m_s = np.array([*rotated(vx, vy, turn_rad), vz])
        roll_rad, pitch_rad, yaw_rad = pose.attitude_rad
        self._roll_pitch_rad = (roll_rad, pitch_rad)
        self.yaw_rad, self.yaw_rate_rad_s = wrapped(yaw_rad + turn_rad), pose.yaw_rate_rad_s
        return ""
