"""What a frame shows; apart from the pipeline, so that its users need not import PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import HeroPosition, Vector3
from fcn_follow.perception.blobs import Blob
from fcn_follow.perception.selection import Choice


@dataclass(frozen=True)
class Sight:
    """The labels of a frame, the hero's blob and position (None if there is none), and all other people.

    `people` are the middles of the other people's bodies in the camera's optical frame, in metres; `depth_m` is H x W
    along the optical axis, if it was computed. `hero_score` is a lower bound of the mean probability of the hero's
    pixels. If the user points at the hero, `choice` is how the hero was chosen, and the score is the hero's likeness.
    """

    labels: NDArray[np.uint8]
    hero: Blob | None
    position: HeroPosition | None
    people: tuple[Vector3, ...] = ()
    depth_m: NDArray[np.float32] | None = None
    hero_score: float = 0.0
    choice: Choice | None = None
