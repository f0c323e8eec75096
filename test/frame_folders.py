"""Folders of frames that the tests draw: a red hero and grey people on paving, in the format of the real ones."""

from pathlib import Path

import cv2
import numpy as np


def draw_frame(random, size=64, hero_height=0, people=1):
    """An RGB frame and its 0/1 mask H x W x 3; a hero_height of 0 leaves the hero out."""
    image = random.integers(120, 160, (size, size, 3)).astype(np.uint8)
    labels = np.zeros((size, size), np.uint8)
    for label, colour, height in [(1, (40, 60, 90), size // 4)] * people + [(2, (200, 20, 20), hero_height)]:
        if height:
            width = max(height // 3, 1)
            left = int(random.integers(0, size - width))
            top = int(random.integers(0, size - height))
            image[top : top + height, left : left + width] = colour
            labels[top : top + height, left : left + width] = label
    return image, np.stack([labels == i for i in range(3)], axis=2).astype(np.uint8)


def write_frames(folder: Path, count=12, seed=0, run="1_run1", size=64, hero_heights=(0, 8, 24)):
    """Write count frames as folder/images and folder/masks; the hero's heights take turns."""
    random = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image, mask = draw_frame(random, size, hero_heights[i % len(hero_heights)])
        cv2.imwrite(str(folder / "images" / f"{run}cam1_{i:05d}.jpeg"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{run}_mask_{i:05d}.png"), mask[..., ::-1] * 255)
    return folder
