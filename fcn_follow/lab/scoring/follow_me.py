"""The Follow-Me score, exactly as the course and every public solution computed it.

Masks are bool or 0/1 arrays H x W x 3 (background, other people, hero) at the network's output size. JPEGs are
decoded by libjpeg-turbo here; IJG's libjpeg, which the old course used, upsamples chroma differently and moves the
score of the same weights by about 0.01.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO

SEEN_ABOVE_PX = 3
BLOCK = 10
RESAMPLES = 1000
_CLASS_IN_BITS = np.array([[bits >> label & 1 for bits in range(8)] for label in range(3)])


class Kind(str, Enum):
    """The three kinds of frames, named like the course's folders: hero near, hero far in a crowd, no hero."""

    NEAR = "following_images"
    FAR = "patrol_with_targ"
    NONE = "patrol_non_targ"


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One frame: IoU of each class, and the number of hero pixels in truth and prediction."""

    iou: tuple[float, float, float]
    truth_hero_px: int
    predicted_hero_px: int

    @property
    def truth_seen(self) -> bool:
        return self.truth_hero_px > SEEN_ABOVE_PX

    @property
    def predicted_seen(self) -> bool:
        return self.predicted_hero_px > SEEN_ABOVE_PX


@dataclass(frozen=True)
class FolderScore:
    """One kind of frames: mean IoU of each class over all frames, and counts of the hero seen or not."""

    frames: int
    iou_background: float
    iou_people: float
    iou_hero: float
    true_positives: int
    false_positives: int
    false_negatives: int


@dataclass(frozen=True)
class FollowMeScore:
    """The score that is usually quoted: final_score = final_iou * weight."""

    final_score: float
    final_iou: float
    weight: float
    folders: dict[str, FolderScore]


def prediction_mask(probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The predicted mask of softmax probabilities: trunc(255 p) > 127, for each class alone (no argmax)."""
    mask: NDArray[np.bool_] = 255.0 * probabilities >= 128.0
    return mask


def score_frame(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> FrameScore:
    """IoU of each class, 0 where the union is empty, and the hero's pixels, of two masks H x W x 3."""
    pairs = (_bits(truth) << 3) | _bits(prediction)
    counts = np.bincount(pairs.ravel(), minlength=64).reshape(8, 8)
    intersection = (_CLASS_IN_BITS @ counts @ _CLASS_IN_BITS.T).diagonal()
    true_px, predicted_px = _CLASS_IN_BITS @ counts.sum(axis=1), _CLASS_IN_BITS @ counts.sum(axis=0)
    union = true_px + predicted_px - intersection
    iou = [float(i) / float(u) if u else 0.0 for i, u in zip(intersection, union, strict=True)]
    return FrameScore((iou[0], iou[1], iou[2]), int(true_px[HERO]), int(predicted_px[HERO]))


def _bits(mask: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The classes of each pixel, which can be several, as bits 0 to 2 of a byte."""
    classes = np.moveaxis(mask.astype(bool, copy=False), 2, 0).view(np.uint8)
    bits: NDArray[np.uint8] = classes[0] | (classes[1] << 1) | (classes[2] << 2)
    return bits


def score_folder(frames: Sequence[FrameScore]) -> FolderScore:
    """Means and counts over one kind's frames; zeros if there are none."""
    iou = np.mean([frame.iou for frame in frames], axis=0) if frames else np.zeros(3)
    return FolderScore(
        frames=len(frames),
        iou_background=float(iou[0]),
        iou_people=float(iou[1]),
        iou_hero=float(iou[2]),
        true_positives=sum(frame.truth_seen and frame.predicted_seen for frame in frames),
        false_positives=sum(frame.predicted_seen and not frame.truth_seen for frame in frames),
        false_negatives=sum(frame.truth_seen and not frame.predicted_seen for frame in frames),
    )


def score_interval(frames: Mapping[Kind, Sequence[FrameScore]]) -> tuple[float, float] | None:
    """The 95 % interval of the final score by bootstrap over blocks of BLOCK frames that follow each other in a kind.

    None if a kind has frames, but too few for two blocks: every draw would then be the same.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8: frames of a run resemble their
    neighbours, so that single frames would give too narrow an interval.
    """
    if not any(frames.values()) or any(0 < len(of_kind) < 2 * BLOCK for of_kind in frames.values()):
        return None
    chance = np.random.default_rng(0)
    scores = np.zeros(RESAMPLES)
    blocks = {
        kind: np.array_split(
            np.array([(frame.iou[HERO], frame.truth_seen, frame.predicted_seen) for frame in frames.get(kind, ())]),
            len(frames.get(kind, ())) // BLOCK,
        )
        for kind in Kind
        if frames.get(kind)
    }
    sums = {kind: np.array([_sums(block) for block in parts]) for kind, parts in blocks.items()}
    for i in range(RESAMPLES):
        drawn = {k: table[chance.integers(len(table), size=len(table))].sum(0) for k, table in sums.items()}
        found, wrong = (sum(float(row[column]) for row in drawn.values()) for column in (2, 3))
        iou = sum(float(drawn[kind][1] / drawn[kind][0]) for kind in (Kind.NEAR, Kind.FAR) if kind in drawn) / 2
        scores[i] = iou * found / (found + wrong) if found else 0.0
    low, high = np.percentile(scores, (2.5, 97.5))
    return float(low), float(high)


def _sums(block: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Frames, sum of the hero's IoU, heroes found, and heroes missed or false, of rows (IoU, true, predicted)."""
    true, predicted = block[:, 1] > 0, block[:, 2] > 0
    return len(block), float(block[:, 0].sum()), float((true & predicted).sum()), float((true != predicted).sum())


def follow_me_score(frames: Mapping[Kind, Sequence[FrameScore]]) -> FollowMeScore:
    """The Follow-Me score of the three kinds; a missing kind counts as one without frames."""
    folders = {kind: score_folder(frames.get(kind, ())) for kind in Kind}
    found = sum(folder.true_positives for folder in folders.values())
    wrong = sum(folder.false_positives + folder.false_negatives for folder in folders.values())
    weight = found / (found + wrong) if found else 0.0
    final_iou = (folders[Kind.NEAR].iou_hero + folders[Kind.FAR].iou_hero) / 2
    return FollowMeScore(final_iou * weight, final_iou, weight, {kind.value: folders[kind] for kind in Kind})
