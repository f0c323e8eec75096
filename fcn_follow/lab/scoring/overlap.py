"""The overlap of a predicted label mask with the true one: pixel counts, from which every IoU follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = 3


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixels of one class, summed over any number of frames."""

    intersection_px: int = 0
    union_px: int = 0

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.intersection_px + other.intersection_px, self.union_px + other.union_px)

    @property
    def iou(self) -> float | None:
        """Intersection over union; None where neither mask has the class."""
        return self.intersection_px / self.union_px if self.union_px else None


Overlaps = tuple[Overlap, Overlap, Overlap]
"""Of background, other people, hero."""


def overlaps(predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Overlaps:
    """The overlap of each class in two HxW label masks (0, 1, 2) of the same size."""
    pairs = truth * np.uint8(CLASSES) + predicted
    table = np.bincount(pairs.ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    both = table.diagonal()
    either = table.sum(axis=0) + table.sum(axis=1) - both
    background, people, hero = (Overlap(int(i), int(u)) for i, u in zip(both, either, strict=True))
    return background, people, hero
