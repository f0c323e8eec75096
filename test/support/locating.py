"""What a position follows from, in one call."""

from __future__ import annotations

from fcn_follow.perception.ranging import LocatingParameters, RangingParameters
from fcn_follow.shared_parameters import CameraParameters, HeroParameters


def locating(
    method: str = "apparent_height",
    *,
    camera_height_m: float = 3.0,
    pitch_down_rad: float = 0.0,
    hero_height_m: float = 1.7,
) -> LocatingParameters:
    ranging = RangingParameters(method, camera_height_m=camera_height_m)
    return LocatingParameters(ranging, CameraParameters(pitch_down_rad), HeroParameters(hero_height_m))
