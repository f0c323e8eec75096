"""From a camera frame to the hero's position: the one way, for the node, the simulator and recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.agreement import Agreement, AgreementParameters
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.labels import hero_score
from fcn_follow.perception.people import locate_people
from fcn_follow.perception.ranging import LocatingParameters, blob_depth, locate_hero
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.perception.sight import Sight


@dataclass(frozen=True)
class HeroFinderParameters(LocatingParameters):
    """How the hero is found in labels and located."""

    agreement: AgreementParameters = field(default_factory=AgreementParameters)


class HeroFinder:
    """Looks at the frames of one camera, in their order; `parameters` may change between two frames."""

    def __init__(self, segmenter: Segmenter, parameters: HeroFinderParameters) -> None:
        self.parameters = parameters
        self._segmenter = segmenter
        self._agreement = Agreement()

    def reset(self) -> None:
        """Forget the past frames."""
        self._agreement = Agreement()

    def look(
        self,
        image_rgb: NDArray[np.uint8],
        camera: CameraIntrinsics | None,
        stamp_s: float,
        *,
        depth_wanted: bool = False,
    ) -> Sight:
        """The sight of an image.

        Args:
            image_rgb: HxWx3 uint8 of any size.
            camera: of an image of that size; without it there are labels and the hero's blob, but no positions.
            stamp_s: of the image.
            depth_wanted: compute the depth even if the position does not need it; the engine must give it.
        """
        parameters = self.parameters
        with_depth = camera is not None and (depth_wanted or parameters.ranging.method == "depth")
        labels, codes, depth_m = self._segmenter.look(image_rgb, camera.fy_px if camera and with_depth else None)
        min_px = min_area_px(self._segmenter.card, labels)
        hero = self._agreement.agreed(find_hero(labels, min_px), stamp_s, parameters.agreement)
        score = hero_score(codes, hero.box, labels.shape, self._segmenter.card) if hero else 0.0
        if camera is None:
            return Sight(labels, hero, None, hero_score=score)
        position = None
        if hero is not None:
            position = locate_hero(hero, camera, parameters, stamp_s, blob_depth(hero, labels, depth_m))
        followed = hero if position else None
        people = locate_people(labels, followed, camera, parameters, min_px, depth_m)
        return Sight(labels, hero, position, people, depth_m, score)


def min_area_px(card: ModelCard, labels: NDArray[np.uint8]) -> float:
    """The area from which a hero counts as seen, in pixels of these labels; the card has it in the network's pixels."""
    return card.hero_min_area_px * labels.size / (card.input_height_px * card.input_width_px)
