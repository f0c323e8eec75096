"""Label mask -> the people in it, separated and with lasting numbers, so that a user can choose one."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import BACKGROUND
from fcn_follow.perception.blobs import Box, components

MAX_CANDIDATES = 24
"""The largest of them."""
MAX_BLOBS = 64
"""Only the largest are examined; noise in a thousand pieces must not cost the frame."""
MAX_BOXES = 4
"""Area of all examined blobs' boxes, in pictures; boxes of people overlap little, boxes of stripes do."""
WIDE = 0.6  # width of a blob, in its heights, from which it may be several people
NECK = 0.6  # of the lower of two people's peaks; a column below this share lies between two people
APART = 0.25  # distance of two people's middles, in the blob's heights
SAME_PLACE = 0.6  # a person moves less than this, in body heights, from one frame to the next
REMEMBERED_S = 2.0
PIECE, PIECE_SLIMNESS = 0.25, 1.4  # height of a lone head or foot, in heights of the person; its height in widths
MIN_PIECE = 0.3  # area of a piece, in the minimum area of a person
NECK_GAP, LEG_GAP, STRIDE = 0.1, 0.45, 0.25  # from head or foot to the body, and across, in heights of the person
MAX_SLIMNESS, MIN_SLIMNESS = 4.5, 1.2  # height of a person in widths

Part = tuple[Box, NDArray[np.bool_]]
"""A box and the pixels in it."""


@dataclass(frozen=True)
class Candidate:
    """A person in a frame: its number, its box, its pixels in that box (bool), and their mean.

    `is_part` marks a person who was cut out of a blob of several people.
    """

    number: int
    box: Box
    mask: NDArray[np.bool_]
    centroid_px: tuple[float, float]
    is_part: bool = False

    @property
    def height_px(self) -> int:
        return self.box.height_px

    @property
    def width_px(self) -> int:
        return self.box.width_px

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the box."""
        return slice(self.box.top_px, self.box.bottom_px), slice(self.box.left_px, self.box.right_px)

    @property
    def words(self) -> str:
        """Number and place for the user."""
        return f"{self.number} at {self.centroid_px[0]:.0f}, {self.centroid_px[1]:.0f}"

    def part(self, left_px: float, top_px: float, right_px: float, bottom_px: float) -> Candidate | None:
        """The pixels within these bounds; None if there are none."""
        box = self.box
        first, last = max(0, round(left_px) - box.left_px), max(0, round(right_px) - box.left_px)
        upper, lower = max(0, round(top_px) - box.top_px), max(0, round(bottom_px) - box.top_px)
        pixels = self.mask[upper:lower, first:last]
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows):
            return None
        pixels = np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        left, top = box.left_px + first + int(columns[0]), box.top_px + upper + int(rows[0])
        cut = Box(left, top, left + pixels.shape[1], top + pixels.shape[0])
        return Candidate(self.number, cut, pixels, _middle(cut, pixels), is_part=True)

    def distance_to(self, x_px: float, y_px: float) -> float:
        """The distance from the box to a point, in body heights; 0 inside."""
        box = self.box
        across = max(box.left_px - x_px, 0.0, x_px - (box.right_px - 1))
        along = max(box.top_px - y_px, 0.0, y_px - (box.bottom_px - 1))
        return math.hypot(across, along) / self.height_px


class Candidates:
    """Finds the people of each frame; a person seen again at about the same place keeps the number."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, float, float]] = {}  # stamp_s, x_px, y_px

    def find(self, labels: NDArray[np.uint8], stamp_s: float, min_area_px: float) -> tuple[Candidate, ...]:
        """The people of `labels` (HxW uint8, all classes but background), from left to right.

        Blobs of fewer than `min_area_px` pixels are noise. Touching people are separated where their blob is narrow; a
        lone head or foot belongs to the body below or above it.
        """
        people = (labels != BACKGROUND).view(np.uint8)
        parts: list[Part] = []
        room_px = MAX_BOXES * people.size
        for each in components(people, MIN_PIECE * min_area_px, MAX_BLOBS):
            room_px -= each.box.width_px * each.box.height_px
            if room_px < 0:
                break
            parts += _parted(each.pixels, each.box.left_px, each.box.top_px)
        parts = _joined(_largest(parts, MAX_BLOBS))
        parts = _largest([part for part in parts if part[1].sum() >= min_area_px], MAX_CANDIDATES)
        parts.sort(key=lambda part: part[0].left_px)
        middles = [_middle(*part) for part in parts]
        heights = [box.height_px for box, _ in parts]
        numbers = self._numbers(middles, heights, stamp_s)
        return tuple(Candidate(n, *part, middle) for n, part, middle in zip(numbers, parts, middles, strict=True))

    def _numbers(
        self, middles_px: Sequence[tuple[float, float]], heights_px: Sequence[int], stamp_s: float
    ) -> list[int]:
        """The number of each person: the nearest known one's, else the lowest that is free."""
        known = {n: place for n, place in self._known.items() if 0.0 <= stamp_s - place[0] <= REMEMBERED_S}
        places = np.array([place[1:] for place in known.values()]).reshape(-1, 2)
        away = np.linalg.norm(np.array(middles_px).reshape(-1, 1, 2) - places, axis=2) / np.array(heights_px)[:, None]
        of_known = list(known)
        near = sorted((away[i, k], int(i), of_known[k]) for i, k in np.argwhere(away < SAME_PLACE))
        numbers: dict[int, int] = {}
        for _, index, number in near:
            if index not in numbers and number not in numbers.values():
                numbers[index] = number
        taken = {*known, *numbers.values()}
        free = (number for number in range(1, len(taken) + len(middles_px) + 1) if number not in taken)
        for index, (x, y) in enumerate(middles_px):
            number = numbers[index] if index in numbers else next(free)
            numbers[index] = number
            known[number] = (stamp_s, x, y)
        self._known = known
        return [numbers[index] for index in range(len(middles_px))]


