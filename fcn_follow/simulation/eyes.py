"""The perception of a flight: a network, or the truth where everything but the network is under test."""

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

MIN_AREA_PX = 4  # of a hero that TrueEyes see


@dataclass(frozen=True)
class Sight:
    """The perception of a frame: labels, the hero's blob and position (None where there is none), other people.

    `people` are the middles of their bodies in the camera's optical frame, in metres.
    """

    labels: NDArray[np.uint8]
    hero: Blob | None
    position: HeroPosition | None
    people: tuple[Vector3, ...] = ()


class Eyes(Protocol):
    """Anything that perceives a frame."""

    def look(self, frame: Frame) -> Sight: ...


class TrueEyes:
    """Gives the true labels and the true position of every visible hero; no published figure rests on it.

    Other people are located by their true labels.
    """

    def __init__(self, camera: CameraSetup) -> None:
        self._intrinsics = camera.intrinsics
        self._ranging = RangingParameters(camera_pitch_down_rad=camera.mount.pitch_down_rad)

    def look(self, frame: Frame) -> Sight:
        hero = find_hero(frame.labels, MIN_AREA_PX)
        people = locate_people(frame.labels, hero, self._intrinsics, self._ranging, MIN_AREA_PX)
        return Sight(frame.labels, hero, frame.hero if hero else None, people)
