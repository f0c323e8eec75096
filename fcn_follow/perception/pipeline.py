"""From a camera frame to the hero's position: one pipeline for the node, the simulator and recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.parameters import fixed_parameter
from fcn_follow.perception.agreement import Agreement, AgreementParameters
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.labels import hero_score
from fcn_follow.perception.people import locate_people
from fcn_follow.perception.ranging import LocatingParameters, blob_depth, locate_hero
from fcn_follow.perception.selection import SELECTIONS, TRAINED, Selection
from fcn_follow.perception.sight import Sight
from fcn_follow.shared_parameters import CameraParameters, HeroParameters

if TYPE_CHECKING:  # both bring PyTorch
    from fcn_follow.networks.weights import ModelCard
    from fcn_follow.perception.segmenter import Segmenter


@dataclass(frozen=True)
class SelectedHeroParameters(HeroParameters):
    """The person to follow, and how this person is chosen."""

    selection: str = fixed_parameter(
        TRAINED,
        "who the hero is: the person whom the weights were trained on, or any person at whom the user points (topic "
        "hero/point, service ~/select_nearest)",
        choices=SELECTIONS,
    )
    appearance_file: str = fixed_parameter(
        "",
        "for pointed: JSON file of the hero's appearance; if it exists at start, it is read and nobody has to point; "
        "it is written when a new hero has been learnt; empty: none",
    )


@dataclass(frozen=True)
class HeroFinderParameters(LocatingParameters):
    """How the hero is found in labels and located."""

    hero: SelectedHeroParameters = field(default_factory=SelectedHeroParameters)
    agreement: AgreementParameters = field(default_factory=AgreementParameters)


class HeroFinder:
    """Processes the frames of one camera, in order; `parameters` may change between two frames.

    With a `selection` the hero is the person the user points at, else the hero of the labels.
    """

    def __init__(
        self, segmenter: Segmenter, parameters: HeroFinderParameters, selection: Selection | None = None
    ) -> None:
        self.parameters = parameters
        self.selection = selection
        self._segmenter = segmenter
        self._agreement = Agreement()

    def reset(self) -> None:
        """Forget the past frames."""
        self._agreement = Agreement()
        if self.selection:
            self.selection.forget_place()

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
            camera: for an image of that size; without it there are labels and the hero's blob, but no positions.
            stamp_s: of the image.
            depth_wanted: compute the depth even if the position does not need it; the engine must give it.
        """
        parameters = self.parameters
        with_depth = camera is not None and (depth_wanted or parameters.ranging.method == "depth")
        labels, codes, depth_m = self._segmenter.look(image_rgb, camera.fy_px if camera and with_depth else None)
        min_px = min_area_px(self._segmenter.card, labels)
        choice = None
        if self.selection:
            choice = self.selection.choose(image_rgb, labels, stamp_s, min_px, horizon_px(camera, parameters.camera))
        labels = choice.labels if choice else labels
        hero = self._agreement.agreed(find_hero(labels, min_px), stamp_s, parameters.agreement)
        score = 0.0
        if hero is not None:
            card = self._segmenter.card
            score = choice.hero_likeness if choice else hero_score(codes, hero.box, labels.shape, card)
        if camera is None:
            return Sight(labels, hero, None, hero_score=score, choice=choice)
        position = None
        if hero is not None:
            position = locate_hero(hero, camera, parameters, stamp_s, blob_depth(hero, labels, depth_m))
        followed = hero if position else None
        people = locate_people(labels, followed, camera, parameters, min_px, depth_m)
        return Sight(labels, hero, position, people, depth_m, score, choice)


def horizon_px(camera: CameraIntrinsics | None, mount: CameraParameters) -> float:
    """The row of the horizon in the image; NaN if the camera is not known or tilts with the body."""
    if camera is None or not mount.stabilised:
        return math.nan
    return camera.cy_px - camera.fy_px * math.tan(mount.pitch_down_rad)


def min_area_px(card: ModelCard, labels: NDArray[np.uint8]) -> float:
    """The area from which a hero counts as seen, in pixels of these labels; the card has it in the network's pixels."""
    return card.hero_min_area_px * labels.size / (card.input_height_px * card.input_width_px)
