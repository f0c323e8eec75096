"""Score a recording: a network on its images, and the masks and centroids that were published in flight."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO
from fcn_follow.images.messages import MessageError
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.data.resize import resize_image, resize_mask
from fcn_follow.lab.recordings.frame_folders import decoded, refuse_other_size, true_labels
from fcn_follow.lab.recordings.pairing import Moment, Tally
from fcn_follow.lab.recordings.reading import Bag, Report, stamp_text
from fcn_follow.lab.recordings.topics import BagTopics
from fcn_follow.lab.recordings.truth import LABELS_AS_OURS, MaskFolder, TrueLabels, message_labels
from fcn_follow.lab.scoring.detection import FrameFinding
from fcn_follow.lab.scoring.evaluation import FrameResult, LabelledFrame, judge, judge_labels, kind_of_hero
from fcn_follow.lab.scoring.overlap import Overlap
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.pipeline import min_area_px

Segment = Callable[[UInt8Array], UInt8Array]
"""Maps an image H x W x 3 to labels H x W, as a node publishes them."""


@dataclass(frozen=True)
class Published:
    """What was published for one image in flight; None for anything that was not."""

    labels: UInt8Array | None = None
    centroid: tuple[float, float, float] | None = None
    """x, y and the area in pixels; NaN, NaN, 0 where the hero was not seen."""
    latency_s: float | None = None
    """Time from the recording of the image to that of its mask."""


@dataclass(frozen=True)
class BagFrame(LabelledFrame):
    """A frame of a bag. `image` and `mask` have the network's size, `image_rgb` and `truth` (labels) their own."""

    stamp_ns: int
    image_rgb: UInt8Array
    truth: UInt8Array
    published: Published

    @property
    def width_px(self) -> int:
        return int(self.truth.shape[1])

    @property
    def hero_px(self) -> int:
        return int(np.count_nonzero(self.truth == HERO))


@dataclass(frozen=True, slots=True)
class InFlight:
    """The result of a frame's published mask, and of the mask that the same weights give here."""

    published: FrameResult
    offline: FrameResult
    identical: bool
    latency_s: float


@dataclass(frozen=True, slots=True)
class BagResult:
    """The results of one image."""

    stamp_ns: int
    network: FrameResult
    in_flight: InFlight | None
    centroid: FrameFinding | None


@dataclass(frozen=True)
class Reading:
    """How a bag is read: topics, truth, tolerance of the stamps."""

    topics: BagTopics
    masks: MaskFolder | None = None
    gazebo: TrueLabels = LABELS_AS_OURS
    tolerance_ns: int = 0


@dataclass
class Losses:
    """What was not scored: a sentence for each unreadable message, and counts. They grow while the bag is read."""

    sentences: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    images_without_truth: int = 0


def bag_frames(bag: Bag, reading: Reading, card: ModelCard, losses: Losses) -> Iterator[BagFrame]:
    """The images of a bag that have a true mask, in the order of their recording."""
    report = losses.sentences.append
    images = decoded(bag, reading.topics, tolerance_ns=reading.tolerance_ns, tally=losses.tally, report=report)
    for moment, image_rgb in images:
        try:
            truth = _truth(moment, reading, image_rgb)
        except MessageError as error:
            report(f"{bag.path}: truth of stamp {moment.image.stamp_ns} ns: {error}")
            continue
        if truth is None:
            losses.images_without_truth += 1
            continue
        height, width = card.input_height_px, card.input_width_px
        one_hot = cv2.merge([(truth == label).view(np.uint8) for label in range(3)]).astype(np.uint8, copy=False)
        yield BagFrame(
            name=stamp_text(moment.time_ns),
            image=resize_image(image_rgb, height, width),
            mask=resize_mask(one_hot, height, width),
            kind=kind_of_hero(int(np.count_nonzero(truth == HERO)), truth.size),
            stamp_ns=moment.time_ns,
            image_rgb=image_rgb,
            truth=truth,
            published=_published(moment, reading.topics, truth, report),
        )


def score_bag(
    frames: Iterable[tuple[BagFrame, NDArray[np.floating]]], card: ModelCard, segment: Segment | None
) -> Iterator[tuple[BagFrame, NDArray[np.floating], BagResult]]:
    """Judge frames by their probabilities; `segment` makes the masks to compare with those published in flight."""
    for frame, probabilities in frames:
        in_flight = None
        if segment is not None and frame.published.labels is not None:
            in_flight = _judge_in_flight(frame, frame.published.labels, segment(frame.image_rgb), card)
        centroid = None
        if frame.published.centroid is not None:
            centroid = _judge_centroid(frame.published.centroid, frame.truth)
        yield frame, probabilities, BagResult(frame.stamp_ns, judge(frame, probabilities, card), in_flight, centroid)


def _judge_in_flight(frame: BagFrame, published: UInt8Array, offline: UInt8Array, card: ModelCard) -> InFlight:
    min_px = min_area_px(card, published)
    return InFlight(
        judge_labels(frame.name, frame.kind, frame.truth, published, min_px),
        judge_labels(frame.name, frame.kind, frame.truth, offline, min_px),
        bool((published == offline).all()),
        frame.published.latency_s or 0.0,
    )


def _judge_centroid(centroid: tuple[float, float, float], truth: UInt8Array) -> FrameFinding:
    """A published centroid compared with the true hero; it is right inside the true hero's box."""
    x, y, area = centroid
    found = area > 0 and math.isfinite(x) and math.isfinite(y)
    hero = find_hero(truth)
    right = hero is not None and found
    if hero is not None and found:
        box = hero.box
        right = box.left_px <= x < box.right_px and box.top_px <= y < box.bottom_px
    error = float(np.hypot(x - hero.centroid_px[0], y - hero.centroid_px[1])) if hero is not None and right else None
    no_overlap = (Overlap(), Overlap(), Overlap())
    return FrameFinding(no_overlap, int((truth == HERO).sum()), found, area if found else 0.0, right, error)


def _truth(moment: Moment, reading: Reading, image_rgb: UInt8Array) -> UInt8Array | None:
    if reading.masks is None:
        return true_labels(moment, reading.topics, image_rgb, reading.gazebo)
    labels = reading.masks.labels(moment.time_ns, moment.index, reading.tolerance_ns)
    if labels is not None:
        refuse_other_size(labels, image_rgb)
    return labels


def _published(moment: Moment, topics: BagTopics, truth: UInt8Array, report: Report) -> Published:
    mask, centroid = moment.partners.get(topics.mask), moment.partners.get(topics.centroid)
    labels, latency_s = None, None
    if mask is not None:
        try:
            labels = message_labels(mask.message)
            refuse_other_size(labels, truth)
            latency_s = (mask.recorded_ns - moment.image.recorded_ns) * 1e-9
        except MessageError as error:
            labels = None
            report(f"{topics.mask} of stamp {mask.stamp_ns} ns: {error}")
    point = None if centroid is None else centroid.message.point
    return Published(labels, None if point is None else (float(point.x), float(point.y), float(point.z)), latency_s)
