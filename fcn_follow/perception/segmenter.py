"""Camera frame -> label mask, and depth if the network has it, by an engine that runs the network."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.images.resize import resize_image
from fcn_follow.inference.engine import Answer, Engine
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.depth import metres_per_unit, resized_nearest
from fcn_follow.perception.labels import labels_of_codes

_WARM_UP = 3


class Segmented(NamedTuple):
    """The result of a network for an image.

    labels are uint8 H x W of the image's size: 0 background, 1 other people, 2 hero, as `labels_of_codes` makes them
    from codes uint8 of the network's size, a view that the next image overwrites. depth_m is float32 H x W along the
    optical axis, None if it is not wanted.
    """

    labels: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None


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
        """The labels of an image, as `look` gives them."""
        return self.look(image_rgb).labels

    def look(self, image_rgb: NDArray[np.uint8], focal_y_px: float | None = None) -> Segmented:
        """The labels of an image, and its depth.

        Args:
            image_rgb: HxWx3 uint8 of any size.
            focal_y_px: the camera's vertical focal length in pixels of this image; None if no depth is wanted, which
                the engine must give.
        """
        height_px, width_px = image_rgb.shape[:2]
        answer = self._answer(image_rgb)
        codes, depth_m = answer.classes[0], None
        if focal_y_px is not None:
            assert answer.depth is not None
            with np.errstate(over="ignore"):  # an infinite depth gives no position
                depth_m = np.exp(answer.depth[0]) * np.float32(metres_per_unit(self.card, focal_y_px, height_px))
            depth_m = resized_nearest(depth_m, height_px, width_px)
        return Segmented(resized_nearest(labels_of_codes(codes), height_px, width_px), codes, depth_m)

    def _answer(self, image_rgb: NDArray[np.uint8]) -> Answer:
        """The engine's answer for one image, at the network's size."""
        resized = resize_image(image_rgb, self.card.input_height_px, self.card.input_width_px)
        return self.engine.run(resized[None])
