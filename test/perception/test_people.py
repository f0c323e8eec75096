"""Other people in a mask: who counts, where each of them is, and what is noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from locating import locating

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.perception.blobs import Blob, Box, find_blobs
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.people import MAX_PEOPLE, find_people, locate_people
from fcn_follow.perception.ranging import BODY_BEHIND_SURFACE_M, MAX_WIDTH_RATIO, locate_hero

CAMERA = CameraIntrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)
RANGING = locating()


def mask(*people: tuple[int, int, int, int, int]) -> np.ndarray:
    """Labels of CAMERA's size with upright boxes: label, left, top, width, height."""
    labels = np.zeros((CAMERA.height_px, CAMERA.width_px), np.uint8)
    for label, left, top, width, height in people:
        labels[top : top + height, left : left + width] = label
    return labels


def places(labels: np.ndarray, hero: Blob | None = None, **others: object) -> tuple[tuple[float, float, float], ...]:
    return locate_people(labels, hero, CAMERA, RANGING, **others)


def test_everybody_but_the_followed_hero_counts_the_nearest_first():
    labels = mask((1, 100, 200, 20, 85), (2, 300, 150, 40, 170), (2, 500, 200, 25, 100), (1, 570, 200, 10, 42))
    hero = find_hero(labels)
    assert hero is not None and hero.box == Box(300, 150, 340, 320)
    assert {blob.box.left_px for blob in find_people(labels, hero)} == {100, 500, 570}
    found = places(labels, hero)
    assert [place[2] for place in found] == pytest.approx([8.5, 10.0, 1.7 * 500 / 42])
    assert found[1][:2] == pytest.approx(((109.5 - 319.5) / 500 * 10.0, (242.0 - 239.5) / 500 * 10.0), abs=0.02)


def test_a_hero_who_is_not_followed_is_one_of_the_people_at_the_heros_place():
    labels = mask((2, 300, 150, 40, 170))
    hero = find_hero(labels)
    assert hero is not None
    located = locate_hero(hero, CAMERA, RANGING, 0.0)
    assert located is not None
    assert places(labels, None) == (located.position_camera_m,)
    assert places(labels, hero) == ()
    assert places(mask()) == ()


def test_corners_join_blobs_of_one_label_and_labels_are_kept_apart():
    labels = mask((1, 100, 100, 10, 40), (1, 110, 140, 10, 40), (2, 120, 100, 10, 40), (2, 130, 140, 10, 40))
    assert [blob.box for blob in find_people(labels, None)] == [Box(100, 100, 120, 180), Box(120, 100, 140, 180)]


def test_people_who_merge_into_one_blob_are_no_farther_than_its_width_allows():
    group = mask(*((1, 200 + 30 * number, 200, 30, 85) for number in range(6)))  # ten metres away by their height
    ((x, _, z),) = places(group)
    assert z == pytest.approx(RANGING.ranging.hero_width_m * MAX_WIDTH_RATIO * 500 / 180)
    assert x == pytest.approx((289.5 - 319.5) / 500 * z)


@pytest.mark.parametrize("box", [(1, 300, 400, 60, 80), (1, 300, 0, 60, 80), (1, 100, 0, 300, 480)])
def test_people_whom_the_image_cuts_are_no_farther_than_their_width_allows(box):
    ((_, _, z),) = places(mask(box))
    assert z == pytest.approx(RANGING.ranging.hero_width_m * 500 / box[3], rel=0.05)


def test_somebody_in_a_corner_is_taken_to_be_half_as_far_as_they_can_be():
    (cut,), (inside,) = places(mask((1, 0, 400, 60, 80))), places(mask((1, 1, 400, 60, 80)))
    assert math.dist(cut, (0, 0, 0)) == pytest.approx(math.dist(inside, (0, 0, 0)) / 2, rel=0.05)


def test_noise_is_nobody_and_one_pixel_more_is_somebody():
    labels = mask((1, 100, 100, 4, 12), (1, 300, 100, 7, 7))
    assert [blob.area_px for blob in find_people(labels, None, min_area_px=48.5)] == [49]
    assert len(places(labels, min_area_px=48.5)) == 1
    speckle = np.zeros((480, 640), np.uint8)
    speckle[::4, ::4] = 1
    assert places(speckle, min_area_px=2.0) == ()


def test_of_a_hundred_people_the_nearest_64_are_named():
    crowd = mask(*((1, 8 + 62 * (n % 10), 4 + 47 * (n // 10), 3 + n % 5, 8 + n // 3) for n in range(100)))
    every = sorted(
        math.dist(locate_hero(blob, CAMERA, RANGING, 0.0).position_camera_m, (0, 0, 0))
        for blob in find_people(crowd, None)
    )
    assert len(every) == 100
    found = [math.dist(place, (0, 0, 0)) for place in places(crowd)]
    assert len(found) == MAX_PEOPLE == 64
    assert found == every[:64]


def test_blobs_inside_the_hole_of_another_are_found_and_holes_are_not():
    labels = mask((1, 100, 100, 100, 200), (0, 110, 110, 80, 180), (1, 140, 150, 20, 100))
    ring, inside = find_blobs(labels, 1)
    assert (ring.area_px, ring.box) == (100 * 200 - 80 * 180, Box(100, 100, 200, 300))
    assert (inside.area_px, inside.box) == (20 * 100, Box(140, 150, 160, 250))
    assert ring.centroid_px == pytest.approx((149.5, 199.5))
    assert inside.centroid_px == pytest.approx((149.5, 199.5))


def test_blobs_are_those_of_a_flood_fill():
    labels = (np.random.default_rng(0).random((40, 60)) < 0.35).astype(np.uint8)
    left = {(int(y), int(x)) for y, x in np.argwhere(labels == 1)}
    expected = []
    while left:
        pixels, reached = [], [left.pop()]
        while reached:
            y, x = reached.pop()
            pixels.append((y, x))
            for near in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                if near in left:
                    left.remove(near)
                    reached.append(near)
        rows, columns = zip(*pixels, strict=True)
        expected.append((len(pixels), Box(min(columns), min(rows), max(columns) + 1, max(rows) + 1)))
    found = find_blobs(labels, 1)
    assert sorted((blob.area_px, str(blob.box)) for blob in found) == sorted((n, str(box)) for n, box in expected)
    assert [blob.area_px for blob in found] == sorted((n for n, _ in expected), reverse=True)


def test_with_depth_the_nearer_answer_counts_and_a_depth_that_is_none_does_not():
    labels = mask((1, 300, 200, 20, 85))  # ten metres away by its height
    by_depth = locating("depth")

    def z_m(depth_m: float) -> float:
        depth = np.full(labels.shape, depth_m, np.float32)
        ((_, _, z),) = locate_people(labels, None, CAMERA, by_depth, depth_m=depth)
        return z

    assert z_m(6.0) == pytest.approx(6.0 + BODY_BEHIND_SURFACE_M)
    assert z_m(40.0) == pytest.approx(10.0)
    assert z_m(math.nan) == pytest.approx(10.0)
    ((_, _, z),) = locate_people(labels, None, CAMERA, by_depth)
    assert z == pytest.approx(10.0)


@pytest.mark.parametrize("method", ["apparent_height", "ground_plane"])
@pytest.mark.parametrize("pitch_rad", [-1.5, -0.5, 0.0, 0.5, 1.0, 1.3, 1.57])
def test_nobody_is_ever_behind_the_camera_or_nowhere(method, pitch_rad):
    ranging = locating(method, camera_height_m=1.0, pitch_down_rad=pitch_rad)
    rng = np.random.default_rng(1)
    for _ in range(200):
        left, top = int(rng.integers(0, 630)), int(rng.integers(0, 470))
        right, bottom = int(rng.integers(left + 1, 641)), int(rng.integers(top + 1, 481))
        blob = Blob(1, ((left + right - 1) / 2, (top + bottom - 1) / 2), 1, Box(left, top, right, bottom))
        found = locate_hero(blob, CAMERA, ranging, 0.0)
        assert found is not None or method == "ground_plane"
        if found is not None:
            assert all(map(math.isfinite, found.position_camera_m))
            assert found.position_camera_m[2] > 0.0
