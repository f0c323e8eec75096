"""The people of a frame: parted where they touch, and numbered so that a number stays with a person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import BLUE, HEIGHT_PX, RED, WIDTH_PX, scene

from fcn_follow.perception import candidates
from fcn_follow.perception.candidates import MAX_BLOBS, MAX_CANDIDATES, REMEMBERED_S, Candidates


def people(*places: tuple[float, float], stamp_s: float = 0.0, finder: Candidates | None = None) -> tuple:
    _, labels = scene(*((x, y, RED, BLUE) for x, y in places))
    return (finder or Candidates()).find(labels, stamp_s, 30)


def test_people_are_found_from_left_to_right_with_box_pixels_and_middle():
    first, second = people((200, 150), (60, 120))
    assert (first.number, second.number) == (1, 2)
    assert first.centroid_px == pytest.approx((59.5, 89.5))
    assert (first.width_px, first.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert first.mask.all() and first.mask.shape == (HEIGHT_PX, WIDTH_PX)
    assert first.words == "1 at 60, 90"
    assert first.distance_to(60, 90) == 0.0
    assert first.distance_to(59.5, 90 + HEIGHT_PX) == pytest.approx(31 / 60, abs=0.02)


def test_noise_is_nobody():
    labels = np.zeros((60, 80), np.uint8)
    labels[10:13, 10:13] = 2
    assert Candidates().find(labels, 0.0, 10) == ()
    assert len(Candidates().find(labels, 0.0, 9)) == 1


def test_two_who_touch_are_parted_between_their_bodies():
    labels = np.zeros((120, 160), np.uint8)
    for left in (40, 72):
        labels[20:80, left + 6 : left + 18] = 1
        labels[35:45, left : left + 32] = 1  # arms
    found = Candidates().find(labels, 0.0, 30)
    assert len(found) == 2
    assert found[0].box.right_px == found[1].box.left_px
    assert 58 <= found[0].box.right_px <= 78
    assert sum(int(each.mask.sum()) for each in found) == int(labels.sum())


def test_one_who_spreads_arms_and_legs_stays_one():
    labels = np.zeros((120, 160), np.uint8)
    labels[20:80, 70:84] = 1
    labels[35:41, 50:104] = 1
    for step in range(25):
        labels[55 + step, 70 - step // 2 : 84 + step // 2] = 1
    assert len(Candidates().find(labels, 0.0, 30)) == 1


def boxes(labels: np.ndarray) -> list[tuple[int, int, int, int]]:
    found = [each.box for each in Candidates().find(labels, 0.0, 12)]
    return [(box.left_px, box.top_px, box.right_px, box.bottom_px) for box in found]


def test_feet_and_head_that_are_found_apart_from_the_body_make_one_person():
    labels = np.zeros((240, 320), np.uint8)
    labels[86:124, 118:134] = 2  # white trousers on asphalt are background
    labels[141:147, 110:118] = 1
    labels[138:143, 136:142] = 1
    labels[76:84, 122:129] = 1
    assert boxes(labels) == [(110, 76, 142, 147)]
    (person,) = Candidates().find(labels, 0.0, 12)
    assert int(person.mask.sum()) == int((labels > 0).sum())


@pytest.mark.parametrize(
    "other",
    [
        (slice(66, 78), slice(122, 126)),  # somebody far away, over the head
        (slice(180, 188), slice(118, 130)),  # something on the ground before the feet
        (slice(138, 146), slice(175, 185)),  # or beside them
    ],
)
def test_what_is_no_head_and_no_foot_stays_alone(other):
    labels = np.zeros((240, 320), np.uint8)
    labels[86:146, 115:135] = 2
    labels[other] = 1
    assert (115, 86, 135, 146) in boxes(labels) and len(boxes(labels)) == 2


def test_a_trail_of_noise_from_the_feet_on_does_not_grow_into_a_giant():
    labels = np.zeros((480, 640), np.uint8)
    labels[60:120, 100:126] = 2
    x, y, height = 126, 165, 60
    for _ in range(5):
        labels[y : y + 8, x : x + 24] = 1
        height = y + 8 - 60
        x, y = x + round(0.2 * height), y + 8 + round(0.4 * height)
    tallest = max(boxes(labels), key=lambda box: box[3] - box[1])
    assert tallest[3] - tallest[1] <= 60 + 0.45 * 125 + 8


def test_noise_in_a_thousand_pieces_costs_no_more_than_in_sixty(monkeypatch):
    calls = []

    def counted(piece, body):
        calls.append(piece)
        return is_piece_of(piece, body)

    is_piece_of = candidates._is_piece_of
    monkeypatch.setattr(candidates, "_is_piece_of", counted)
    grid = np.zeros((480, 640), np.uint8)
    for row in range(6):
        grid[row::12, :] = 1
    grid[:, 6::12] = grid[:, 7::12] = 0
    teeth = np.zeros((480, 640), np.uint8)
    teeth[100] = 1
    teeth[100:104, ::2] = 1
    for labels in (grid, teeth):
        calls.clear()
        Candidates().find(labels, 0.0, 30)
        assert len(calls) <= MAX_BLOBS**2


def test_two_whose_hands_touch_are_parted_in_the_middle():
    labels = np.zeros((120, 160), np.uint8)
    labels[20:80, 30:45] = labels[20:80, 105:120] = 1
    labels[45:50, 30:120] = 1
    first, second = Candidates().find(labels, 0.0, 30)
    assert first.box.right_px == second.box.left_px == pytest.approx(75, abs=1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_the_mirrored_picture_has_the_mirrored_people(seed):
    """In one of a thousand such masks the column that goes to one of two people decides whether they are two."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((120, 160), np.uint8)
    for x, y, width, height in rng.integers((0, 0, 2, 2), (160, 120, 24, 60), (8, 4)):
        labels[y : y + height, x : x + width] = 1
    found = sorted(boxes(labels))
    mirrored = sorted((160 - right, top, 160 - left, bottom) for left, top, right, bottom in boxes(labels[:, ::-1]))
    assert len(found) == len(mirrored)
    assert np.abs(np.array(found) - mirrored).max(initial=0) <= 1, "a column between two people goes to one of them"


