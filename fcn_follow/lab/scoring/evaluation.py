"""Evaluate a network on frames with masks: the Follow-Me score and the figures of detection in one pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fcn_follow.classes import BACKGROUND, HERO
from fcn_follow.errors import UserError
from fcn_follow.inference.engine import Engine
from fcn_follow.inference.machine import usable_cores
from fcn_follow.lab.data.frames import FrameError, UInt8Array, open_frames, set_folders
from fcn_follow.lab.data.resize import resize_mask
from fcn_follow.lab.data.split import FrameRef, all_frames
from fcn_follow.lab.scoring.depth_figures import DepthFigures, DepthTally
from fcn_follow.lab.scoring.detection import DetectionFigures, FrameFinding, detection_figures, examine_frame
from fcn_follow.lab.scoring.follow_me import (
    SEEN_ABOVE_PX,
    FollowMeScore,
    FrameScore,
    Kind,
    follow_me_score,
    prediction_mask,
    score_frame,
    score_interval,
)
from fcn_follow.lab.scoring.predict import Predicted, outputs
from fcn_follow.lab.scoring.prefetch import map_in_order
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.labels import labels_of

NEAR_SHARE = 300 / 256**2  # a hero of more than 300 of 256 x 256 pixels is near


@dataclass(frozen=True)
class LabelledFrame:
    """A frame with its 0/1 mask H x W x 3, its kind and, where depth is judged, its depth in metres (0: not measured).

    focal_y_px is the camera's vertical focal length in pixels of the frame.
    """

    name: str
    image: UInt8Array
    mask: UInt8Array
    kind: Kind
    depth_m: NDArray[np.float32] | None = field(default=None, kw_only=True)
    focal_y_px: float | None = field(default=None, kw_only=True)

    @property
    def width_px(self) -> int:
        """The frame's width as it was recorded."""
        return int(self.mask.shape[1])

    @property
    def hero_px(self) -> int:
        """The true hero's area in the frame as it was recorded."""
        return int(self.mask[..., HERO].sum())


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The results of one frame."""

    name: str
    kind: Kind
    score: FrameScore
    finding: FrameFinding


@dataclass(frozen=True)
class Evaluation:
    """The figures of a set of frames, and the results of each frame."""

    follow_me: FollowMeScore
    detection: DetectionFigures
    frames: tuple[FrameResult, ...]
    skipped: tuple[str, ...]
    depth: DepthFigures | None = None

    def score_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the final score (`follow_me.score_interval`)."""
        return score_interval(scores_by_kind(self.frames))

    def figures(self) -> dict[str, object]:
        """The figures for JSON: `final_score`, `final_iou`, `weight`, `folders`, `detection`, the skipped frames.

        Also `depth`, where it was judged.
        """
        return {
            **dataclasses.asdict(self.follow_me),
            "detection": dataclasses.asdict(self.detection),
            **({} if self.depth is None else {"depth": dataclasses.asdict(self.depth)}),
            "skipped": list(self.skipped),
        }


def kind_of_mask(mask: UInt8Array) -> Kind:
    """The kind of a frame outside the course's folders, by its mask."""
    return kind_of_hero(int(mask[..., HERO].sum()), mask[..., 0].size)


def kind_of_hero(hero_px: int, frame_px: int) -> Kind:
    """The kind of a frame by the hero's area in it."""
    if hero_px <= SEEN_ABOVE_PX:
        return Kind.NONE
    return Kind.NEAR if hero_px > NEAR_SHARE * frame_px else Kind.FAR


def refs_of(path: Path) -> list[tuple[FrameRef, Kind | None]]:
    """The frames of a path to score: from the course's three folders, with their kinds, or from one mixed set.

    Raises UserError if one of the three folders is missing.
    """
    folders = set_folders(path)
    missing = [kind.value for kind in Kind if kind.value not in folders]
    if len(missing) == len(Kind) or path.stem in folders:
        return [(ref, None) for ref in all_frames([open_frames(path)])]
    if missing:
        raise UserError(f"{path}: the course's layout needs three folders; {', '.join(missing)} is missing")
    return [(ref, kind) for kind in Kind for ref in all_frames([open_frames(path, kind.value)])]


def labelled_frames(
    refs: Iterable[tuple[FrameRef, Kind | None]], on_skip: Callable[[str], None], with_depth: bool = False
) -> Iterator[LabelledFrame]:
    """Decode frames on all cores, with their depth where it exists and is requested.

    on_skip gets the problem of each unreadable frame; such frames are left out.
    """
    for frame in map_in_order(lambda item: _decoded(*item, with_depth), refs, usable_cores()):
        if isinstance(frame, FrameError):
            on_skip(str(frame))
        else:
            yield frame


