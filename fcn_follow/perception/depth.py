"""Camera frame -> labels and depth in metres, by a network with two heads (`networks/mask_depth.py`).

What is far and what is merely small cannot be told from a picture without its camera. The depth head therefore learns
the depth that a camera of one focal length would see (the model card's `depth_focal_px`; Yin et al., "Metric3D", 2023):
with twice that focal length, the same picture shows what is twice as far away.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn_follow.data.resize import resize_image
from fcn_follow.errors import UserError
from fcn_follow.networks.weights import METRES, LoadedWeights, ModelCard
from fcn_follow.perception.labels import labels_of

Number = TypeVar("Number", np.uint8, np.float32)


class LabelsAndDepth(NamedTuple):
    """labels uint8 H x W (0 background, 1 other people, 2 hero); depth_m float32 H x W along the optical axis."""

    labels: NDArray[np.uint8]
    depth_m: NDArray[np.float32]


def require_metres(card: ModelCard) -> None:
    """Raises UserError for weights without a depth head, or with one that gives no metres."""
    if card.depth != METRES:
        said = f"gives depth as {card.depth}" if card.depth else "gives no depth"
        raise UserError(f"the network {card.network} {said}; wanted are weights with a depth head that says metres")


def metres_per_unit(card: ModelCard, focal_y_px: float, height_px: int) -> float:
    """What exp(depth channel) is multiplied with, for a camera with this focal length in images of this height.

    focal_y_px is the vertical one (fy of the camera matrix), in pixels of the camera's own image.
    """
    return focal_y_px * card.input_height_px / height_px / card.depth_focal_px


@torch.inference_mode()
def predict(weights: LoadedWeights, image_rgb: NDArray[np.uint8], focal_y_px: float) -> LabelsAndDepth:
    """Labels and depth of an image, both of its size; the network's own size lies between.

    Args:
        weights: with a depth head that gives metres.
        image_rgb: H x W x 3 uint8 of any size.
        focal_y_px: the camera's vertical focal length in pixels of this image.

    Raises UserError as `require_metres`.
    """
    card = weights.card
    require_metres(card)
    height_px, width_px = image_rgb.shape[:2]
    small = resize_image(image_rgb, card.input_height_px, card.input_width_px)
    pixels = torch.tensor(small).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    output: Tensor = weights.network(pixels)[0]
    labels = labels_of(output[:-1].softmax(0).permute(1, 2, 0).numpy(), card)
    depth_m = output[-1].exp().numpy() * np.float32(metres_per_unit(card, focal_y_px, height_px))
    return LabelsAndDepth(resized_nearest(labels, height_px, width_px), resized_nearest(depth_m, height_px, width_px))


def resized_nearest(values: NDArray[Number], height_px: int, width_px: int) -> NDArray[Number]:
    """The nearest value for each pixel: a mean of person and background is the depth of neither."""
    if values.shape == (height_px, width_px):
        return values
    resized: NDArray[Number] = cv2.resize(values, (width_px, height_px), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized
