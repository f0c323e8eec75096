"""From a frame to the hero's position: what each part gets, with an engine of the test."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.inference.engine import Answer, EngineSpec
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.agreement import AgreementParameters
from fcn_follow.perception.blobs import Box, find_blobs
from fcn_follow.perception.labels import hero_score, labels_of_codes
from fcn_follow.perception.pipeline import HeroFinder, HeroFinderParameters, min_area_px
from fcn_follow.perception.ranging import BODY_BEHIND_SURFACE_M, RangingParameters
from fcn_follow.perception.segmenter import Segmenter

CARD = ModelCard("hero_net", 60, 80, hero_min_area_px=50, depth_focal_px=60.0)
CAMERA = CameraIntrinsics(80, 60, 60.0, 60.0, 39.5, 29.5)
TWO_OF_TWO = AgreementParameters(frames=2, seen=2)


class Engine:
    """Red pixels are the hero's, blue ones other people's, all at one depth; counts its answers of each kind."""

    spec, device_name = EngineSpec(), "test"

    def __init__(self, depth_m: float | None = None) -> None:
        self.depth_m = depth_m

    def run(self, images: np.ndarray) -> Answer:
        codes = np.where(images[..., 0] > 128, 6, (images[..., 2] > 128).astype(np.uint8)).astype(np.uint8)
        if self.depth_m is None:
            return Answer(codes)
        return Answer(codes, np.full(codes.shape, np.log(self.depth_m), np.float32))


def finder(parameters: HeroFinderParameters | None = None, depth_m: float | None = None) -> HeroFinder:
    class Model:
        card = CARD

    return HeroFinder(Segmenter(Model(), Engine(depth_m)), parameters or HeroFinderParameters())


def picture(*people: tuple[int, int, int, int, int], factor: int = 1) -> np.ndarray:
    """An image with boxes of a channel: channel, left, top, width, height."""
    image = np.zeros((60, 80, 3), np.uint8)
    for channel, left, top, width, height in people:
        image[top : top + height, left : left + width, channel] = 255
    return image.repeat(factor, 0).repeat(factor, 1)


HERO, OTHER = (0, 35, 20, 10, 20), (2, 60, 25, 8, 17)


def test_the_score_is_the_least_that_the_mean_probability_can_be():
    """Against probabilities: 200 pixels of the hero, 150 of them sure."""
    card = ModelCard("any", 60, 80, hero_probability_threshold=0.5, hero_confirm_probability=0.9)
    probability = np.full((60, 80), 0.2)
    probability[20:40, 35:45] = 0.97
    probability[20:25, 35:45] = 0.6
    lower, upper = card.thresholds
    codes = (2 * (probability >= lower) + 2 * (probability >= upper)).astype(np.uint8)
    box = find_blobs(labels_of_codes(codes).repeat(8, 0).repeat(8, 1), 2)[0].box
    score = hero_score(codes, box, (480, 640), card)
    assert score == pytest.approx((50 * 0.5 + 150 * 0.9) / 200)
    assert score <= probability[20:40, 35:45].mean()
    assert hero_score(codes, Box(0, 0, 8, 8), (480, 640), card) == 0.5


def test_a_frame_gives_labels_hero_position_and_people():
    sight = finder().look(picture(HERO, OTHER), CAMERA, 12.5)
    assert sight.hero is not None and sight.position is not None
    assert set(np.unique(sight.labels)) == {0, 1, 2}
    assert sight.hero.area_px == 200
    assert sight.position.stamp_s == 12.5
    assert sight.hero_score == 0.5  # both thresholds of the card
    assert sight.position.position_camera_m[2] == pytest.approx(1.7 * 60 / 20)
    assert [place[2] for place in sight.people] == pytest.approx([1.7 * 60 / 17])
    assert sight.depth_m is None


def test_without_a_camera_there_are_labels_and_the_blob_alone():
    sight = finder(depth_m=5.0).look(picture(HERO, OTHER), None, 0.0, depth_wanted=True)
    assert sight.hero is not None
    assert (sight.position, sight.people, sight.depth_m) == (None, (), None)


def test_a_hero_below_the_least_area_is_nobody_at_any_size_of_the_image():
    assert min_area_px(CARD, np.zeros((180, 240), np.uint8)) == 450
    for factor in (1, 2):
        assert finder().look(picture((0, 35, 20, 7, 7), factor=factor), None, 0.0).hero is None
        assert finder().look(picture((0, 35, 20, 10, 7), factor=factor), None, 0.0).hero is not None


def test_a_hero_that_is_not_agreed_on_is_one_of_the_people_until_it_is():
    eyes = finder(HeroFinderParameters(agreement=TWO_OF_TWO))
    first, second = (eyes.look(picture(HERO), CAMERA, stamp_s) for stamp_s in (0.0, 0.1))
    assert (first.hero, first.position, len(first.people)) == (None, None, 1)
    assert second.position is not None and second.people == ()
    assert first.people == (second.position.position_camera_m,)
    eyes.reset()
    assert eyes.look(picture(HERO), CAMERA, 0.2).hero is None


def test_parameters_may_change_between_two_frames():
    eyes = finder(HeroFinderParameters(agreement=TWO_OF_TWO))
    assert eyes.look(picture(HERO), CAMERA, 0.0).hero is None
    eyes.parameters = HeroFinderParameters()
    assert eyes.look(picture(HERO), CAMERA, 5.0).hero is not None


def test_depth_is_computed_where_the_position_needs_it_or_somebody_wants_it():
    by_depth = finder(HeroFinderParameters(ranging=RangingParameters("depth")), 5.0).look(picture(HERO), CAMERA, 0.0)
    assert by_depth.position is not None
    assert by_depth.position.position_camera_m[2] == pytest.approx(5.0 + BODY_BEHIND_SURFACE_M)
    wanted = finder(depth_m=5.0).look(picture(HERO), CAMERA, 0.0, depth_wanted=True)
    assert wanted.depth_m is not None and wanted.depth_m == pytest.approx(5.0)
    assert wanted.position is not None
    assert wanted.position.position_camera_m[2] == pytest.approx(1.7 * 60 / 20)
    assert finder(depth_m=5.0).look(picture(HERO), CAMERA, 0.0).depth_m is None
