"""Folders of frames that the tests draw: a red hero and grey people on paving, in the format of the real ones."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch


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


def write_depth(folder: Path, size=64, focal_px=50.0, heroes_m=(3.0, 6.0, 12.0)):
    """Give the frames of write_frames depth and focal lengths: ground 20 m away, people at 8 m, sky above, the hero."""
    (folder / "depth").mkdir()
    lines = []
    for i, path in enumerate(sorted((folder / "masks").iterdir())):
        labels = cv2.imread(str(path))[..., ::-1].argmax(2)
        depth_mm = np.full((size, size), 20_000, np.uint16)
        depth_mm[:4] = 0
        depth_mm[labels == 1] = 8_000
        depth_mm[labels == 2] = round(1000 * heroes_m[i % len(heroes_m)])
        cv2.imwrite(str(folder / "depth" / path.name.replace("mask", "depth")), depth_mm)
        lines.append(json.dumps({"frame": i, "focal_lengths_px": [focal_px, focal_px]}) + "\n")
    (folder / "frames.jsonl").write_text("".join(lines))
    return folder


def marked_squares():
    """Eight frames on grey, uint8 8 x 64 x 64 x 3, and their labels: the hero is the only red thing."""
    images = torch.full((8, 64, 64, 3), 90, dtype=torch.uint8)
    labels = torch.zeros((8, 64, 64), dtype=torch.uint8)
    for i in range(8):
        rows, columns = slice(8 + 4 * i, 20 + 4 * i), slice(40 - 4 * i, 48 - 4 * i)
        images[i, rows, columns] = torch.tensor([255, 0, 0], dtype=torch.uint8)
        labels[i, rows, columns] = 2
    return images, labels
