"""A quadrotor under an autopilot that takes body-frame velocities and a yaw rate, as in offboard mode.

The autopilot's velocity loop commands an acceleration, limited in size, tilt and jerk, which the airframe follows with
the lag of its attitude loop; rotor drag pulls the drone along with the wind. Limits and gains follow PX4's multicopter
position controller (parameter names beside each value); the drag is that of the AscTec Hummingbird. RotorPy has the
same equations, but depends on cvxopt, gymnasium and pandas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_follow.coordinates import quaternion_xyzw, rotated
from fcn_follow.geometry import ZERO_COMMAND, VehicleState, VelocityCommand, vector3

GRAVITY_M_S2 = 9.81
_INTEGRATES_BELOW_M_S = 1.0
"""Above this velocity error the integral is frozen, so that it does not wind up at every start and stop."""
_WIND_RISE_S = 0.3
"""Time constant of the wind's changes: the speed of air does not change at once."""
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class DroneParameters:
    """The physical parameters of the drone."""

    velocity_gain_1_s: float = 3.0
    """Acceleration for each m/s of velocity error (between MPC_XY_VEL_P_ACC 1.8 and MPC_Z_VEL_P_ACC 4)."""
    velocity_integral_1_s2: float = 0.8
    """Compensates a steady wind (MPC_XY_VEL_I_ACC 0.4, MPC_Z_VEL_I_ACC 2)."""
    acceleration_m_s2: float = 5.0
    """MPC_ACC_HOR_MAX; MPC_ACC_UP_MAX is 4."""
    jerk_m_s3: float = 30.0
    """Change of the commanded acceleration; MPC_JERK_MAX allows up to 500."""
    tilt_rad: float = math.radians(45.0)
    """MPC_TILTMAX_AIR."""
    attitude_lag_s: float = 0.12
    """About 1 / MC_ROLL_P (6.5 / s)."""
    yaw_rate_rad_s: float = math.radians(150.0)
    """MPC_MAN_Y_MAX."""
    yaw_lag_s: float = 0.15
    drag_1_s: float = 0.45
    """Rotor drag over mass: 4 rotors x 469 rad/s x 1.19e-4 kg / 0.5 kg (AscTec Hummingbird hovering)."""
    radius_m: float = 0.3
    command_timeout_s: float = 0.5
    """After this time without a command the drone stops (COM_OF_LOSS_T 1 s)."""


@dataclass(frozen=True)
class Wind:
    """A steady wind and gusts: first-order Gauss-Markov, equal along both horizontal axes, half as strong upwards."""

    mean_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gust_m_s: float = 0.0
    gust_time_s: float = 1.5
    spin_rad_s: float = 0.0
    """A gust turns the drone at this rate for a second from spin_from_s on."""
    spin_from_s: float = 0.0


