"""Who looks at the frames in a flight: the project's own network, or, for work on everything else, the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import CameraIntrinsics, HeroPosition
from fcn_follow.networks.weights import load_weights
from fcn_follow.perception.hero import Hero, find_hero
from fcn_follow.perception.ranging import RangingParameters, locate_hero
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.simulation.episode import CameraSetup, Frame


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


class NetworkEyes:
    """The segmenter with weights, then the hero's blob, then its place: as the segmenter node does."""

    def __init__(self, weights: Path, camera: CameraSetup) -> None:
        self._segmenter = Segmenter(load_weights(weights))
        self._intrinsics: CameraIntrinsics = camera.intrinsics
        self._ranging = RangingParameters(hero_height_m=1.68, camera_pitch_down_rad=camera.mount.pitch_down_rad)
        card = self._segmenter.card
        pixels = self._intrinsics.height_px * self._intrinsics.width_px
        self._min_area_px = card.hero_min_area_px * pixels / (card.input_height_px * card.input_width_px)

    def look(self, frame: Frame) -> Sight:
        labels = self._segmenter.segment(frame.rgb)
        hero = find_hero(labels, self._min_area_px)
        position = locate_hero(hero, self._intrinsics, self._ranging, frame.stamp_s) if hero else None
        return Sight(labels, hero, position)
