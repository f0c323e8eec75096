"""Frames decoded once and kept in memory, so that JPEG decoding does not limit the training."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO
from fcn_follow.errors import UserError
from fcn_follow.lab.data.frames import FrameError, UInt8Array
from fcn_follow.lab.data.resize import resize_image
from fcn_follow.lab.data.split import FrameRef


@dataclass(frozen=True)
class DepthBank:
    """The depth of a bank's frames: metres float16 N x S x S, 0 where not measured, and focal lengths float32 N.

    A focal length is the vertical one as a multiple of the frame's height; NaN where it is unknown.
    """

    depth_m: NDArray[np.float16]
    focal_heights: NDArray[np.float32]


@dataclass(frozen=True)
class FrameBank:
    """images uint8 N x S x S x 3 RGB, labels uint8 N x S x S, the frames' names, and the problems of skipped frames.

    `depth` is there only where it was requested.
    """

    images: UInt8Array
    labels: UInt8Array
    names: tuple[str, ...]
    skipped: tuple[str, ...]
    depth: DepthBank | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def checksum(self) -> int:
        """The checksum of images and labels, which differs for other frames."""
        return zlib.crc32(np.ascontiguousarray(self.labels).data, zlib.crc32(np.ascontiguousarray(self.images).data))

    @property
    def hero_px(self) -> NDArray[np.int64]:
        """The number of hero pixels in each frame, at the bank's size."""
        return np.array([int(np.count_nonzero(labels == HERO)) for labels in self.labels], dtype=np.int64)


def load_bank(
    refs: Sequence[FrameRef],
    size_px: int,
    workers: int = 2,
    on_frame: Callable[[], None] = lambda: None,
    with_depth: bool = False,
) -> FrameBank:
    """Decode frames, masks and depth into a bank of square frames; an unreadable frame is skipped and reported.

    Raises UserError if a set has no masks, or no depth although it is requested, or if no frame is left.
    """
    for ref in refs:
        if not ref.frames.has_masks:
            raise UserError(f"{ref.frames.path}: has no masks/; training and scoring need a mask for each frame")
        if with_depth and not ref.frames.has_depth:
            raise UserError(f"{ref.frames.path}: has no depth/; a network with a depth head needs depth for each frame")

    size = (size_px, size_px)
    images = np.empty((len(refs), *size, 3), np.uint8)
    labels = np.empty((len(refs), *size), np.uint8)
    depths = np.empty((len(refs), *size), np.float16) if with_depth else None
    focal_heights = np.full(len(refs), np.nan, np.float32)

    def load(place: int) -> str:
        """Fill one place; the problem in words, or an empty string."""
        ref = refs[place]
        try:
            image, mask_labels = ref.frames.image(ref.index), ref.frames.labels(ref.index)
            depth_m = ref.frames.depth_m(ref.index, image) if with_depth else None
        except FrameError as error:
            return str(error)
        finally:
            on_frame()
        assert mask_labels is not None
        images[place] = resize_image(image, size_px, size_px)
        labels[place] = cv2.resize(mask_labels, size, interpolation=cv2.INTER_NEAREST)
        if depths is not None and depth_m is not None:
            depths[place] = cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST)
            focal_heights[place] = (ref.frames.focal_y_px[ref.index] or np.nan) / image.shape[0]
        return ""

    with ThreadPoolExecutor(workers) as pool:
        problems = list(pool.map(load, range(len(refs))))
    skipped = tuple(problem for problem in problems if problem)
    if len(skipped) == len(refs):
        raise UserError("none of the frames could be read; the first problem: " + (skipped or ("there are none",))[0])
    names = tuple(ref.name for ref, problem in zip(refs, problems, strict=True) if not problem)
    kept: slice | NDArray[np.bool_] = np.array([not problem for problem in problems]) if skipped else slice(None)
    depth = None if depths is None else DepthBank(depths[kept], focal_heights[kept])
    return FrameBank(images[kept], labels[kept], names, skipped, depth)