def test_numbers_stay_with_people_who_walk_and_are_not_given_again_at_once():
    finder = Candidates()
    for frame in range(10):
        left, right = people((60 + 6 * frame, 120), (250 - 6 * frame, 120), stamp_s=0.1 * frame, finder=finder)
        assert (left.number, right.number) == (1, 2)
    (only,) = people((190, 120), stamp_s=1.0, finder=finder)
    assert only.number == 2
    assert [each.number for each in people((20, 100), (190, 120), stamp_s=1.1, finder=finder)] == [3, 2]
    later_s = 1.2 + REMEMBERED_S
    assert [each.number for each in people((20, 200), stamp_s=later_s, finder=finder)] == [1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(60, 230)), max_size=30), st.floats(-1e9, 1e9))
def test_every_pixel_belongs_to_at_most_one_candidate_and_numbers_differ(places, stamp_s):
    _, labels = scene(*((x, y, RED, BLUE) for x, y in places))
    finder = Candidates()
    for _ in range(2):
        found = finder.find(labels, stamp_s, 1)
        assert len(found) <= MAX_CANDIDATES
        assert len({each.number for each in found}) == len(found)
        taken = np.zeros(labels.shape, int)
        for each in found:
            taken[each.window] += each.mask
        assert (taken <= (labels > 0)).all()
        if len(found) < MAX_CANDIDATES:
            assert (taken == (labels > 0)).all()


@settings(max_examples=60, deadline=None)
@given(st.tuples(*(st.floats(-1e4, 1e4) for _ in range(4))))
def test_a_part_is_within_its_bounds_and_within_the_whole(bounds):
    (whole,) = people((100, 120))
    part = whole.part(*bounds)
    if part is None:
        return
    left, top, right, bottom = bounds
    assert part.is_part and part.number == whole.number and part.mask.any()
    assert part.mask.shape == (part.height_px, part.width_px)
    assert left - 1 <= part.box.left_px and part.box.right_px <= right + 1
    assert top - 1 <= part.box.top_px and part.box.bottom_px <= bottom + 1
    assert whole.box.left_px <= part.box.left_px and part.box.right_px <= whole.box.right_px
