"""The perception of a flight by a network; apart from eyes.py because PyTorch takes seconds to import."""

from __future__ import annotations

from pathlib import Path

from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import Output
from fcn_follow.inference.exported import choose_for, load_model, request_for
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.people import locate_people
from fcn_follow.perception.ranging import RangingParameters, blob_depth, locate_hero
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.simulation.episode import MOUNT, CameraSetup, Frame
from fcn_follow.simulation.eyes import Sight
from fcn_follow.simulation.people import MIDDLE_M

CAMERA_HEIGHT_M = FollowerParameters().set_points.height_m + MIDDLE_M + MOUNT.position_body_m[2]
"""Above the ground of hero and drone, at the follower's set point."""


class NetworkEyes:
    """The segmenter with weights, then the positions of the hero and of the others, as in the segmenter node.

    The engine computes in fp32 on one thread: several flights run at the same time, and each is reproducible.
    """

    def __init__(self, weights: Path, camera: CameraSetup, engine: str, ranging: str = "apparent_height") -> None:
        loaded = load_model(weights)
        request = request_for(loaded, EngineRequest(engine, precision="fp32"))
        output = Output.CODES_AND_DEPTH if ranging == "depth" else Output.CODES
        choice = choose_for(loaded, request, output=output)
        self._segmenter = Segmenter(loaded, choice.engine)
        self._intrinsics: CameraIntrinsics = camera.intrinsics
        self._ranging = RangingParameters(
            ranging,
            hero_height_m=1.68,
            camera_height_m=CAMERA_HEIGHT_M,
            camera_pitch_down_rad=camera.mount.pitch_down_rad,
        )
        card = self._segmenter.card
        pixels = self._intrinsics.height_px * self._intrinsics.width_px
        self._min_area_px = card.hero_min_area_px * pixels / (card.input_height_px * card.input_width_px)

    def look(self, frame: Frame) -> Sight:
        depth_m = None
        if self._ranging.method == "depth":
            labels, depth_m = self._segmenter.segment_with_depth(frame.rgb, self._intrinsics.fy_px)
        else:
            labels = self._segmenter.segment(frame.rgb)
        hero = find_hero(labels, self._min_area_px)
        position = None
        if hero is not None:
            hero_depth_m = blob_depth(hero, labels, depth_m)
            position = locate_hero(hero, self._intrinsics, self._ranging, frame.stamp_s, hero_depth_m)
        followed = hero if position else None
        people = locate_people(labels, followed, self._intrinsics, self._ranging, self._min_area_px, depth_m)
        return Sight(labels, hero, position, people)
