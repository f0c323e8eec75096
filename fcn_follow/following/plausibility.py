"""What a drone, a person and a camera can do; what is beyond is refused, in words.

Each function returns the reason for refusing a value, or an empty text.
"""

from __future__ import annotations

import math

from fcn_follow.coordinates import roll_pitch_yaw
from fcn_follow.following.parameters import Timeouts
from fcn_follow.geometry import Vector3, VehicleState

MIN_PERSON_DEPTH_M = 0.3
MAX_PERSON_RANGE_M = 200.0
MAX_OFF_AXIS_RAD = math.radians(85.0)
MAX_ODOM_POSITION_M = 1e8
"""Farther than any place of a metric map grid (UTM) is from its origin."""
MAX_DRONE_SPEED_M_S = 40.0
MAX_DRONE_YAW_RATE_RAD_S = 12.0
MAX_TILT_RAD = math.radians(75.0)
MAX_POSITION_SIGMA_M = 10.0
MAX_VELOCITY_SIGMA_M_S = 3.0


def implausible_position(position_camera_m: Vector3) -> str:
    """Why nobody can be seen at a position in the camera's optical frame (m)."""
    x, y, z = position_camera_m
    if not all(map(math.isfinite, position_camera_m)):
        return "positions that are not finite"
    if z <= 0.0:
        return "positions behind the camera"
    if z < MIN_PERSON_DEPTH_M:
        return f"positions nearer than {MIN_PERSON_DEPTH_M:g} m to the camera"
    if math.hypot(x, y, z) > MAX_PERSON_RANGE_M:
        return f"positions farther than {MAX_PERSON_RANGE_M:g} m"
    if math.hypot(x, y) > z * math.tan(MAX_OFF_AXIS_RAD):
        return "positions outside any camera's view"
    return ""


def implausible_vehicle(state: VehicleState) -> str:
    """Why no drone is in this state."""
    if not 0.5 < math.hypot(*state.orientation_odom_xyzw) < 2.0:
        return "an orientation that is no unit quaternion"
    if not all(map(math.isfinite, (*state.position_odom_m, *state.velocity_odom_m_s, state.yaw_rate_rad_s))):
        return "values that are not finite"
    roll, pitch, _ = roll_pitch_yaw(state.orientation_odom_xyzw)
    if math.cos(roll) * math.cos(pitch) < math.cos(MAX_TILT_RAD):
        return "an attitude that lies on its side or upside down (is the quaternion x, y, z, w?)"
    if max(map(abs, state.position_odom_m)) > MAX_ODOM_POSITION_M:
        return f"a position beyond {MAX_ODOM_POSITION_M:g} m"
    if math.hypot(*state.velocity_odom_m_s) > MAX_DRONE_SPEED_M_S:
        return f"a speed above {MAX_DRONE_SPEED_M_S:g} m/s"
    if abs(state.yaw_rate_rad_s) > MAX_DRONE_YAW_RATE_RAD_S:
        return f"a yaw rate above {MAX_DRONE_YAW_RATE_RAD_S:g} rad/s"
    if state.position_sigma_m > MAX_POSITION_SIGMA_M:
        return f"a position known to no better than {MAX_POSITION_SIGMA_M:g} m (its covariance)"
    if state.velocity_sigma_m_s > MAX_VELOCITY_SIGMA_M_S:
        return f"a velocity known to no better than {MAX_VELOCITY_SIGMA_M_S:g} m/s (its covariance)"
    return ""


def wrong_stamp(stamp_s: float, now_s: float, max_age_s: float, timeouts: Timeouts) -> str:
    """Why something stamped so is not of now."""
    if not math.isfinite(stamp_s):
        return "stamps that are not finite"
    age_s = now_s - stamp_s
    if age_s < -timeouts.future_s:
        return f"stamps {_in_words(-age_s)} ahead of the clock"
    if age_s <= max_age_s:
        return ""
    return f"stamps {_in_words(age_s)} old, older than {max_age_s:g} s" if stamp_s >= 1.0 else "zero stamps"


def _in_words(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100.0 else "minutes or more"