def _middle(box: Box, pixels: NDArray[np.bool_]) -> tuple[float, float]:
    moments = cv2.moments(pixels.view(np.uint8), binaryImage=True)
    return box.left_px + moments["m10"] / moments["m00"], box.top_px + moments["m01"] / moments["m00"]


def _parted(pixels: NDArray[np.bool_], left_px: int, top_px: int) -> list[Part]:
    """The blob's pixels, cut between two people: at the lowest column between two high ones, with a box for each."""
    height, width = pixels.shape
    cuts = [0, *(_necks(pixels) if width > WIDE * height else []), width]
    parts = []
    for begin, end in pairwise(cuts):
        part = pixels[:, begin:end]
        rows = np.flatnonzero(part.any(axis=1))
        first, last = int(rows[0]), int(rows[-1]) + 1
        box = Box(left_px + begin, top_px + first, left_px + end, top_px + last)
        parts.append((box, np.ascontiguousarray(part[first:last])))
    return parts


def _largest(parts: list[Part], count: int) -> list[Part]:
    return sorted(parts, key=lambda part: -int(part[1].sum()))[:count]


def _joined(parts: list[Part]) -> list[Part]:
    """The parts, with heads and feet that the network found apart from their bodies joined to the bodies.

    A piece is compared to the body alone: compared to the whole so far, a trail of noise would grow into a giant.
    """
    bodies: list[Box] = []
    joined: list[Part] = []
    for piece in sorted(parts, key=lambda part: -part[0].height_px):
        x_px = _middle_column(piece[0])
        own = (index for index, body in enumerate(bodies) if _is_piece_of(piece[0], body))
        nearest = min(own, key=lambda index: abs(x_px - _middle_column(bodies[index])), default=None)
        if nearest is None:
            bodies.append(piece[0])
            joined.append(piece)
        else:
            joined[nearest] = _union(joined[nearest], piece)
    return joined


def _is_piece_of(piece: Box, body: Box) -> bool:
    """Whether it may be the head or a foot of this body: at an end, small, and no upright person itself."""
    whole = _around(body, piece)
    height, width = whole.height_px, whole.width_px
    is_small = piece.height_px <= PIECE * height and piece.height_px <= PIECE_SLIMNESS * piece.width_px
    is_head = piece.top_px < body.top_px and body.top_px - piece.bottom_px <= NECK_GAP * height
    is_low = piece.top_px >= body.bottom_px - PIECE * height  # also beside the other foot
    is_foot = is_low and piece.top_px - body.bottom_px <= LEG_GAP * height
    x_px = _middle_column(piece)
    is_in_line = body.left_px - STRIDE * height <= x_px <= body.right_px + STRIDE * height
    return is_small and (is_head or is_foot) and is_in_line and MIN_SLIMNESS * width <= height <= MAX_SLIMNESS * width


def _middle_column(box: Box) -> float:
    return (box.left_px + box.right_px) / 2


def _around(first: Box, second: Box) -> Box:
    return Box(
        min(first.left_px, second.left_px),
        min(first.top_px, second.top_px),
        max(first.right_px, second.right_px),
        max(first.bottom_px, second.bottom_px),
    )


def _union(first: Part, second: Part) -> Part:
    whole = _around(first[0], second[0])
    pixels = np.zeros((whole.height_px, whole.width_px), np.bool_)
    for box, mask in (first, second):
        top, left = box.top_px - whole.top_px, box.left_px - whole.left_px
        pixels[top : top + mask.shape[0], left : left + mask.shape[1]] |= mask
    return whole, pixels


def _necks(pixels: NDArray[np.bool_]) -> list[int]:
    """The columns between two people of a blob."""
    height = len(pixels)
    span = max(1, round(APART * height))
    smooth = cv2.blur(pixels.sum(axis=0, dtype=np.float32)[None], (max(1, span // 2) | 1, 1)).ravel()
    higher = np.diff(smooth, prepend=0.0, append=0.0)
    tops = np.flatnonzero((higher[:-1] >= 0.0) & (higher[1:] <= 0.0))
    peaks: list[int] = []
    for column in tops[np.argsort(-smooth[tops], kind="stable")]:
        place = bisect.bisect(peaks, column)
        beside = peaks[max(place - 1, 0) : place + 1]  # all are higher; people farther away are separated too
        if all(
            abs(column - peak) >= span and _lowest(smooth, column, peak)[1] < NECK * smooth[column] for peak in beside
        ):
            peaks.insert(place, int(column))
    return [_lowest(smooth, a, b)[0] for a, b in pairwise(peaks)]


def _lowest(columns: NDArray[np.float32], a: int, b: int) -> tuple[int, float]:
    """The lowest column between two people, the middle one of equals, and its value."""
    begin, end = min(a, b), max(a, b)
    between = columns[begin : end + 1]
    lowest = np.flatnonzero(between == between.min())
    at = begin + int(lowest[len(lowest) // 2])
    return at, float(columns[at])
