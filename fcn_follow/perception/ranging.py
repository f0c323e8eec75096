"""Hero in pixels -> position in metres: by the apparent height, the ground where the hero stands, or by depth.

The first two take the hero as an upright body on a pinhole camera without lens distortion, and give the middle of the
body; by depth it is the middle of what shows of the body, of whatever pose.
With the camera pitched down by p, the world's up in the optical frame is u = (0, -cos p, -sin p).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import CameraIntrinsics, HeroPosition
from fcn_follow.parameters import parameter
from fcn_follow.perception.blobs import Blob
from fcn_follow.shared_parameters import CameraParameters, HeroParameters

METHODS = ("apparent_height", "ground_plane", "depth")
NARROWEST_GROUND_ANGLE = 0.01  # sine of the ray's angle below the horizon; flatter rays say nothing of the distance
WIDEST = 1.8  # times its width: arms and stride make no hero wider, but for one in ten of the simulator's
BODY_BEHIND_SURFACE_M = 0.11  # from what the camera sees of a body to its middle; 0.10 to 0.12 in the simulator


@dataclass(frozen=True)
class RangingParameters:
    """How the hero's position follows from its blob."""

    method: str = parameter(
        "apparent_height",
        "what the distance follows from: the hero's height in the image, the ground where the feet stand (needs "
        "camera_height_m; apparent height where the image cuts the feet off), or the median depth of the hero's pixels "
        "(needs weights with a depth head)",
        choices=METHODS,
    )
    hero_width_m: float = parameter(
        0.5, "width of the hero: bounds the distance by apparent height", unit="m", minimum=0.05, maximum=2.0
    )
    camera_height_m: float = parameter(
        3.0, "height of the camera above the ground, for ground_plane", unit="m", minimum=0.1, maximum=200.0
    )


@dataclass(frozen=True)
class LocatingParameters:
    """What a position follows from: how the distance is found, by which camera, and of whom."""

    ranging: RangingParameters = field(default_factory=RangingParameters)
    camera: CameraParameters = field(default_factory=CameraParameters)
    hero: HeroParameters = field(default_factory=HeroParameters)


def locate_hero(
    hero: Blob,
    camera: CameraIntrinsics,
    parameters: LocatingParameters,
    stamp_s: float,
    hero_depth_m: float = math.nan,
) -> HeroPosition | None:
    """The middle of the hero's body in the camera's optical frame, or None where the picture does not say where it is.

    hero_depth_m, along the optical axis, is what the method depth goes by; None where it is no positive number. By
    apparent height it is None where the hero is in a corner of the image, see `is_in_corner`.
    """
    if _by_size(parameters, hero, camera) and is_in_corner(hero, camera):
        return None
    return locate_body(hero, camera, parameters, stamp_s, hero_depth_m)


def is_in_corner(body: Blob, camera: CameraIntrinsics) -> bool:
    """Whether the image cuts off one end of the height and one side, so that the size gives no distance.

    The body may be much nearer than it seems. One that reaches from border to border is as near as it seems, or nearer.
    """
    box = body.box
    one_end_cut = (box.top_px <= 0) != (box.bottom_px >= camera.height_px)
    one_side_cut = (box.left_px <= 0) != (box.right_px >= camera.width_px)
    return one_end_cut and one_side_cut


def locate_body(
    hero: Blob,
    camera: CameraIntrinsics,
    parameters: LocatingParameters,
    stamp_s: float,
    hero_depth_m: float = math.nan,
) -> HeroPosition | None:
    """As `locate_hero`, but a body in a corner of the image is put as far away as it can be."""
    if parameters.ranging.method == "depth":
        if not 0.0 < hero_depth_m < math.inf:
            return None
        x, y, z = (float(v) for v in _ray(camera, *hero.centroid_px) * (hero_depth_m + BODY_BEHIND_SURFACE_M))
        return HeroPosition(stamp_s, (x, y, z))
    pitch_rad = parameters.camera.pitch_down_rad
    up = np.array([0.0, -math.cos(pitch_rad), -math.sin(pitch_rad)])
    half_body = 0.5 * parameters.hero.height_m * up
    middle: NDArray[np.float64] | None
    if _by_size(parameters, hero, camera):
        middle = _by_apparent_height(hero, camera, parameters, up, half_body)
    else:
        middle = _by_ground_plane(hero, camera, parameters, up, half_body)
    if middle is None or not middle[2] > 0.0:
        return None
    y_m, z_m = float(middle[1]), float(middle[2])
    x_m = (hero.centroid_px[0] - camera.cx_px) / camera.fx_px * z_m  # the centroid is of the middle, not of the feet
    return HeroPosition(stamp_s, (x_m, y_m, z_m))


