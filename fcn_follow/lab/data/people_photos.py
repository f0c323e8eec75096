"""Photographs of one person each: the person as a cut-out, and the photograph without the person.

They come as frames with masks (`frames.py`) in which the person is class 1. Which photographs train, choose or judge
follows from their names. config/people_photos.yaml lists those that show nobody else: only they are backgrounds,
because the masks do not mark bystanders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.lab.data.frames import FrameError, FrameSet, UInt8Array
from fcn_follow.yaml_text import read_yaml

PARTS = ("train", "choose", "judge")
_CHOOSING_SHARE, _JUDGING_SHARE = 0.05, 0.1
_MIN_PERSON_PX = 100
_MARGIN_PX, _MIN_STRIP_PX = 6, 16


@dataclass(frozen=True)
class Photo:
    """A photograph, uint8 H x W x 3 RGB, and its person, uint8 H x W of 0 and 1; alone: nobody else is in it."""

    image: UInt8Array
    person: UInt8Array
    alone: bool

    @cached_property
    def cutout(self) -> UInt8Array:
        """The person's box, uint8 h x w x 4: RGB times alpha, and alpha, which falls to 0 within about two pixels."""
        alpha = cv2.GaussianBlur(cv2.erode(self.person * 255, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
        rows, columns = (np.flatnonzero(self.person.any(axis)) for axis in (1, 0))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        colour = self.image[box] * (alpha[box][..., None] / np.float32(255))
        return np.dstack([colour.astype(np.uint8), alpha[box]])

    @cached_property
    def plate(self) -> UInt8Array | None:
        """The photograph with the strips beside the person mirrored over the person; None without room beside it."""
        width = self.image.shape[1]
        columns = np.flatnonzero(self.person.any(0))
        begin, end = max(int(columns[0]) - _MARGIN_PX, 0), min(int(columns[-1]) + 1 + _MARGIN_PX, width)
        if min(begin, width - end) < _MIN_STRIP_PX:
            return None
        gap = end - begin
        left = cv2.copyMakeBorder(self.image[:, :begin], 0, 0, 0, gap, cv2.BORDER_REFLECT)[:, begin:]
        right = cv2.copyMakeBorder(self.image[:, end:], 0, 0, gap, 0, cv2.BORDER_REFLECT)[:, :gap]
        share: NDArray[np.float64] = np.clip(np.linspace(-2.0, 3.0, gap), 0.0, 1.0)[:, None]  # seam in the middle fifth
        plate: UInt8Array = self.image.copy()
        plate[:, begin:end] = left * (1 - share) + right * share
        return plate


def part_of(name: str) -> str:
    """The part of PARTS that a photograph or picture of this name belongs to, by the SHA-256 of the name."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    if share < _JUDGING_SHARE:
        return "judge"
    return "choose" if share < _JUDGING_SHARE + _CHOOSING_SHARE else "train"


def read_alone(path: Path) -> frozenset[int]:
    """The numbers of the photographs that show nobody but their person, from a YAML file with the one key `alone`.

    Raises UserError for any other content.
    """
    content = read_yaml(path, "a list of photographs")
    numbers = content.get("alone") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise UserError(f"{path}: it must have one key, alone, with a list of the numbers of photographs")
    return frozenset(numbers)


def read_photos(
    frames: FrameSet, part: str, alone: frozenset[int], on_photo: Callable[[], None] = lambda: None
) -> tuple[list[Photo], list[str]]:
    """The photographs of a part, and the problems of those that were skipped.

    Raises UserError if the set has no masks, or no photograph of this part is left.
    """
    if not frames.has_masks:
        raise UserError(f"{frames.path}: has no masks/; a cut-out needs the mask of its person")
    photos, problems = [], []
    for index, key in enumerate(frames.keys):
        on_photo()
        if part_of(key) != part:
            continue
        try:
            image, labels = frames.image(index), frames.labels(index)
        except FrameError as error:
            problems.append(str(error))
            continue
        assert labels is not None
        person = (labels == OTHER_PEOPLE).astype(np.uint8)
        if int(person.sum()) < _MIN_PERSON_PX or (labels == HERO).any():
            problems.append(f"{frames.path}: {key}: no photograph of a person (green) of {_MIN_PERSON_PX} pixels")
            continue
        digits = "".join(c for c in key if c in "0123456789")
        photos.append(Photo(image, person, bool(digits) and int(digits[-9:]) in alone))
    if not photos:
        reason = problems[0] if problems else f"none of its {len(frames)} names belongs to this part"
        raise UserError(f"{frames.path}: no photograph for the part {part}: {reason}")
    return photos, problems
