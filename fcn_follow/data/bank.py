"""Frames decoded once and kept in memory: training is bound by its steps, not by JPEG decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.data.frames import HERO, FrameError, UInt8Array
from fcn_follow.data.resize import resize_image
from fcn_follow.data.split import FrameRef
from fcn_follow.errors import UserError


@dataclass(frozen=True)
class FrameBank:
    """images uint8 N x S x S x 3 RGB, labels uint8 N x S x S, the frames' names, and why others were left out."""

    images: UInt8Array
    labels: UInt8Array
    names: tuple[str, ...]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def hero_px(self) -> NDArray[np.int64]:
        """The hero's pixels in each frame, at the bank's size."""
        return np.array([int(np.count_nonzero(labels == HERO)) for labels in self.labels], dtype=np.int64)


def load_bank(
    refs: Sequence[FrameRef], size_px: int, workers: int = 2, on_frame: Callable[[], None] = lambda: None
) -> FrameBank:
    """Decode frames and masks into a bank of square frames; a frame that cannot be read is skipped and told.

    Raises UserError when a set has no masks or no frame is left.
    """
    for ref in refs:
        if not ref.frames.has_masks:
            raise UserError(f"{ref.frames.path}: has no masks/; training and scoring need a mask for each frame")

    def load(ref: FrameRef) -> tuple[UInt8Array, UInt8Array] | str:
        try:
            image, labels = ref.frames.image(ref.index), ref.frames.labels(ref.index)
        except FrameError as error:
            return str(error)
        finally:
            on_frame()
        assert labels is not None
        if labels.shape != image.shape[:2]:
            return f"{ref.frames.path}: {ref.name}: its mask has another size than the image"
        resized: UInt8Array = cv2.resize(labels, (size_px, size_px), interpolation=cv2.INTER_NEAREST)
        return resize_image(image, size_px, size_px), resized

    images = np.empty((len(refs), size_px, size_px, 3), np.uint8)
    labels = np.empty((len(refs), size_px, size_px), np.uint8)
    names: list[str] = []
    skipped: list[str] = []
    with ThreadPoolExecutor(workers) as pool:
        for ref, result in zip(refs, pool.map(load, refs), strict=True):
            if isinstance(result, str):
                skipped.append(result)
            else:
                images[len(names)], labels[len(names)] = result
                names.append(ref.name)
    if not names:
        raise UserError("none of the frames could be read; the first problem: " + (skipped or ["there are none"])[0])
    return FrameBank(images[: len(names)], labels[: len(names)], tuple(names), tuple(skipped))
