"""The blobs of a mask: against their contours, one by one, and with little work whatever the mask shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_follow.perception import candidates
from fcn_follow.perception.blobs import MAX_BLOBS, Box, find_blobs
from fcn_follow.perception.candidates import MAX_BOXES, Candidates

ROWS, COLUMNS = np.mgrid[:240, :320]
HOSTILE = {
    "single pixels": (ROWS % 2 == 0) & (COLUMNS % 2 == 0),
    "stripes": (ROWS + COLUMNS) % 4 < 2,
    "noise": np.random.default_rng(0).random((240, 320)) < 0.15,
    "corners in corners": np.maximum(COLUMNS * 240 // 320, ROWS) % 4 < 2,
}


def by_contours(mask: np.ndarray) -> list[tuple[int, Box, tuple[float, float]]]:
    """Area, box and middle of each blob: its outer contour filled, and what of it is in the mask."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    found = []
    for index in np.flatnonzero(hierarchy[0, :, 3] < 0) if contours else ():
        left, top, width, height = cv2.boundingRect(contours[index])
        numbers = cv2.connectedComponents(mask[top : top + height, left : left + width], connectivity=8)[1]
        x_px, y_px = contours[index][0, 0]
        rows, columns = np.nonzero(numbers == numbers[y_px - top, x_px - left])
        middle = left + columns.mean(), top + rows.mean()
        found.append((len(rows), Box(left, top, left + width, top + height), middle))
    return found


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 12.0, 40.5]))
def test_blobs_are_those_of_the_contours(seed, min_area_px):
    rng = np.random.default_rng(seed)
    labels = np.zeros((120, 160), np.uint8)
    for x, y, width, height in rng.integers((0, 0, 1, 1), (160, 120, 40, 60), (rng.integers(1, 30), 4)):
        cv2.ellipse(labels, (int(x), int(y)), (int(width), int(height)), 0, 0, 360, int(rng.integers(0, 3)), -1)
    for label in (1, 2):
        found = find_blobs(labels, label, min_area_px)
        assert [each.area_px for each in found] == sorted((each.area_px for each in found), reverse=True)
        expected = [each for each in by_contours((labels == label).view(np.uint8)) if each[0] >= min_area_px]
        assert len(expected) <= MAX_BLOBS
        by_box = sorted(expected, key=lambda each: (each[0], str(each[1])))
        mine = sorted(found, key=lambda each: (each.area_px, str(each.box)))
        assert [(each.area_px, each.box, each.label) for each in mine] == [(*each[:2], label) for each in by_box]
        assert np.allclose([each.centroid_px for each in mine], [each[2] for each in by_box])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_mask_in_thousands_of_pieces_is_gone_through_once(name, monkeypatch):
    calls = []
    label_components = cv2.connectedComponentsWithStats

    def counted(*arguments, **options):
        calls.append(arguments)
        return label_components(*arguments, **options)

    monkeypatch.setattr(cv2, "connectedComponentsWithStats", counted)
    labels = HOSTILE[name].astype(np.uint8)
    assert len(find_blobs(labels, 1)) <= MAX_BLOBS
    assert len(calls) == 1
    assert find_blobs(labels, 1, labels.size) == [] and len(calls) == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_the_boxes_in_which_people_are_looked_for_are_bounded(name, monkeypatch):
    pixels_px = []
    parted = candidates._parted

    def counted(pixels, *place):
        pixels_px.append(pixels.size)
        return parted(pixels, *place)

    monkeypatch.setattr(candidates, "_parted", counted)
    labels = HOSTILE[name].astype(np.uint8)
    Candidates().find(labels, 0.0, 1)
    assert pixels_px and sum(pixels_px) <= MAX_BOXES * labels.size


def test_more_pieces_than_16_bits_can_number():
    labels = np.zeros((480, 640), np.uint8)
    labels[::2, ::2] = 1
    labels[100:105, 100:105] = 1
    found = find_blobs(labels, 1)
    assert len(found) == MAX_BLOBS and found[0].box == Box(100, 100, 105, 105)