def _decoded(ref: FrameRef, kind: Kind | None, with_depth: bool) -> LabelledFrame | FrameError:
    try:
        image, mask = ref.frames.image(ref.index), ref.frames.mask(ref.index)
        depth_m = ref.frames.depth_m(ref.index, image) if with_depth else None
    except FrameError as error:
        return error
    if mask is None:
        raise UserError(f"{ref.frames.path}: has no masks/; a score needs a mask for each frame")
    focal_y_px = None if depth_m is None else ref.frames.focal_y_px[ref.index]
    return LabelledFrame(ref.name, image, mask, kind or kind_of_mask(mask), depth_m=depth_m, focal_y_px=focal_y_px)


def evaluate(
    network: nn.Module | Engine,
    card: ModelCard,
    frames: Iterable[LabelledFrame],
    *,
    skipped: Sequence[str] = (),
    on_frame: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score a network in eval mode, or an engine that gives probabilities.

    The card gives the input size and the rule for a hero that counts as seen. Where card and frames have depth, the
    network's depth is judged too.

    `skipped` may grow while `frames` is read; it is copied into the result at the end.
    """
    results: list[FrameResult] = []
    tally = DepthTally(card)

    def judged(seen: Predicted[LabelledFrame]) -> tuple[Predicted[LabelledFrame], FrameResult]:
        return seen, judge(seen.frame, seen.probabilities, card)

    for seen, result in map_in_order(judged, outputs(network, card, frames), usable_cores()):
        results.append(result)
        frame = seen.frame
        if seen.depth is not None and frame.depth_m is not None:
            tally.add(seen.probabilities, seen.depth, frame.mask, frame.depth_m, frame.focal_y_px)
        on_frame()
    return dataclasses.replace(summarise(results, skipped), depth=tally.figures() if tally.frames else None)


def judge(frame: LabelledFrame, probabilities: NDArray[np.floating], card: ModelCard) -> FrameResult:
    """The results of one frame from the network's probabilities h x w x 3."""
    height, width = probabilities.shape[:2]
    truth = resize_mask(frame.mask, height, width)
    labels = labels_of(probabilities, card)
    finding = examine_frame(
        _labels(truth),
        labels,
        frame_hero_px=frame.hero_px,
        scale=frame.width_px / width,
        min_px=card.hero_min_area_px,
    )
    prediction = prediction_mask(probabilities)
    prediction[..., HERO] &= labels == HERO
    return FrameResult(frame.name, frame.kind, score_frame(truth, prediction), finding)


def judge_labels(name: str, kind: Kind, truth: UInt8Array, labels: UInt8Array, min_px: float) -> FrameResult:
    """The results of one frame from a label mask and the true one, both H x W in the frame's size.

    Each pixel has one class here, unlike in the probabilities that `judge` takes. min_px is the minimum area of a
    reported hero in these pixels.
    """
    finding = examine_frame(truth, labels, int((truth == HERO).sum()), 1.0, min_px)
    iou = [overlap.iou or 0.0 for overlap in finding.overlaps]
    score = FrameScore((iou[0], iou[1], iou[2]), finding.truth_hero_px, int((labels == HERO).sum()))
    return FrameResult(name, kind, score, finding)


def summarise(results: Sequence[FrameResult], skipped: Sequence[str] = ()) -> Evaluation:
    """The figures of a set from its frames' results."""
    detection = detection_figures([result.finding for result in results])
    return Evaluation(follow_me_score(scores_by_kind(results)), detection, tuple(results), tuple(skipped))


def scores_by_kind(results: Iterable[FrameResult]) -> dict[Kind, list[FrameScore]]:
    """The frames' scores of each kind, in order."""
    by_kind: dict[Kind, list[FrameScore]] = {kind: [] for kind in Kind}
    for result in results:
        by_kind[result.kind].append(result.score)
    return by_kind


def _labels(mask: UInt8Array) -> UInt8Array:
    """Labels of a 0/1 mask; a pixel with two classes after resizing becomes hero, one without a class background."""
    labels: UInt8Array = np.where(mask[..., HERO] > 0, HERO, np.where(mask[..., 1] > 0, 1, BACKGROUND)).astype(np.uint8)
    return labels
