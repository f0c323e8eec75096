"""Camera frame -> label mask, and depth where the network has it, by an engine that runs the network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.images.resize import resize_image
from fcn_follow.inference.engine import Answer, Engine
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.depth import LabelsAndDepth, metres_per_unit, resized_nearest
from fcn_follow.perception.labels import labels_of_codes

_WARM_UP = 3


class HasCard(Protocol):
    """Weights or an exported file."""

    @property
    def card(self) -> ModelCard: ...


class Segmenter:
    """A network on its engine, warmed up: `segment` turns an image into labels.

    Args:
        model: the weights or exported file that the engine runs, for its card.
        engine: gives codes, or codes and depth, of one frame at a time.
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
        answer = self._answer(image_rgb)
        return resized_nearest(labels_of_codes(answer.classes[0]), *image_rgb.shape[:2])

    def segment_with_depth(self, image_rgb: NDArray[np.uint8], focal_y_px: float) -> LabelsAndDepth:
        """The labels and the depth of an image, by an engine that gives both.

        Args:
            image_rgb: HxWx3 uint8 of any size.
            focal_y_px: the camera's vertical focal length in pixels of this image.
        """
        height_px, width_px = image_rgb.shape[:2]
        answer = self._answer(image_rgb)
        assert answer.depth is not None
        with np.errstate(over="ignore"):  # an infinite depth gives no position
            depth_m = np.exp(answer.depth[0]) * np.float32(metres_per_unit(self.card, focal_y_px, height_px))
        labels = labels_of_codes(answer.classes[0])
        return LabelsAndDepth(
            resized_nearest(labels, height_px, width_px), resized_nearest(depth_m, height_px, width_px)
        )

    def _answer(self, image_rgb: NDArray[np.uint8]) -> Answer:
        """The engine's answer for one image, at the network's size."""
        resized = resize_image(image_rgb, self.card.input_height_px, self.card.input_width_px)
        return self.engine.run(resized[None])
