"""How well a predicted label mask covers the true one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
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


def overlap(predicted: NDArray[np.uint8], truth: NDArray[np.uint8], label: int) -> Overlap:
    """The overlap of one class in two HxW label masks of the same size."""
    a, b = predicted == label, truth == label
    return Overlap(int(np.count_nonzero(a & b)), int(np.count_nonzero(a | b)))
