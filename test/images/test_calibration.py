from __future__ import annotations

from pathlib import Path

import pytest
from drawn_frames import write_calibration

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.calibration import read_calibration

CAMERA = CameraIntrinsics(160, 120, 150.0, 140.0, 79.5, 59.5)


def test_raw_images_are_those_of_the_camera_matrix_and_rectified_ones_those_of_the_projection_matrix(tmp_path: Path):
    path = write_calibration(tmp_path / "camera.yaml", CAMERA)
    assert read_calibration(path) == CAMERA
    assert read_calibration(path, rectified=True) == CameraIntrinsics(160, 120, 105.0, 98.0, 79.5, 59.5)


def test_a_calibration_without_a_projection_matrix_is_none_of_rectified_images(tmp_path: Path):
    path = write_calibration(tmp_path / "camera.yaml", CAMERA)
    path.write_text(path.read_text().replace("projection_matrix", "another_matrix"))
    assert read_calibration(path) == CAMERA
    with pytest.raises(UserError, match="for rectified images projection_matrix with 12"):
        read_calibration(path, rectified=True)
