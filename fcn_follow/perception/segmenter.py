"""Camera frame -> label mask, by an engine that runs a network."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn_follow.errors import UserError
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.engines.engine import Engine
from fcn_follow.perception.labels import labels_of_codes

DEVICES = ("auto", "cpu", "cuda")
BILINEAR = Image.BILINEAR  # type: ignore[attr-defined]  # the name that every Pillow knows
_WARM_UP = 3


class HasCard(Protocol):
    """Weights, or an exported file."""

    @property
    def card(self) -> ModelCard: ...


class Segmenter:
    """A network on its engine, warmed up: `segment` turns an image into labels.

    Args:
        model: what the engine runs, weights or an exported file; its card is read here.
        engine: gives codes, of one frame at a time.
    """

    def __init__(self, model: HasCard, engine: Engine) -> None:
        self.card = model.card
        self.engine = engine
        blank = np.zeros((self.card.input_height_px, self.card.input_width_px, 3), np.uint8)
        for _ in range(_WARM_UP):  # the first calls choose kernels and allocate
            self.segment(blank)

    def segment(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The labels of an image.

        Args:
            image_rgb: HxWx3 uint8 of any size.

        Returns:
            HxW uint8, the image's size: 0 background, 1 other people, 2 hero, as `labels_of_codes` makes them.
        """
        height_px, width_px = image_rgb.shape[:2]
        size = (self.card.input_width_px, self.card.input_height_px)
        if (width_px, height_px) != size:  # Pillow's antialiased bilinear, as the networks are trained and scored
            image_rgb = np.asarray(Image.fromarray(image_rgb).resize(size, BILINEAR))
        labels = labels_of_codes(self.engine.run(image_rgb[None])[0])
        if (width_px, height_px) != size:
            labels = cv2.resize(labels, (width_px, height_px), interpolation=cv2.INTER_NEAREST_EXACT)
        return labels


def find_device(device: str) -> torch.device:
    """The device that auto, cpu or cuda means. Raises UserError when it is none of these, or CUDA is absent."""
    if device not in DEVICES:
        raise UserError(f"device {device!r} is not known; allowed is {', '.join(DEVICES)}")
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise UserError(
            "device cuda is asked for, but PyTorch finds no CUDA GPU here; use device auto or cpu, "
            "or install a CUDA build of PyTorch and the NVIDIA driver"
        )
    return torch.device("cuda" if device != "cpu" and present else "cpu")
