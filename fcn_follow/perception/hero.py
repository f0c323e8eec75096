"""Label mask -> hero: the largest connected blob of the hero's class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO
from fcn_follow.perception.blobs import Blob, find_blobs


def find_hero(labels: NDArray[np.uint8], min_area_px: float = 1.0) -> Blob | None:
    """The hero's largest 8-connected blob, or None when it has fewer than `min_area_px` pixels.

    Args:
        labels: HxW uint8 label mask.
        min_area_px: a smaller hero does not count as seen; in pixels of this mask.
    """
    return next(iter(find_blobs(labels, HERO, min_area_px)), None)