def blob_depth(blob: Blob, labels: NDArray[np.uint8], depth_m: NDArray[np.float32] | None) -> float:
    """The median depth of the blob's pixels in its box, in metres; NaN without depth, or where one of them is NaN.

    Args:
        blob: found in `labels`.
        labels: H x W uint8.
        depth_m: H x W along the optical axis.
    """
    if depth_m is None:
        return math.nan
    box = (slice(blob.box.top_px, blob.box.bottom_px), slice(blob.box.left_px, blob.box.right_px))
    return float(np.median(depth_m[box][labels[box] == blob.label]))


def _by_size(parameters: LocatingParameters, body: Blob, camera: CameraIntrinsics) -> bool:
    """Whether the distance follows from the size in the image: by parameter, or for want of feet on the ground."""
    feet_cut = body.box.bottom_px >= camera.height_px
    method = parameters.ranging.method
    return method == "apparent_height" or (method == "ground_plane" and feet_cut)


def _ray(camera: CameraIntrinsics, x_px: float, y_px: float) -> NDArray[np.float64]:
    """The direction of a pixel, with z = 1."""
    return np.array([(x_px - camera.cx_px) / camera.fx_px, (y_px - camera.cy_px) / camera.fy_px, 1.0])


def _by_ground_plane(
    hero: Blob,
    camera: CameraIntrinsics,
    parameters: LocatingParameters,
    up: NDArray[np.float64],
    half_body: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    ray = _ray(camera, hero.centroid_px[0], hero.box.bottom_px - 0.5)
    descent = -float(ray @ up)
    if descent < NARROWEST_GROUND_ANGLE * float(np.linalg.norm(ray)):
        return None
    feet = ray * (parameters.ranging.camera_height_m / descent)
    return np.asarray(feet + half_body)


def _by_apparent_height(
    hero: Blob,
    camera: CameraIntrinsics,
    parameters: LocatingParameters,
    up: NDArray[np.float64],
    half_body: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Feet at depth z_f and head at feet + H u give (y_f - y_h) z_f = H (cos p - y_h sin p), y in units of f.

    Where the image cuts head or feet off, what is left is too short and the hero would seem too far; then the nearer
    of the distances by height and by width counts, measured from the end that is visible. A hero who sits or is hidden
    to the waist is too short as well, which does not show: never is one farther than the widest hero would be.
    From above the head the height says nothing, and the width alone counts. The answer lies before the camera, always.
    """
    x_px = hero.centroid_px[0]
    head = _ray(camera, x_px, hero.box.top_px - 0.5)
    feet = _ray(camera, x_px, hero.box.bottom_px - 0.5)
    sine, cosine = -up[2], -up[1]
    height_m = parameters.hero.height_m
    feet_depth_m = height_m * (cosine - head[1] * sine) / (feet[1] - head[1])
    if feet_depth_m <= 0.0:
        feet_depth_m = math.inf
    head_cut = hero.box.top_px <= 0
    feet_cut = hero.box.bottom_px >= camera.height_px
    whole = not (head_cut or feet_cut)
    width_m = parameters.ranging.hero_width_m * (WIDEST if whole else 1.0)
    depth_m = min(feet_depth_m, width_m * camera.fx_px / (hero.box.right_px - hero.box.left_px))
    middle = head * depth_m - half_body if feet_cut else feet * depth_m + half_body
    if (head_cut and feet_cut) or (whole and depth_m < feet_depth_m) or middle[2] <= 0.0:
        middle = (feet + head) * 0.5 * depth_m
    return np.asarray(middle)
