"""A short clip that the project draws itself, with masks: one person in red and others walk over a meadow."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from fcn_follow.data.frames import HERO, OTHER_PEOPLE

SIZE_PX = 256
FRAMES = 300
SHIRTS_RGB = {HERO: (190, 25, 30), OTHER_PEOPLE: (40, 60, 120)}


def write_clip(folder: Path) -> None:
    """Write images/ and masks/ of FRAMES frames into `folder`."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    generator = np.random.default_rng(0)
    meadow = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    meadow[:90] = (170, 200, 230)
    meadow[90:] = (95, 125, 70)
    meadow = np.clip(meadow + generator.normal(0, 6, meadow.shape), 0, 255).astype(np.uint8)
    for index in range(FRAMES):
        image, labels = meadow.copy(), np.zeros((SIZE_PX, SIZE_PX), np.uint8)
        phase = 2 * math.pi * index / FRAMES
        for label, x_px, height_px in (
            (OTHER_PEOPLE, 60 + 40 * math.sin(3 * phase), 38.0),
            (OTHER_PEOPLE, 190 - 50 * math.sin(2 * phase), 44.0),
            (HERO, 128 + 70 * math.sin(2 * phase), 90 + 35 * math.cos(phase)),
        ):
            _draw_person(image, labels, label, x_px, 110 + height_px, height_px)
        cv2.imwrite(str(folder / "images" / f"{index:05d}.png"), image[..., ::-1])
        mask = np.eye(3, dtype=np.uint8)[labels] * 255
        cv2.imwrite(str(folder / "masks" / f"{index:05d}.png"), mask[..., ::-1])


def _draw_person(
    image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    label: int,
    x_px: float,
    feet_px: float,
    height_px: float,
) -> None:
    """Head, trunk and legs, into the picture and into its labels."""
    x, feet, h = round(x_px), round(feet_px), height_px
    parts = (
        ((x, feet - round(0.92 * h)), (0.07, 0.08), (200, 160, 130)),
        ((x, feet - round(0.65 * h)), (0.13, 0.20), SHIRTS_RGB[label]),
        ((x - round(0.06 * h), feet - round(0.23 * h)), (0.06, 0.24), (45, 40, 40)),
        ((x + round(0.06 * h), feet - round(0.23 * h)), (0.06, 0.24), (45, 40, 40)),
    )
    for centre, (half_width, half_height), colour in parts:
        axes = (max(1, round(half_width * h)), max(1, round(half_height * h)))
        cv2.ellipse(image, centre, axes, 0, 0, 360, colour, -1)
        cv2.ellipse(labels, centre, axes, 0, 0, 360, label, -1)
