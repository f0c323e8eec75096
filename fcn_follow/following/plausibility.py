"""What a drone, a person and a camera can do. Each function returns why a value is refused, or an empty text."""

from __future__ import annotations

import math

from fcn_follow.coordinates import roll_pitch_yaw
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.reasons import Refusal
from fcn_follow.geometry import Vector3, VehicleState

MIN_PERSON_DEPTH_M = 0.3
MAX_PERSON_RANGE_M = 200.0
MAX_OFF_AXIS_RAD = math.radians(85.0)
MAX_ODOM_POSITION_M = 1e8  # no place in a metric map grid (UTM) is farther from its origin
MAX_DRONE_SPEED_M_S = 40.0
MAX_DRONE_YAW_RATE_RAD_S = 12.0
MAX_TILT_RAD = math.radians(75.0)
MAX_POSITION_SIGMA_M = 10.0
MAX_VELOCITY_SIGMA_M_S = 3.0
MIN_QUATERNION_NORM, MAX_QUATERNION_NORM = 0.5, 2.0


def implausible_position(position_camera_m: Vector3) -> str:
    """Why no person can be seen at a position in the camera's optical frame (m)."""
    x, y, z = position_camera_m
    if nowhere := no_place(position_camera_m):
        return nowhere
    if z < MIN_PERSON_DEPTH_M:
        return Refusal.POSITION_TOO_NEAR.with_figures(MIN_PERSON_DEPTH_M)
    if math.hypot(x, y, z) > MAX_PERSON_RANGE_M:
        return Refusal.POSITION_TOO_FAR.with_figures(MAX_PERSON_RANGE_M)
    if math.hypot(x, y) > z * math.tan(MAX_OFF_AXIS_RAD):
        return Refusal.POSITION_OUT_OF_VIEW
    return ""


def no_place(position_camera_m: Vector3) -> str:
    """Why a position (m, optical frame) does not even show where a person is in the drone's way."""
    if not all(map(math.isfinite, position_camera_m)):
        return Refusal.POSITION_NOT_FINITE
    return Refusal.POSITION_BEHIND_CAMERA if position_camera_m[2] <= 0.0 else ""


def obstacle_place(position_camera_m: Vector3) -> Vector3:
    """Where a person is in the drone's way; a person too near for ranging is taken to be MIN_PERSON_DEPTH_M ahead."""
    x, y, z = position_camera_m
    return x, y, max(MIN_PERSON_DEPTH_M, z)


def implausible_vehicle(state: VehicleState) -> str:
    """Why no drone can be in this state."""
    if not is_unit_quaternion(state.orientation_odom_xyzw):
        return Refusal.NO_QUATERNION
    if not all(map(math.isfinite, (*state.position_odom_m, *state.velocity_odom_m_s, state.yaw_rate_rad_s))):
        return Refusal.VEHICLE_NOT_FINITE
    roll, pitch, _ = roll_pitch_yaw(state.orientation_odom_xyzw)
    if math.cos(roll) * math.cos(pitch) < math.cos(MAX_TILT_RAD):
        return Refusal.TILT_TOO_LARGE
    for refusal, value, limit in (
        (Refusal.PLACE_TOO_FAR, max(map(abs, state.position_odom_m)), MAX_ODOM_POSITION_M),
        (Refusal.SPEED_TOO_HIGH, math.hypot(*state.velocity_odom_m_s), MAX_DRONE_SPEED_M_S),
        (Refusal.YAW_RATE_TOO_HIGH, abs(state.yaw_rate_rad_s), MAX_DRONE_YAW_RATE_RAD_S),
        (Refusal.PLACE_TOO_UNCERTAIN, state.position_sigma_m, MAX_POSITION_SIGMA_M),
        (Refusal.VELOCITY_TOO_UNCERTAIN, state.velocity_sigma_m_s, MAX_VELOCITY_SIGMA_M_S),
    ):
        if value > limit:
            return refusal.with_figures(limit)
    return ""


def is_unit_quaternion(orientation_xyzw: tuple[float, float, float, float]) -> bool:
    """Whether an orientation can be normalised to a unit quaternion."""
    return MIN_QUATERNION_NORM < math.hypot(*orientation_xyzw) < MAX_QUATERNION_NORM


def wrong_stamp(stamp_s: float, now_s: float, max_age_s: float, timeouts: Timeouts) -> str:
    """Why a stamp is too old or lies in the future."""
    if not math.isfinite(stamp_s):
        return Refusal.STAMP_NOT_FINITE
    age_s = now_s - stamp_s
    if age_s < -timeouts.future_s:
        return Refusal.STAMP_AHEAD.with_figures(_duration(-age_s))
    if age_s <= max_age_s:
        return ""
    if stamp_s < 1.0:
        return Refusal.STAMP_ZERO
    return Refusal.STAMP_TOO_OLD.with_figures(_duration(age_s))


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100.0 else "minutes or more"
