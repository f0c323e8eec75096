"""Hero in pixels -> position in metres: by apparent height, by the ground under the feet, or by depth.

The first two assume an upright body and a pinhole camera without lens distortion, and give the middle of the body; by
depth it is the middle of the visible part of the body, in any pose.
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
MIN_GROUND_ANGLE = 0.01  # sine of the ray's angle below the horizon; flatter rays give no useful distance
MAX_WIDTH_RATIO = 1.8  # to the hero's width, with arms and stride; nine in ten of the simulator's heroes are narrower
MAX_LENGTH = 1.25  # of a body with raised arms, in its heights
BODY_BEHIND_SURFACE_M = 0.11  # from the visible surface of a body to its middle; 0.10 to 0.12 in the simulator


@dataclass(frozen=True)
class RangingParameters:
    """How the hero's distance follows from its blob."""

    method: str = parameter(
        "apparent_height",
        "source of the hero's distance; apparent_height: its height in the image; ground_plane: where its feet touch "
        "the ground (needs camera_height_m; never farther than by apparent height, which is used alone if the feet are "
        "outside the image); depth: the median depth of its pixels (needs weights with a depth head)",
        choices=METHODS,
    )
    hero_width_m: float = parameter(
        0.5, "width of the hero, which limits the distance by apparent height", unit="m", minimum=0.05, maximum=2.0
    )
    camera_height_m: float = parameter(
        3.0, "height of the camera above the ground, for ground_plane", unit="m", minimum=0.1, maximum=200.0
    )


@dataclass(frozen=True)
class LocatingParameters:
    """What a position depends on besides the blob: the method, the camera's mount and the hero's size."""

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
    """The middle of the hero's body in the camera's optical frame, or None if the picture does not show it.

    The method depth takes hero_depth_m, along the optical axis, and gives None unless it is a positive number. A depth
    that would make the body longer than MAX_LENGTH is shortened: a network may be wrong. The apparent height gives None
    for a hero in a corner of the image, see `is_in_corner`.
    """
    if _by_size(parameters, hero, camera) and is_in_corner(hero, camera):
        return None
    return locate_body(hero, camera, parameters, stamp_s, hero_depth_m)


def is_in_corner(body: Blob, camera: CameraIntrinsics) -> bool:
    """Whether the image cuts off one side and either head or feet, so that the size gives no distance.

    The body may then be much nearer than its size suggests. A body that reaches from border to border is not farther.
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
    """As `locate_hero`, but a body in a corner of the image is placed at the largest possible distance."""
    if parameters.ranging.method == "depth":
        if not 0.0 < hero_depth_m < math.inf:
            return None
        length = max(hero.box.height_px / camera.fy_px, hero.box.width_px / camera.fx_px)  # in depths
        depth_m = min(hero_depth_m + BODY_BEHIND_SURFACE_M, MAX_LENGTH * parameters.hero.height_m / length)
        x, y, z = (float(v) for v in _ray(camera, *hero.centroid_px) * depth_m)
        return HeroPosition(stamp_s, (x, y, z))
    pitch_rad = parameters.camera.pitch_down_rad
    up = np.array([0.0, -math.cos(pitch_rad), -math.sin(pitch_rad)])
    half_body = 0.5 * parameters.hero.height_m * up
    middle = _by_apparent_height(hero, camera, parameters, up, half_body)
    if not _by_size(parameters, hero, camera):
        on_ground = _by_ground_plane(hero, camera, parameters, up, half_body)
        if on_ground is None or not on_ground[2] > 0.0:
            return None
        if on_ground[2] < middle[2]:  # from lower than camera_height_m the ground would be farther away than it is
            middle = on_ground
    y_m, z_m = float(middle[1]), float(middle[2])
    x_m = (hero.centroid_px[0] - camera.cx_px) / camera.fx_px * z_m  # at the depth of the middle, not of the feet
    return HeroPosition(stamp_s, (x_m, y_m, z_m))


def blob_depth(blob: Blob, labels: NDArray[np.uint8], depth_m: NDArray[np.float32] | None) -> float:
    """The median depth of the blob's pixels in its box, in metres; NaN without depth, or if any of them is NaN.

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
    """Whether the distance follows from the size in the image: by parameter, or because the feet are cut off."""
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
    if descent < MIN_GROUND_ANGLE * float(np.linalg.norm(ray)):
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

    A body whose head or feet are cut off by the image looks too short and thus too far; then the smaller of the
    distances by height and by width counts, measured from the visible end. A sitting or half-occluded hero looks too
    short as well, which the blob does not show: the distance is never larger than that of the widest hero. Seen from
    above the head, the height gives no distance and only the width counts. The result is always in front of the camera.
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
    width_m = parameters.ranging.hero_width_m * (MAX_WIDTH_RATIO if whole else 1.0)
    depth_m = min(feet_depth_m, width_m * camera.fx_px / hero.box.width_px)
    middle = head * depth_m - half_body if feet_cut else feet * depth_m + half_body
    if (head_cut and feet_cut) or (whole and depth_m < feet_depth_m) or middle[2] <= 0.0:
        middle = (feet + head) * 0.5 * depth_m
    return np.asarray(middle)
