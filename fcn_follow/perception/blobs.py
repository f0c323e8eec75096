"""Label mask -> the connected blobs of one class."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_BLOBS = 256
"""The largest of a class; noise in thousands of pieces must not cost the frame."""


@dataclass(frozen=True)
class Box:
    """Pixels left..right-1, top..bottom-1 of an image."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int

    @property
    def width_px(self) -> int:
        return self.right_px - self.left_px

    @property
    def height_px(self) -> int:
        return self.bottom_px - self.top_px


@dataclass(frozen=True)
class Blob:
    """Connected pixels of one label: their mean (0, 0 is the middle of the first pixel), number and bounding box."""

    label: int
    centroid_px: tuple[float, float]
    area_px: int
    box: Box


@dataclass(frozen=True)
class Component:
    """8-connected pixels of a mask: their mean, number and bounding box, and the numbers of the pixels of that box."""

    centroid_px: tuple[float, float]
    area_px: int
    box: Box
    _number: int
    _numbers: NDArray[np.integer]

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """Which pixels of the box belong to the component."""
        own: NDArray[np.bool_] = self._numbers == self._number
        return own


def components(mask: NDArray[np.uint8], min_area_px: float, max_count: int) -> list[Component]:
    """The components of a mask, uint8 HxW, that have `min_area_px` pixels or more: max_count at most, largest first."""
    x_px, y_px, wide_px, high_px = cv2.boundingRect(mask)
    if not wide_px:
        return []
    part = mask[y_px : y_px + high_px, x_px : x_px + wide_px]
    try:
        measured = cv2.connectedComponentsWithStats(part, connectivity=8, ltype=cv2.CV_16U)  # takes a third of the time
    except cv2.error:  # noise: more than 65,534 components
        measured = cv2.connectedComponentsWithStats(part, connectivity=8)
    _, numbers, statistics, centroids = measured
    found = []
    for number in 1 + np.argsort(-statistics[1:, cv2.CC_STAT_AREA], kind="stable")[:max_count]:
        left, top, width, height, area_px = (int(value) for value in statistics[number])
        if area_px < min_area_px:
            break
        x, y = centroids[number].tolist()
        box = Box(x_px + left, y_px + top, x_px + left + width, y_px + top + height)
        window = numbers[top : top + height, left : left + width]
        found.append(Component((x_px + x, y_px + y), area_px, box, int(number), window))
    return found


def find_blobs(labels: NDArray[np.uint8], label: int, min_area_px: float = 1.0) -> list[Blob]:
    """The 8-connected blobs of `label` that have `min_area_px` pixels or more: MAX_BLOBS at most, largest first.

    Args:
        labels: HxW uint8 label mask.
        label: the class of the blobs.
        min_area_px: smaller blobs are noise; in pixels of this mask.
    """
    found = components((labels == label).view(np.uint8), min_area_px, MAX_BLOBS)
    return [Blob(label, each.centroid_px, each.area_px, each.box) for each in found]
