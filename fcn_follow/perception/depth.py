"""The depth channel of a network with two heads (`networks/sources/mask_depth.py`) in metres.

A picture alone does not distinguish a far object from a small one. The depth head therefore learns the depth for a
camera of one focal length (the model card's `depth_focal_px`; Yin et al., "Metric3D", 2023): with twice that focal
length, an object that looks the same is twice as far away.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.networks.weights import ModelCard

Number = TypeVar("Number", np.uint8, np.float32)


def metres_per_unit(card: ModelCard, focal_y_px: float, height_px: int) -> float:
    """The factor from exp(depth channel) to metres, for a camera with this focal length in images of this height.

    focal_y_px is the vertical one (fy of the camera matrix), in pixels of the camera's own image.
    """
    return focal_y_px * card.input_height_px / height_px / card.depth_focal_px


def resized_nearest(values: NDArray[Number], height_px: int, width_px: int) -> NDArray[Number]:
    """The nearest value for each pixel: a mean of a person's and the background's depth is the depth of neither."""
    if values.shape == (height_px, width_px):
        return values
    resized: NDArray[Number] = cv2.resize(values, (width_px, height_px), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized
