"""Labels, hero and position against what geometry says they must be."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from locating import locating

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.inference.engine import EngineSpec, open_engine
from fcn_follow.inference.machine import find_device
from fcn_follow.networks.weights import LoadedWeights, ModelCard
from fcn_follow.perception.blobs import Blob, Box
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.labels import confirmed_hero
from fcn_follow.perception.overlay import draw_overlay
from fcn_follow.perception.ranging import locate_hero
from fcn_follow.perception.segmenter import Segmenter

CAMERA = CameraIntrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)


class ByColour(torch.nn.Module):
    """A network that anyone can check: red pixels are the hero's, blue ones other people's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        red, green, blue = x[:, 0], x[:, 1], x[:, 2]
        return 8 * torch.stack([green, blue, red], dim=1)


def segmenter(threshold: float = 0.5, height_px: int = 40, width_px: int = 60, precision: str = "fp32") -> Segmenter:
    card = ModelCard("by_colour", height_px, width_px, hero_probability_threshold=threshold)
    weights = LoadedWeights(ByColour(), card)
    return Segmenter(weights, open_engine(EngineSpec(precision=precision), weights))


def picture(height_px: int, width_px: int) -> np.ndarray:
    image = np.zeros((height_px, width_px, 3), np.uint8)
    image[...] = (0, 255, 0)
    image[height_px // 4 : height_px // 2, width_px // 4 : width_px // 2] = (255, 0, 0)
    image[height_px // 2 :, width_px // 2 :] = (0, 0, 255)
    return image


@pytest.mark.parametrize("shape", [(40, 60), (80, 120), (480, 640), (201, 333), (20, 30)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_labels_have_the_images_size_and_place(shape, precision):
    labels = segmenter(precision=precision).segment(picture(*shape))
    assert labels.shape == shape
    assert labels.dtype == np.uint8
    height_px, width_px = shape
    expected = np.zeros(shape, np.uint8)
    expected[height_px // 4 : height_px // 2, width_px // 4 : width_px // 2] = 2
    expected[height_px // 2 :, width_px // 2 :] = 1
    assert (labels == expected).mean() > (1.0 if shape == (40, 60) else 0.93) - 1e-9
    hero = find_hero(labels)
    assert hero is not None
    middle = ((width_px // 4 + width_px // 2 - 1) / 2, (height_px // 4 + height_px // 2 - 1) / 2)
    assert hero.centroid_px == pytest.approx(middle, abs=max(1.0, 0.02 * width_px))


def test_the_hero_is_where_its_probability_reaches_the_threshold():
    image = np.full((40, 60, 3), 128, np.uint8)  # all classes about equally likely
    assert (segmenter(threshold=0.3).segment(image) == 2).all()
    assert (segmenter(threshold=0.5).segment(image) != 2).all()


def test_read_only_images_are_taken():
    image = picture(40, 60)
    image.flags.writeable = False
    assert segmenter().segment(image).max() == 2


def test_devices_and_precisions_that_are_not_there():
    with pytest.raises(UserError, match="it must be one of auto, cpu, cuda"):
        find_device("gpu")
    with pytest.raises(UserError, match="fp16 needs a CUDA device"):
        segmenter(precision="fp16")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="finds no CUDA GPU here; use device auto or cpu"):
            find_device("cuda")


def test_the_largest_blob_is_the_hero():
    labels = np.zeros((50, 60), np.uint8)
    labels[10:13, 10:13] = 2  # 9 pixels
    labels[20:24, 30:40] = 2  # 40 pixels
    labels[24, 40] = 2  # touches the second by a corner
    labels[40:50, 0:20] = 1
    hero = find_hero(labels)
    assert hero is not None
    assert hero.area_px == 41
    assert hero.box == Box(30, 20, 41, 25)
    assert hero.centroid_px == pytest.approx(((34.5 * 40 + 40) / 41, (21.5 * 40 + 24) / 41))
    assert find_hero(labels, min_area_px=41) == hero
    assert find_hero(labels, min_area_px=42) is None
    assert find_hero(np.zeros((5, 5), np.uint8)) is None
    assert find_hero(np.full((5, 5), 2, np.uint8)) == Blob(2, (2.0, 2.0), 25, Box(0, 0, 5, 5))


def project(middle: tuple[float, float, float], pitch_rad: float, height_m: float, width_m: float = 0.5) -> Blob:
    """The blob that an upright board of this size makes on CAMERA, cut by the image's border, in whole pixels."""
    up = np.array([0.0, -math.cos(pitch_rad), -math.sin(pitch_rad)])
    head, feet = np.array(middle) + up * height_m / 2, np.array(middle) - up * height_m / 2
    top_px = CAMERA.fy_px * head[1] / head[2] + CAMERA.cy_px + 0.5
    bottom_px = CAMERA.fy_px * feet[1] / feet[2] + CAMERA.cy_px + 0.5
    x_px = CAMERA.fx_px * middle[0] / middle[2] + CAMERA.cx_px
    half_width_px = 0.5 * CAMERA.fx_px * width_m / middle[2]
    top, bottom = max(0, round(top_px)), min(CAMERA.height_px, round(bottom_px))
    left, right = round(x_px + 0.5 - half_width_px), round(x_px + 0.5 + half_width_px)
    return Blob(2, (x_px, (top + bottom - 1) / 2), (right - left) * (bottom - top), Box(left, top, right, bottom))


def camera_height(middle, pitch_rad):
    return 0.85 + middle[1] * math.cos(pitch_rad) + middle[2] * math.sin(pitch_rad)


BOARDS = list(itertools.product([(0.0, 0.5, 8.0), (1.5, -0.5, 6.0), (-2.0, 1.0, 15.0)], [-0.1, 0.0, 0.3, 0.7]))


@pytest.mark.parametrize(
    ("method", "middle", "pitch_rad"),
    [
        *(("apparent_height", *board) for board in BOARDS),
        *(("ground_plane", *board) for board in BOARDS if camera_height(*board) >= 1.0),  # above the ground
    ],
)
def test_position_of_a_board_is_found_again(method, middle, pitch_rad):
    camera_height_m = camera_height(middle, pitch_rad)
    parameters = locating(method, camera_height_m=camera_height_m, pitch_down_rad=pitch_rad)
    found = locate_hero(project(middle, pitch_rad, 1.7), CAMERA, parameters, 12.5)
    assert found is not None
    assert found.stamp_s == 12.5
    assert found.position_camera_m == pytest.approx(middle, rel=0.04, abs=0.06)


@pytest.mark.parametrize("lower_m", [0.3, 1.0, 20.0])
@pytest.mark.parametrize(("middle", "pitch_rad"), [board for board in BOARDS if camera_height(*board) >= 1.0])
def test_a_camera_lower_than_assumed_does_not_place_the_hero_farther_away(middle, pitch_rad, lower_m):
    """The drone would fly nearer, and descend without end: by the ground the hero is always as far below."""
    parameters = locating(
        "ground_plane", camera_height_m=camera_height(middle, pitch_rad) + lower_m, pitch_down_rad=pitch_rad
    )
    found = locate_hero(project(middle, pitch_rad, 1.7), CAMERA, parameters, 0.0)
    assert found is not None
    assert found.position_camera_m == pytest.approx(middle, rel=0.04, abs=0.06)


@pytest.mark.parametrize("middle", [(0.2, 0.9, 1.5), (0.2, -0.9, 1.5), (0.0, 0.0, 1.2)])
def test_a_hero_cut_by_the_border_is_not_taken_for_a_far_one(middle):
    hero = project(middle, 0.0, 1.7)
    assert hero.box.top_px == 0 or hero.box.bottom_px == CAMERA.height_px
    methods = ["apparent_height"]
    if hero.box.bottom_px == CAMERA.height_px:
        methods.append("ground_plane")  # does without the ground where the feet are out of the image
    for method in methods:
        found = locate_hero(hero, CAMERA, locating(method, camera_height_m=2.0), 0.0)
        assert found is not None
        assert found.position_camera_m == pytest.approx(middle, abs=0.35)


@pytest.mark.parametrize("method", ["apparent_height", "ground_plane"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("top_px", [100, 300])
def test_a_hero_in_a_corner_has_no_distance(top_px, side, method):
    """It is 1.2 m away, and what shows of it looks like a whole hero at 3 m or more."""
    width, height = CAMERA.width_px, CAMERA.height_px
    parameters = locating(method, camera_height_m=2.0)
    left, right = (0, 40) if side == "left" else (width - 40, width)
    corner = Blob(2, ((left + right) / 2, (top_px + height) / 2), 1000, Box(left, top_px, right, height))
    assert locate_hero(corner, CAMERA, parameters, 0.0) is None
    inside = Box(left + 1, top_px, right, height) if side == "left" else Box(left, top_px, right - 1, height)
    assert locate_hero(Blob(2, corner.centroid_px, 1000, inside), CAMERA, parameters, 0.0) is not None
    near = Blob(2, (width / 2, height / 2), width * height, Box(0, 0, width, height))
    assert locate_hero(near, CAMERA, parameters, 0.0).position_camera_m[2] < 1.0, "it fills the image: it is near"


@pytest.mark.parametrize("pitch_rad", [0.0, 0.3])
def test_what_shows_of_a_half_hidden_hero_is_never_farther_than_its_width_allows(pitch_rad):
    hero = project((0.3, 0.2, 5.0), pitch_rad, 0.5)
    found = locate_hero(hero, CAMERA, locating(pitch_down_rad=pitch_rad), 0.0)
    assert found is not None
    assert found.position_camera_m[2] == pytest.approx(1.8 * 5.0, rel=0.05)  # by height alone it would be 17 m


def test_a_hero_above_the_horizon_stands_on_no_ground():
    hero = project((0.0, -4.0, 10.0), 0.0, 1.7)
    assert locate_hero(hero, CAMERA, locating("ground_plane", camera_height_m=2.0), 0.0) is None


def test_farther_is_smaller_all_the_way():
    distances = [
        locate_hero(project((0.0, 0.0, z), 0.0, 1.7), CAMERA, locating(), 0.0).position_camera_m[2]
        for z in (2.0, 4.0, 8.0, 16.0, 32.0)
    ]
    assert all(near < far for near, far in itertools.pairwise(distances))


def test_overlay_tints_people_and_leaves_the_rest():
    image = picture(40, 60)
    labels = segmenter().segment(image)
    before = image.copy()
    drawn = draw_overlay(image, labels, None)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(drawn[labels == 0], image[labels == 0])
    assert (drawn[labels > 0] != image[labels > 0]).any(axis=1).all()
    assert (draw_overlay(image, labels, find_hero(labels)) != drawn).any()


def test_a_blob_without_one_sure_pixel_is_dropped_and_a_sure_one_keeps_its_outline():
    hero = np.zeros((8, 12))
    hero[1:4, 1:4] = 0.6
    hero[2, 2] = 0.99
    hero[4, 4] = 0.55  # touches by its corner
    hero[1:4, 8:11] = 0.9
    confirmed = confirmed_hero(hero, 0.5, 0.95)
    assert confirmed.sum() == 10
    assert not confirmed[:, 6:].any()
    assert confirmed_hero(hero, 0.5, 0.0).sum() == 19
    assert not confirmed_hero(hero, 0.5, 0.995).any()
