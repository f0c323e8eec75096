"""Label mask -> the connected blobs of one class."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


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


def find_blobs(labels: NDArray[np.uint8], label: int, min_area_px: float = 1.0) -> list[Blob]:
    """The 8-connected blobs of `label` that have `min_area_px` pixels or more, largest first.

    Args:
        labels: HxW uint8 label mask.
        label: the class of the blobs.
        min_area_px: smaller blobs are noise; in pixels of this mask.
    """
    mask = (labels == label).view(np.uint8)
    left_px, top_px, width_px, height_px = cv2.boundingRect(mask)
    if width_px == 0:
        return []
    part = mask[top_px : top_px + height_px, left_px : left_px + width_px]
    contours, hierarchy = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(left_px, top_px))
    blobs = [_blob(mask, label, contours[index]) for index in np.flatnonzero(hierarchy[0, :, 3] < 0)]  # no holes
    return sorted((blob for blob in blobs if blob.area_px >= min_area_px), key=lambda blob: -blob.area_px)


def _blob(mask: NDArray[np.uint8], label: int, contour: NDArray[np.int32]) -> Blob:
    """The blob with this outer contour; the statistics of its own box are much faster than those of the whole image."""
    left, top, width, height = cv2.boundingRect(contour)
    box = mask[top : top + height, left : left + width]
    _, components, statistics, centroids = cv2.connectedComponentsWithStats(box, connectivity=8)
    x_px, y_px = contour[0, 0]
    component = components[y_px - top, x_px - left]
    x, y = centroids[component].tolist()
    area_px = int(statistics[component, cv2.CC_STAT_AREA])
    return Blob(label, (left + x, top + y), area_px, Box(left, top, left + width, top + height))
