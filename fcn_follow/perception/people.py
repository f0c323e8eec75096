"""Label mask -> the positions of all people but the hero, so that the drone keeps its distance to them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.geometry import CameraIntrinsics, Vector3
from fcn_follow.perception.blobs import Blob, find_blobs
from fcn_follow.perception.ranging import LocatingParameters, blob_depth, is_in_corner, locate_body

MAX_PEOPLE = 64
CORNER_SHARE = 0.5
"""A person in a corner of the image is placed at this share of the largest possible distance."""


def find_people(labels: NDArray[np.uint8], hero: Blob | None, min_area_px: float = 1.0) -> list[Blob]:
    """Every blob of a person but the followed hero's, including other blobs of the hero's class.

    Args:
        labels: HxW uint8 label mask.
        hero: the blob that is followed, as `find_hero` found it in `labels`; or None.
        min_area_px: smaller blobs are noise; in pixels of this mask.
    """
    blobs = [*find_blobs(labels, OTHER_PEOPLE, min_area_px), *find_blobs(labels, HERO, min_area_px)]
    return [blob for blob in blobs if blob != hero]


def locate_people(
    labels: NDArray[np.uint8],
    hero: Blob | None,
    camera: CameraIntrinsics,
    parameters: LocatingParameters,
    min_area_px: float = 1.0,
    depth_m: NDArray[np.float32] | None = None,
) -> tuple[Vector3, ...]:
    """The body centres of `find_people` in the camera's optical frame, in metres, the nearest first.

    At most MAX_PEOPLE. The distance follows from the apparent height of a person as tall as the hero; with the method
    depth, it is the smaller of the distances by height and by depth.

    Args:
        labels: HxW uint8 label mask.
        hero: the blob that is followed, or None.
        camera: of an image of that size.
        parameters: those with which the hero is located.
        min_area_px: smaller blobs are noise.
        depth_m: H x W along the optical axis, if the network gives it.
    """
    ranging = dataclasses.replace(parameters.ranging, method="apparent_height")
    by_height = dataclasses.replace(parameters, ranging=ranging)
    places: list[Vector3] = []
    for blob in find_people(labels, hero, min_area_px):
        answers = [locate_body(blob, camera, by_height, 0.0)]
        if parameters.ranging.method == "depth":
            answers.append(locate_body(blob, camera, parameters, 0.0, blob_depth(blob, labels, depth_m)))
        found = [answer.position_camera_m for answer in answers if answer is not None]
        if found:
            x_m, y_m, z_m = min(found, key=_distance_m)
            share = CORNER_SHARE if is_in_corner(blob, camera) else 1.0
            places.append((x_m * share, y_m * share, z_m * share))
    return tuple(sorted(places, key=_distance_m)[:MAX_PEOPLE])


def _distance_m(place_m: Vector3) -> float:
    return math.hypot(*place_m)
