"""The perception of a flight by a network; apart from eyes.py because PyTorch takes seconds to import."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import Output
from fcn_follow.inference.exported import choose_for, load_model, request_for
from fcn_follow.perception.pipeline import HeroFinder, HeroFinderParameters, SelectedHeroParameters
from fcn_follow.perception.ranging import RangingParameters
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.perception.selection import Selection
from fcn_follow.perception.sight import Sight
from fcn_follow.shared_parameters import CameraParameters
from fcn_follow.simulation.episode import MOUNT, CameraSetup, Frame
from fcn_follow.simulation.people import MIDDLE_M
from fcn_follow.simulation.renderer import HERO as HERO_LABEL

CAMERA_HEIGHT_M = FollowerParameters().set_points.height_m + MIDDLE_M + MOUNT.position_body_m[2]
"""The camera's height above level ground when the drone is at the follower's set point."""


class NetworkEyes:
    """A `HeroFinder` for the frames of a flight.

    The engine computes in fp32 on one thread: several flights run at the same time, and each is reproducible. With
    `pointed`, the true hero is pointed at until a hero is found, and never again.
    """

    def __init__(
        self, weights: Path, camera: CameraSetup, engine: str, ranging: str = "apparent_height", pointed: bool = False
    ) -> None:
        loaded = load_model(weights)
        request = request_for(loaded, EngineRequest(engine, precision="fp32"))
        output = Output.CODES_AND_DEPTH if ranging == "depth" else Output.CODES
        choice = choose_for(loaded, request, output=output)
        self._intrinsics = camera.intrinsics
        parameters = HeroFinderParameters(
            RangingParameters(ranging, camera_height_m=CAMERA_HEIGHT_M),
            CameraParameters(camera.mount.pitch_down_rad),
            SelectedHeroParameters(1.68),
        )
        selection = Selection() if pointed else None
        self._finder = HeroFinder(Segmenter(loaded, choice.engine), parameters, selection)
        self._pointing = selection

    def look(self, frame: Frame) -> Sight:
        if self._pointing and frame.hero_px:
            rows, columns = np.nonzero(frame.labels == HERO_LABEL)
            self._pointing.point(float(columns.mean()), float(rows.mean()))
        sight = self._finder.look(frame.rgb, self._intrinsics, frame.stamp_s)
        if sight.hero is not None:
            self._pointing = None
        return sight
