"""A recording as a video: each frame with the prediction, beside the truth."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fcn_follow.classes import HERO
from fcn_follow.images.captions import write_caption
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.scoring.bag import BagFrame, BagResult
from fcn_follow.lab.webm import Video
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.overlay import draw_overlay

MIN_HZ, MAX_HZ = 1.0, 60.0


class BagVideo(AbstractContextManager["BagVideo"]):
    """Writes a WebM file at the rate of the first two stamps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: Video | None = None
        self._first: tuple[int, UInt8Array] | None = None

    def add(self, frame: BagFrame, labels: UInt8Array, result: BagResult) -> None:
        """Add a frame; `labels` are the prediction, H x W of any size."""
        picture = _panel(frame, labels, result)
        if self._first is None:
            self._first = (frame.stamp_ns, picture)
            return
        if self._video is None:
            self._begin(frame.stamp_ns)
        if self._video is not None:
            self._video.add(picture)

    def _begin(self, second_ns: int) -> None:
        if self._first is not None:
            first_ns, picture = self._first
            rate_hz = 1e9 / max(abs(second_ns - first_ns), 1)
            self._video = Video(self._path, min(max(rate_hz, MIN_HZ), MAX_HZ))
            self._video.add(picture)

    def __exit__(self, *error: Any) -> None:
        if self._video is None and self._first is not None:
            self._begin(self._first[0])
        if self._video is not None:
            self._video.__exit__(*error)


def _panel(frame: BagFrame, labels: UInt8Array, result: BagResult) -> UInt8Array:
    image = frame.image_rgb
    size = (image.shape[1], image.shape[0])
    predicted = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
    iou = result.network.finding.overlaps[HERO].iou
    captions = (f"{frame.name} s  IoU {'-' if iou is None else f'{iou:.2f}'}", "truth")
    sides = []
    for side, caption in zip((predicted, frame.truth), captions, strict=True):
        picture = draw_overlay(image, side, find_hero(side))
        write_caption(picture, caption, (4, size[1] - 6))
        sides.append(picture)
    return np.hstack(sides)
