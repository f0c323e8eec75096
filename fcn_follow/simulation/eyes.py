"""The perception of a flight: a network, or the truth, to test everything but the network."""

from __future__ import annotations

from typing import Protocol

from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.people import locate_people
from fcn_follow.perception.ranging import LocatingParameters
from fcn_follow.perception.sight import Sight
from fcn_follow.shared_parameters import CameraParameters
from fcn_follow.simulation.episode import CameraSetup, Frame

MIN_AREA_PX = 4  # of a hero in the true labels


class Eyes(Protocol):
    """Anything that perceives a frame."""

    def look(self, frame: Frame) -> Sight: ...


class TrueEyes:
    """Gives the true labels and the true position of every visible hero; no published figure comes from it.

    Other people are located by their true labels.
    """

    def __init__(self, camera: CameraSetup) -> None:
        self._intrinsics = camera.intrinsics
        self._parameters = LocatingParameters(camera=CameraParameters(camera.mount.pitch_down_rad))

    def look(self, frame: Frame) -> Sight:
        hero = find_hero(frame.labels, MIN_AREA_PX)
        people = locate_people(frame.labels, hero, self._intrinsics, self._parameters, MIN_AREA_PX)
        return Sight(frame.labels, hero, frame.hero if hero else None, people)
