"""A step in words and numbers, for the debug topic, a CSV file and a report."""

from __future__ import annotations

import math

from fcn_follow.following.follower import FollowerStep
from fcn_follow.geometry import VelocityCommand

AXES = ("forward_m_s", "left_m_s", "up_m_s", "yaw_rate_rad_s")
COLUMNS = (
    "state",
    "reason",
    "limited_by",
    "fault",
    "image_stamp_s",
    "hero_age_s",
    "distance_m",
    "height_m",
    "bearing_rad",
    "hero_speed_m_s",
    "hero_sigma_m",
    *(f"wanted_{axis}" for axis in AXES),
    *(f"command_{axis}" for axis in AXES),
)


def explain(step: FollowerStep) -> dict[str, str | float]:
    """The COLUMNS of one step; unknown numbers are NaN. distance, height and bearing are the drone's, from the hero."""
    hero, where = step.hero, step.relative
    return {
        "state": step.state.value,
        "reason": step.reason,
        "limited_by": ", ".join(step.limited_by),
        "fault": step.fault,
        "image_stamp_s": f"{step.stamp_s:.6f}" if step.stamp_s is not None else "nan",
        "hero_age_s": step.now_s - step.stamp_s if step.stamp_s is not None else math.nan,
        "distance_m": where.distance_m if where else math.nan,
        "height_m": where.height_m if where else math.nan,
        "bearing_rad": where.bearing_rad if where else math.nan,
        "hero_speed_m_s": math.hypot(*hero.velocity_odom_m_s[:2]) if hero else math.nan,
        "hero_sigma_m": hero.position_sigma_m if hero else math.nan,
        **_axes("wanted", step.wanted),
        **_axes("command", step.command),
    }


def _axes(name: str, command: VelocityCommand) -> dict[str, float]:
    return {f"{name}_{axis}": getattr(command, axis) for axis in AXES}
