"""Frames, masks and weights that the tests make themselves, for machines without the real ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import ModelCard, save_weights

HERO_BOX = (slice(60, 100), slice(30, 50))


def frame(index: int, height_px: int = 120, width_px: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A green picture whose brightness is its index, with a red upright hero; and its labels."""
    image = np.full((height_px, width_px, 3), (10, 90 + index, 40), np.uint8)
    labels = np.zeros((height_px, width_px), np.uint8)
    image[HERO_BOX] = (220, 20, 20)
    labels[HERO_BOX] = 2
    return image, labels


def write_frames(folder: Path, count: int, masks: bool = True) -> Path:
    """images/ and masks/ in the shape of the real ones."""
    (folder / "images").mkdir(parents=True)
    if masks:
        (folder / "masks").mkdir()
    for index in range(count):
        image, labels = frame(index)
        cv2.imwrite(str(folder / "images" / f"1_run1cam1_{index:05d}.jpeg"), image[..., ::-1])
        if masks:
            mask = np.eye(3, dtype=np.uint8)[labels] * 255
            cv2.imwrite(str(folder / "masks" / f"1_run1_mask_{index:05d}.png"), mask[..., ::-1])
    return folder


def write_calibration(path: Path, camera: CameraIntrinsics) -> Path:
    """A file as camera_calibration writes it."""
    fx, fy, cx, cy = camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px
    path.write_text(
        f"image_width: {camera.width_px}\nimage_height: {camera.height_px}\ncamera_name: head_camera\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: [{fx}, 0.0, {cx}, 0.0, {fy}, {cy}, 0.0, 0.0, 1.0]\n"
        "distortion_model: plumb_bob\ndistortion_coefficients:\n  rows: 1\n  cols: 5\n"
        "  data: [0.1, -0.2, 0.001, 0.002, 0.0]\n"
        "projection_matrix:\n  rows: 3\n  cols: 4\n"
        f"  data: [{round(0.7 * fx, 6)}, 0.0, {cx}, 0.0, 0.0, {round(0.7 * fy, 6)}, {cy}, 0.0, 0.0, 0.0, 1.0, 0.0]\n"
    )
    return path


def write_weights(path: Path, hero_everywhere: bool = False) -> Path:
    """Untrained weights; with `hero_everywhere` any probability is enough, and every pixel is the hero's."""
    threshold = 1e-12 if hero_everywhere else 1 - 1e-6
    card = ModelCard("hero_net", 64, 96, hero_probability_threshold=threshold)
    save_weights(path, build_network("hero_net").eval(), card)
    return path
