"""Who looks at the frames in a flight; the truth does where everything but the network is under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import HeroPosition
from fcn_follow.perception.hero import Hero, find_hero
from fcn_follow.simulation.episode import Frame


@dataclass(frozen=True)
class Sight:
    """What was made of a frame: its labels, the hero's blob and place, None where there is none."""

    labels: NDArray[np.uint8]
    hero: Hero | None
    position: HeroPosition | None


class Eyes(Protocol):
    """Anything that looks at a frame."""

    def look(self, frame: Frame) -> Sight: ...


class TrueEyes:
    """Sees the true labels and the true place of every hero that shows; no figure of the project rests on it."""

    def look(self, frame: Frame) -> Sight:
        hero = find_hero(frame.labels, 4)
        return Sight(frame.labels, hero, frame.hero if hero else None)