class Drone:
    """The drone's true state; `command` takes a command, `step` advances the time.

    `is_seen`: whether its position is known, so that its camera can be drawn. `is_flying`: whether it has taken off.
    """

    def __init__(
        self,
        position_m: tuple[float, float, float],
        yaw_rad: float,
        wind: Wind | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.parameters = DroneParameters()
        self.is_seen = self.is_flying = True
        self.wind = wind or Wind()
        self.position_m: Vector = np.array(position_m, dtype=np.float64)
        self.velocity_m_s: Vector = np.zeros(3)
        self.acceleration_m_s2: Vector = np.zeros(3)
        self.yaw_rad, self.yaw_rate_rad_s = yaw_rad, 0.0
        self._rng = rng or np.random.default_rng(0)
        self._commanded_m_s2: Vector = np.zeros(3)
        self._thrust_m_s2: Vector = np.zeros(3)
        self._integral_m_s2: Vector = np.zeros(3)
        self._gust_m_s: Vector = np.zeros(3)
        self._lagged_wind_m_s: Vector = np.zeros(3)
        self._command = ZERO_COMMAND
        self._commanded_s = -math.inf

    def command(self, command: VelocityCommand, now_s: float) -> None:
        """Take a command, which is valid until the next one or its timeout; one that is not finite counts as zero."""
        values = (command.forward_m_s, command.left_m_s, command.up_m_s, command.yaw_rate_rad_s)
        self._command = command if all(map(math.isfinite, values)) else ZERO_COMMAND
        self._commanded_s = now_s

    @property
    def roll_pitch_rad(self) -> tuple[float, float]:
        """The tilt for the current thrust, in the body frame (roll to the right and pitch nose down are positive)."""
        forward, left = rotated(self._thrust_m_s2[0], self._thrust_m_s2[1], -self.yaw_rad)
        lift = GRAVITY_M_S2 + self._thrust_m_s2[2]
        return math.atan2(-left, math.hypot(lift, forward)), math.atan2(forward, lift)

    def step(self, now_s: float, dt_s: float) -> None:
        """Advance from now_s to now_s + dt_s."""
        p = self.parameters
        command = self._command if now_s - self._commanded_s <= p.command_timeout_s else ZERO_COMMAND
        wanted = np.array([*rotated(command.forward_m_s, command.left_m_s, self.yaw_rad), command.up_m_s])
        error = wanted - self.velocity_m_s
        if float(np.linalg.norm(error)) < _INTEGRATES_BELOW_M_S:
            self._integral_m_s2 = self._integral_m_s2 + p.velocity_integral_1_s2 * error * dt_s
        asked = self._limited(p.velocity_gain_1_s * error + self._integral_m_s2 + p.drag_1_s * wanted)
        change = asked - self._commanded_m_s2
        size = float(np.linalg.norm(change))
        self._commanded_m_s2 = self._commanded_m_s2 + change * min(1.0, p.jerk_m_s3 * dt_s / size if size > 0 else 1.0)
        self._thrust_m_s2 += (self._commanded_m_s2 - self._thrust_m_s2) * (1.0 - math.exp(-dt_s / p.attitude_lag_s))
        air_m_s = self.velocity_m_s - self._wind(dt_s)
        self.acceleration_m_s2 = self._thrust_m_s2 - p.drag_1_s * air_m_s
        self.velocity_m_s = self.velocity_m_s + self.acceleration_m_s2 * dt_s
        self.position_m = self.position_m + self.velocity_m_s * dt_s
        rate = max(-p.yaw_rate_rad_s, min(p.yaw_rate_rad_s, command.yaw_rate_rad_s))
        self.yaw_rate_rad_s += (rate - self.yaw_rate_rad_s) * (1.0 - math.exp(-dt_s / p.yaw_lag_s))
        if 0.0 <= now_s - self.wind.spin_from_s < 1.0 and self.wind.spin_rad_s:
            self.yaw_rate_rad_s = self.wind.spin_rad_s
        self.yaw_rad = math.remainder(self.yaw_rad + self.yaw_rate_rad_s * dt_s, math.tau)

    def _limited(self, acceleration: Vector) -> Vector:
        """Limit an acceleration in size and tilt; the horizontal part is shortened."""
        p = self.parameters
        up = float(np.clip(acceleration[2], -p.acceleration_m_s2, p.acceleration_m_s2))
        max_level = min(p.acceleration_m_s2, math.tan(p.tilt_rad) * (GRAVITY_M_S2 + up))
        level = math.hypot(acceleration[0], acceleration[1])
        share = min(1.0, max_level / level) if level > 0 else 1.0
        return np.array([acceleration[0] * share, acceleration[1] * share, up])

    def _wind(self, dt_s: float) -> Vector:
        keep = math.exp(-dt_s / self.wind.gust_time_s)
        kick = self._rng.normal(size=3) * np.array([1.0, 1.0, 0.5]) * self.wind.gust_m_s * math.sqrt(1 - keep**2)
        self._gust_m_s = keep * self._gust_m_s + kick
        blowing = np.array(self.wind.mean_m_s) + self._gust_m_s
        self._lagged_wind_m_s = self._lagged_wind_m_s + (blowing - self._lagged_wind_m_s) * dt_s / _WIND_RISE_S
        return self._lagged_wind_m_s


@dataclass(frozen=True)
class OdometryNoise:
    """Standard deviations of the errors of the autopilot's estimate; the drift grows with the square root of time."""

    position_m: float = 0.01
    velocity_m_s: float = 0.03
    yaw_rad: float = 0.003
    drift_m_sqrt_s: float = 0.01


class Odometry:
    """The autopilot's estimate of the drone's state."""

    def __init__(self, noise: OdometryNoise, rng: np.random.Generator) -> None:
        self._noise, self._rng = noise, rng
        self._drift_m: Vector = np.zeros(3)
        self._last_s: float | None = None

    def measure(self, drone: Drone, now_s: float) -> VehicleState:
        noise, rng = self._noise, self._rng
        elapsed_s = now_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = now_s
        self._drift_m = self._drift_m + rng.normal(size=3) * noise.drift_m_sqrt_s * math.sqrt(max(0.0, elapsed_s))
        position = drone.position_m + self._drift_m + rng.normal(size=3) * noise.position_m
        velocity = drone.velocity_m_s + rng.normal(size=3) * noise.velocity_m_s
        roll, pitch = drone.roll_pitch_rad
        yaw = drone.yaw_rad + float(rng.normal()) * noise.yaw_rad
        return VehicleState(
            now_s,
            vector3(position),
            quaternion_xyzw(roll, pitch, yaw),
            vector3(velocity),
            drone.yaw_rate_rad_s,
        )


def body_velocity_m_s(state: VehicleState) -> tuple[float, float, float]:
    """A state's velocity in the body frame, as nav_msgs/Odometry has it."""
    forward, left, up = rotation_matrix(state.orientation_odom_xyzw).T @ np.array(state.velocity_odom_m_s)
    return (float(forward), float(left), float(up))


def rotation_matrix(orientation_xyzw: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """(3, 3): the columns are the rotated axes."""
    x, y, z, w = orientation_xyzw
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
