"""The frame tinted by its labels, with the hero's box and centroid, for display."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.images.captions import write_caption
from fcn_follow.perception.blobs import Blob

LABEL_COLOURS_RGB = np.array([[0, 0, 0], [0, 160, 255], [255, 60, 0]], np.uint8)
LABEL_WEIGHTS = np.array([0.0, 0.45, 0.45], np.float32)
BOX_COLOUR_RGB = (255, 255, 0)


def draw_overlay(
    image_rgb: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    hero: Blob | None,
    numbers: Mapping[int, tuple[float, float]] = MappingProxyType({}),
) -> NDArray[np.uint8]:
    """A new HxWx3 uint8 image: others tinted blue, the hero orange, with the hero's box and a cross at the centroid.

    `numbers` maps each number that the user may choose to its place in pixels, where it is drawn.
    """
    picture: NDArray[np.uint8] = image_rgb.copy()
    people = labels > 0
    weight = LABEL_WEIGHTS[labels[people]][:, None]
    picture[people] = (1 - weight) * image_rgb[people] + weight * LABEL_COLOURS_RGB[labels[people]]
    if hero is not None:
        box = hero.box
        cv2.rectangle(picture, (box.left_px, box.top_px), (box.right_px - 1, box.bottom_px - 1), BOX_COLOUR_RGB, 1)
        centre = (round(hero.centroid_px[0]), round(hero.centroid_px[1]))
        cv2.drawMarker(picture, centre, BOX_COLOUR_RGB, cv2.MARKER_CROSS, markerSize=9, thickness=1)
    for number, (x_px, y_px) in numbers.items():
        write_caption(picture, str(number), (round(x_px) - 5, round(y_px) + 5), 0.5, BOX_COLOUR_RGB)
    return picture
