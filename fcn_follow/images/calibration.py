"""The calibration file of a camera, as camera_calibration and camera_info_manager write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import matrix_of_images, plausible_camera
from fcn_follow.yaml_text import read_yaml


def read_calibration(path: Path, *, rectified: bool = False) -> CameraIntrinsics:
    """The pinhole camera of a calibration file, of its raw or its rectified images.

    Raises UserError if it is no calibration or is impossible.
    """
    content = read_yaml(path, "a camera's calibration")
    try:
        width_px, height_px = content["image_width"], content["image_height"]
        numbers = _numbers(content, "camera_matrix", 9)
        if not type(width_px) is type(height_px) is int:
            raise ValueError
        if rectified:
            numbers = matrix_of_images(numbers, _numbers(content, "projection_matrix", 12), (), rectified=True)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        wanted = "image_width, image_height and camera_matrix with data of 9 numbers"
        wanted += ", and for rectified images projection_matrix with 12" if rectified else ""
        raise UserError(f"{path}: not a camera's calibration; it must have {wanted}") from error
    try:
        return plausible_camera("the calibration", width_px, height_px, numbers)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _numbers(content: Any, name: str, count: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in content[name]["data"])
    if len(numbers) != count:
        raise ValueError
    return numbers
