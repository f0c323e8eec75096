"""The appearance of a person: the colours of the upper and the lower body, for recognition."""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError, shown

FORMAT, VERSION = "fcn_follow appearance", 1
BINS = (12, 4, 4)
"""Of hue, saturation and value."""
BODY_ROWS = ((0.15, 0.5), (0.5, 0.92))
"""Upper and lower body, from 0 (head) to 1 (feet); head and shoes are left out."""
MAX_FILE_BYTES = 65_536
VALUE_KERNEL = np.array([0.25, 0.5, 0.25])
ENOUGH_ROWS = 64  # of a person's picture
_DIGITS = 5
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True)
class Appearance:
    """The colour histograms of upper and lower body, float32 (2, 192), each with the sum 1.

    `usual` is the likeness to it of this person in a single frame, from 0 to 1.
    """

    histograms: NDArray[np.float32]
    usual: float = 1.0

    def likeness(self, other: Appearance) -> float:
        """From 0 (no colour in common) to 1 (the same): the mean of both parts' Bhattacharyya coefficients."""
        return float(np.sqrt(self.histograms * other.histograms).sum() / len(self.histograms))

    def mixed(self, other: Appearance, share: float) -> Appearance:
        """This appearance mixed with a share, from 0 to 1, of a frame's."""
        usual = self.usual + share * (self.likeness(other) - self.usual)
        return Appearance(self.histograms + np.float32(share) * (other.histograms - self.histograms), usual)

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        upper, lower = ([round(v, _DIGITS) for v in part.tolist()] for part in self.histograms)
        usual = round(self.usual, _DIGITS)
        return json.dumps({"format": FORMAT, "version": VERSION, "usual": usual, "upper": upper, "lower": lower}) + "\n"

    @staticmethod
    def from_json(text: str) -> Appearance:
        """The appearance from the text of `to_json`. Raises UserError for any other text, with the reason."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"it is no JSON ({error})") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise UserError(f'it is no appearance: "format" must be "{FORMAT}"')
        if found.get("version") != VERSION:
            raise UserError(f"it is of version {shown(found.get('version'))}, and this program reads {VERSION}")
        usual = found.get("usual")
        if not isinstance(usual, (int, float)) or isinstance(usual, bool) or not 0.0 <= usual <= 1.0:
            raise UserError('"usual" must be a number from 0 to 1')
        return Appearance(np.stack([_histogram(name, found.get(name)) for name in ("upper", "lower")]), float(usual))


def appearance_of(image_rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Appearance:
    """The appearance of the pixels of `mask`, bool HxW, in a picture of one person, HxWx3 uint8 from head to feet."""
    step = max(1, len(mask) // ENOUGH_ROWS)
    hsv = cv2.cvtColor(np.ascontiguousarray(image_rgb[::step, ::step]), cv2.COLOR_RGB2HSV)
    pixels = np.ascontiguousarray(mask[::step, ::step]).view(np.uint8)
    return Appearance(np.stack([_part(hsv, pixels, *rows) for rows in BODY_ROWS]))


def _part(hsv: NDArray[np.uint8], mask: NDArray[np.uint8], begin: float, end: float) -> NDArray[np.float32]:
    """The histogram of a part of the body; all zero if the mask has none of it.

    A pixel also counts partly for the neighbouring bins, so that a little more light does not change everything.
    """
    height = len(mask)
    first = min(int(begin * height), height - 1)
    rows = slice(first, max(first + 1, round(end * height)))
    counts = cv2.calcHist([hsv[rows]], [0, 1, 2], mask[rows], list(BINS), [0, 180, 0, 256, 0, 256])
    counts = cv2.sepFilter2D(counts.reshape(-1, BINS[2]), -1, VALUE_KERNEL, np.ones(1), borderType=cv2.BORDER_CONSTANT)
    histogram: NDArray[np.float32] = counts.ravel() / max(float(counts.sum()), 1e-6)
    return histogram


def _histogram(name: str, values: object) -> NDArray[np.float32]:
    """The histogram from a file's values. Raises UserError if they are none."""
    count = BINS[0] * BINS[1] * BINS[2]
    if not isinstance(values, list) or len(values) != count or not all(type(v) in (int, float) for v in values):
        raise UserError(f'"{name}" must be a list of {count} numbers')
    histogram = np.array([float(v) if abs(v) <= 1 else np.nan for v in values], np.float32)
    if not (histogram >= 0.0).all() or abs(float(histogram.sum()) - 1.0) > _SUM_TOLERANCE:
        raise UserError(f'the numbers of "{name}" must be 0 or more and have the sum 1')
    return histogram
