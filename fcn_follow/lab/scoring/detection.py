"""Figures of detection, which the Follow-Me score does not show: recall and precision by size, false alarms, errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fcn_follow.classes import BACKGROUND, HERO
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.scoring.overlap import Overlap, Overlaps, overlaps
from fcn_follow.perception.hero import find_hero

CLASS_NAMES = ("background", "people", "hero")
SIZE_EDGES_PX = (4, 31, 101, 301, 1001, 1 << 40)
SIZE_NAMES = ("4-30", "31-100", "101-300", "301-1000", ">1000")


@dataclass(frozen=True, slots=True)
class FrameFinding:
    """One frame: the overlap of each class, and whether the hero was found.

    Areas are in pixels of the recorded frame. found: a hero was reported; right: its blob overlaps the true hero;
    centroid_error_px is then the distance of the centroids, in pixels of the frame. false_people_px of background_px
    true pixels of the background were taken for people or hero.
    """

    overlaps: Overlaps
    truth_hero_px: int
    found: bool
    found_px: float
    right: bool
    centroid_error_px: float | None
    background_px: int = 0
    false_people_px: int = 0


@dataclass(frozen=True)
class SizeFigures:
    """Recall over true heroes of one size class, precision over reported ones; None if there are none."""

    frames: int
    recall: float | None
    reported: int
    precision: float | None


@dataclass(frozen=True)
class DetectionFigures:
    """Figures of a set of frames. An IoU is None if the class is in neither truth nor prediction.

    background_as_people is the share of the background's pixels that were taken for people or hero.
    """

    frames: int
    iou: dict[str, float | None]
    background_as_people: float | None
    recall: float | None
    precision: float | None
    by_size_px: dict[str, SizeFigures]
    centroid_error_px_median: float | None
    centroid_error_px_p90: float | None
    frames_without_hero: int
    false_alarms_per_1000: float | None


def examine_frame(
    truth: UInt8Array, predicted: UInt8Array, frame_hero_px: int, scale: float, min_px: float
) -> FrameFinding:
    """Compare labels of the same size H x W; scale is the frame's width divided by theirs.

    frame_hero_px is the true hero's area in the recorded frame; min_px the minimum area of a reported hero.
    """
    hero, true_hero = find_hero(predicted, min_px), find_hero(truth)
    background = truth == BACKGROUND
    right, error = False, None
    if hero is not None and true_hero is not None:
        box = (slice(hero.box.top_px, hero.box.bottom_px), slice(hero.box.left_px, hero.box.right_px))
        right = bool(((truth[box] == HERO) & (predicted[box] == HERO)).any())
        error = scale * float(np.hypot(*np.subtract(hero.centroid_px, true_hero.centroid_px))) if right else None
    return FrameFinding(
        overlaps=overlaps(predicted, truth),
        truth_hero_px=frame_hero_px,
        found=hero is not None,
        found_px=hero.area_px * scale**2 if hero is not None else 0.0,
        right=right,
        centroid_error_px=error,
        background_px=int(background.sum()),
        false_people_px=int((predicted[background] != BACKGROUND).sum()),
    )


def seen_from(finding: FrameFinding, min_px: float) -> FrameFinding:
    """The finding if only blobs of at least `min_px` pixels of the frame count as seen."""
    if finding.found_px >= min_px:
        return finding
    return dataclasses.replace(finding, found=False, found_px=0.0, right=False, centroid_error_px=None)


def detection_figures(findings: Sequence[FrameFinding]) -> DetectionFigures:
    """The figures of a set of frames; a true hero has at least 4 pixels."""
    with_hero = [finding for finding in findings if finding.truth_hero_px >= SIZE_EDGES_PX[0]]
    without = [finding for finding in findings if finding.truth_hero_px < SIZE_EDGES_PX[0]]
    reported = [finding for finding in findings if finding.found]
    errors = [finding.centroid_error_px for finding in with_hero if finding.centroid_error_px is not None]
    false_alarms = _share([finding.found for finding in without])
    background_px = sum(finding.background_px for finding in findings)
    return DetectionFigures(
        frames=len(findings),
        iou={
            name: sum((finding.overlaps[label] for finding in findings), Overlap()).iou
            for label, name in enumerate(CLASS_NAMES)
        },
        background_as_people=(
            sum(finding.false_people_px for finding in findings) / background_px if background_px else None
        ),
        recall=_share([finding.right for finding in with_hero]),
        precision=_share([finding.right for finding in reported]),
        by_size_px={
            name: _size_figures(with_hero, reported, low, high)
            for name, (low, high) in zip(SIZE_NAMES, pairwise(SIZE_EDGES_PX), strict=True)
        },
        centroid_error_px_median=float(np.median(errors)) if errors else None,
        centroid_error_px_p90=float(np.percentile(errors, 90)) if errors else None,
        frames_without_hero=len(without),
        false_alarms_per_1000=None if false_alarms is None else 1000.0 * false_alarms,
    )


def _size_figures(
    with_hero: Sequence[FrameFinding], reported: Sequence[FrameFinding], low: int, high: int
) -> SizeFigures:
    true = [finding.right for finding in with_hero if low <= finding.truth_hero_px < high]
    reported_right = [
        finding.right for finding in reported if low <= max(finding.found_px, low if low == 4 else 0) < high
    ]
    return SizeFigures(len(true), _share(true), len(reported_right), _share(reported_right))


def _share(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
