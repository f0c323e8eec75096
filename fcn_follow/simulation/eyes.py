"""Who looks at the frames in a flight; the truth does where everything but the network is under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import HeroPosition, Vector3
from fcn_follow.perception.blobs import Blob
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.people import locate_people
from fcn_follow.perception.ranging import RangingParameters
from fcn_follow.simulation.episode import CameraSetup, Frame

MIN_AREA_PX = 4  # what TrueEyes take for seen


@dataclass(frozen=True)
class Sight:
    """What was made of a frame: its labels, the hero's blob and place, None where there is none, and all others.

    `people` is where the middles of the other people's bodies are in the camera's optical frame, in metres.
    """

    labels: NDArray[np.uint8]
    hero: Blob | None
    position: HeroPosition | None
    people: tuple[Vector3, ...] = ()


class Eyes(Protocol):
    """Anything that looks at a frame."""

    def look(self, frame: Frame) -> Sight: ...


class TrueEyes:
    """Sees the true labels and the true place of every hero that shows; no figure of the project rests on it.

    Other people are where their true labels put them.
    """

    def __init__(self, camera: CameraSetup) -> None:
        self._intrinsics = camera.intrinsics
        self._ranging = RangingParameters(camera_pitch_down_rad=camera.mount.pitch_down_rad)

    def look(self, frame: Frame) -> Sight:
        hero = find_hero(frame.labels, MIN_AREA_PX)
        people = locate_people(frame.labels, hero, self._intrinsics, self._ranging, MIN_AREA_PX)
        return Sight(frame.labels, hero, frame.hero if hero else None, people)
