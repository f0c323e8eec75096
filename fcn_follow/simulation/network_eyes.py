"""The project's own network as the eyes of a flight. Apart from eyes.py because PyTorch takes seconds to import."""

from __future__ import annotations

from pathlib import Path

from fcn_follow.deployment.choice import EngineRequest, choose_engine
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.networks.weights import load_weights
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.ranging import RangingParameters, locate_hero
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.simulation.episode import CameraSetup, Frame
from fcn_follow.simulation.eyes import Sight


class NetworkEyes:
    """The segmenter with weights, then the hero's blob, then its place: as the segmenter node does.

    The engine computes in fp32 on one thread: flights run side by side, and a flight repeats exactly.
    """

    def __init__(self, weights: Path, camera: CameraSetup, engine: str) -> None:
        loaded = load_weights(weights)
        choice = choose_engine(loaded, EngineRequest(engine, precision="fp32"))
        self._segmenter = Segmenter(loaded, choice.engine)
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
