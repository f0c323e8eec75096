"""Label mask -> hero: the largest connected blob of the hero's class."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.data.frames import HERO


@dataclass(frozen=True)
class Box:
    """Pixels left..right-1, top..bottom-1 of an image."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int


@dataclass(frozen=True)
class Hero:
    """The hero in one image: the mean of the blob's pixels (0, 0 is the middle of the first one), its area, its box."""

    centroid_px: tuple[float, float]
    area_px: int
    box: Box


def find_hero(labels: NDArray[np.uint8], min_area_px: float = 1.0) -> Hero | None:
    """The hero's largest 8-connected blob, or None when it has fewer than `min_area_px` pixels.

    Args:
        labels: HxW uint8 label mask.
        min_area_px: what counts as seen, in pixels of this mask.
    """
    mask = (labels == HERO).view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    part = np.ascontiguousarray(mask[top : top + height, left : left + width])
    _, _, statistics, centroids = cv2.connectedComponentsWithStats(part, connectivity=8)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    blob_left, blob_top, blob_width, blob_height, area = (int(value) for value in statistics[largest])
    if area < min_area_px:
        return None
    x, y = centroids[largest]
    box = Box(left + blob_left, top + blob_top, left + blob_left + blob_width, top + blob_top + blob_height)
    return Hero((left + float(x), top + float(y)), area, box)
