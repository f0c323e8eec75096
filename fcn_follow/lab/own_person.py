"""The frames of a clip that train a network on one person, and how well it then recognises this person.

The ground truth is the network's own masks, in the frames in which the selection is sure of the person. The clip is
split by time: its last part judges, the part before it chooses the weights, the rest trains. A double is a frame in
which the person wears other clothes and counts as another person, so that a network must use the whole outfit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.lab.data.bank import FrameBank
from fcn_follow.lab.data.resize import resize_image
from fcn_follow.lab.scoring.calibration import JudgedFrame, calibration_curve, judge_at_levels
from fcn_follow.lab.scoring.evaluation import LabelledFrame, judge, kind_of_mask
from fcn_follow.lab.scoring.predict import predictions
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.appearance import BODY_ROWS, appearance_of
from fcn_follow.perception.labels import labels_of
from fcn_follow.perception.selection import KEEP, PLACE_S, Choice, is_fragment

UInt8Array = NDArray[np.uint8]

MAX_FRAMES = 400
"""Largest number of frames that are kept, spread over the clip: 100 MB at 256x256."""
MIN_TRAINING, MIN_CHOOSING, MIN_JUDGING = 40, 4, 8
JUDGING_SHARE, CHOOSING_SHARE = 0.2, 0.1
GAP_S = 0.5
"""Gap between two stretches: nearer frames are almost the same image."""
USUAL = 0.1
"""How far the likeness may be below the usual one in a frame that is learnt."""
DOUBLE_LIKENESS = 0.65
"""A double is less like the person than this; if only the upper or lower body is the same, the likeness is 0.5."""
_DOUBLE_TRIES = 20
TAKEN_SHARE = 0.25
"""Share of a person's pixels from which the person counts as taken for the hero."""
SLACK = 0.02
"""How much recall a higher confirming probability may cost."""
MIN_FOUND, MAX_TAKEN = 0.8, 0.02


@dataclass(frozen=True)
class ClipFrame:
    """A square frame uint8 S x S x 3 RGB of a clip, and its labels uint8 S x S (2: the person)."""

    time_s: float
    image: UInt8Array
    labels: UInt8Array

    @property
    def has_hero(self) -> bool:
        return bool((self.labels == HERO).any())

    def labelled(self) -> LabelledFrame:
        """The frame in the form that is scored."""
        mask = np.eye(3, dtype=np.uint8)[self.labels]
        return LabelledFrame(f"{self.time_s:.2f} s", self.image, mask, kind_of_mask(mask))


class ClipFrames:
    """Collects at most MAX_FRAMES of the frames of a clip in which the selection is sure."""

    def __init__(self, size_px: int) -> None:
        self._size_px = size_px
        self._every, self._offered = 1, 0
        self._seen_s = -math.inf
        self.sure = 0
        """The frames in which the selection is sure of the person."""
        self.frames: list[ClipFrame] = []

    def add(self, time_s: float, image_rgb: UInt8Array, choice: Choice, usual: float) -> None:
        """Take a frame if the selection is sure; usual is the person's usual likeness in a single frame."""
        hero = next((each for each in choice.candidates if each.number == choice.hero), None)
        if hero is not None:
            self._seen_s = time_s
        if choice.asks:
            return
        if hero is None:
            alike = max(choice.likeness.values(), default=0.0) > usual - KEEP
            if alike or time_s - self._seen_s < PLACE_S:
                return
        elif (
            hero.is_part
            or choice.hero_likeness < usual - USUAL
            or any(is_fragment(each, hero) for each in choice.candidates if each is not hero)
        ):
            return
        self.sure += hero is not None
        self._offered += 1
        if (self._offered - 1) % self._every:
            return
        size = (self._size_px, self._size_px)
        labels = cv2.resize(choice.labels, size, interpolation=cv2.INTER_NEAREST)
        self.frames.append(ClipFrame(time_s, resize_image(image_rgb, *size), labels.astype(np.uint8, copy=False)))
        if len(self.frames) > MAX_FRAMES:
            self.frames = self.frames[::2]
            self._every *= 2


@dataclass(frozen=True)
class Stretches:
    """The frames of a clip for training, for choosing the weights and for judging, with gaps between them."""

    training: tuple[ClipFrame, ...]
    choosing: tuple[ClipFrame, ...]
    judging: tuple[ClipFrame, ...]


def stretches(clip: ClipFrames) -> Stretches:
    """The frames by time. Raises UserError if the selection is sure in too few of them."""
    times = [frame.time_s for frame in clip.frames if frame.has_hero]
    first, last = (times[0], times[-1]) if times else (0.0, 0.0)
    judges_s = last - JUDGING_SHARE * (last - first)
    chooses_s = judges_s - CHOOSING_SHARE * (last - first)
    parts = Stretches(
        tuple(frame for frame in clip.frames if frame.time_s < chooses_s - GAP_S),
        tuple(frame for frame in clip.frames if chooses_s <= frame.time_s < judges_s - GAP_S),
        tuple(frame for frame in clip.frames if judges_s <= frame.time_s <= last),
    )
    counts = [sum(frame.has_hero for frame in part) for part in (parts.training, parts.choosing, parts.judging)]
    if any(count < least for count, least in zip(counts, (MIN_TRAINING, MIN_CHOOSING, MIN_JUDGING), strict=True)):
        raise UserError(
            f"the person is recognised for certain in {clip.sure} frames, within {last - first:.1f} s; of those kept, "
            f"{counts[0]} are for training (needed: {MIN_TRAINING}), {counts[1]} for choosing ({MIN_CHOOSING}) and "
            f"{counts[2]} for judging ({MIN_JUDGING}); take a clip of 10 s or more, in "
            "which the whole person is seen, apart from others"
        )
    return parts


def double(frame: ClipFrame, rng: np.random.Generator) -> ClipFrame | None:
    """The frame with other clothes above, below or both, labelled as another person; None if no try succeeds."""
    person = frame.labels == HERO
    rows = np.flatnonzero(person.any(axis=1))
    columns = np.flatnonzero(person.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    mask, picture = np.ascontiguousarray(person[window]), frame.image[window]
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None]
    look = appearance_of(picture, mask)
    for _ in range(_DOUBLE_TRIES):
        changed = picture.astype(np.float32)
        for part in ((0,), (1,), (0, 1))[int(rng.integers(3))]:
            begin, end = (round(share * len(mask)) for share in BODY_ROWS[part])
            body = slice(begin, len(mask) if part else end)
            changed[body] += alpha[body] * (_dyed(changed[body], mask[body], rng) - changed[body])
        dressed = np.clip(changed, 0, 255).astype(np.uint8)
        if look.likeness(appearance_of(dressed, mask)) < DOUBLE_LIKENESS:
            image, labels = frame.image.copy(), frame.labels.copy()
            image[window], labels[person] = dressed, OTHER_PEOPLE
            return ClipFrame(frame.time_s, image, labels)
    return None


def _dyed(pixels: NDArray[np.float32], mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Pixels h x w x 3 in one colour, with the light and shadow that they have."""
    light = pixels.mean(axis=2, keepdims=True)
    usual = float(light[mask].mean()) if mask.any() else 0.0
    hue, saturation, value = rng.uniform(0, 180), 255 * rng.uniform(0.0, 0.9), 255 * rng.uniform(0.06, 0.9)
    colour = cv2.cvtColor(np.array([[[hue, saturation, value]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    dyed: NDArray[np.float32] = light / max(usual, 1.0) * colour.astype(np.float32)
    return dyed


def doubles(frames: Sequence[ClipFrame], rng: np.random.Generator) -> list[ClipFrame]:
    """The doubles of all frames that show the person."""
    made = (double(frame, rng) for frame in frames if frame.has_hero)
    return [frame for frame in made if frame is not None]


def nobody_is_the_hero(bank: FrameBank) -> FrameBank:
    """The frames with their heroes labelled as other people, because they are not this person."""
    return replace(bank, labels=np.minimum(bank.labels, np.uint8(OTHER_PEOPLE)))


def joined(frames: Sequence[ClipFrame], others: FrameBank) -> FrameBank:
    """One bank of the clip's frames and of other frames of the same size."""
    names = tuple(f"clip/{frame.time_s:.2f}" for frame in frames) + others.names
    images = np.concatenate([np.stack([frame.image for frame in frames]), others.images])
    labels = np.concatenate([np.stack([frame.labels for frame in frames]), others.labels])
    return FrameBank(images, labels, names, others.skipped)


def labelled(bank: FrameBank) -> list[LabelledFrame]:
    """The frames of a bank in the form that is scored."""
    return [ClipFrame(0.0, *frame).labelled() for frame in zip(bank.images, bank.labels, strict=True)]


@dataclass(frozen=True)
class Knowledge:
    """How well a network knows the person, on frames that did not train. Shares from 0 to 1; NaN without frames.

    found: share of the frames with the person whose reported hero lies on the person. iou: mean IoU of the person.
    taken: share of the others' blobs of which TAKEN_SHARE became the hero.
    """

    frames: int
    found: float
    iou: float
    others: int
    taken: float

    def __str__(self) -> str:
        return f"found in {100 * self.found:.0f} % of {self.frames} frames, IoU {self.iou:.2f}; {self.others_words}"

    @property
    def others_words(self) -> str:
        return f"{100 * self.taken:.0f} % of {self.others} others taken for the person" if self.others else "no others"

    @property
    def warnings(self) -> list[str]:
        """Why these weights may not be good enough, and what to do about it."""
        found = []
        if not self.found >= MIN_FOUND:
            found.append(
                f"the person is found in {100 * self.found:.0f} % of the held-back frames: take a longer clip, from "
                "more sides, or fly with --hero and the appearance file instead of these weights"
            )
        if not self.others:
            found.append("nobody else is in the held-back frames: whether others are taken for the person is not known")
        elif self.taken > MAX_TAKEN:
            found.append(
                f"{100 * self.taken:.0f} % of the others in the held-back frames are taken for the person: wear "
                "clothes that nobody else wears, or fly with --hero and the appearance file, which asks in doubt"
            )
        return found


def knowledge(network: nn.Module, card: ModelCard, frames: Sequence[LabelledFrame]) -> Knowledge:
    """What the network, in eval mode, knows of the person in these frames."""
    found, ious, others, taken = 0, [], 0, 0
    for frame, probabilities in predictions(network, card, frames):
        result = judge(frame, probabilities, card)
        if frame.hero_px:
            found += result.finding.right
            ious.append(result.finding.overlaps[HERO].iou or 0.0)
        size = probabilities.shape[1::-1]
        people = cv2.resize(frame.mask[..., OTHER_PEOPLE], size, interpolation=cv2.INTER_NEAREST)
        blobs = cv2.connectedComponents(people, connectivity=8)[1].ravel()
        area_px = np.bincount(blobs)[1:]
        hero_px = np.bincount(blobs, labels_of(probabilities, card).ravel() == HERO)[1:]
        counts = area_px >= card.hero_min_area_px
        others += int(counts.sum())
        taken += int((hero_px[counts] >= TAKEN_SHARE * area_px[counts]).sum())
    with_hero = len(ious)
    return Knowledge(
        with_hero,
        found / with_hero if with_hero else math.nan,
        float(np.mean(ious)) if ious else math.nan,
        others,
        taken / others if others else math.nan,
    )


def confirming_probability(network: nn.Module, card: ModelCard, frames: Sequence[LabelledFrame]) -> float:
    """The highest level that costs at most SLACK of recall: to hold is better than to follow a stranger."""
    judged: list[JudgedFrame] = [
        judge_at_levels(frame, probabilities, card) for frame, probabilities in predictions(network, card, frames)
    ]
    curve = calibration_curve(judged, card.hero_min_area_px)
    recalls = [level.evaluation.detection.recall or 0.0 for level in curve]
    return max(level.confirm for level, recall in zip(curve, recalls, strict=True) if recall >= max(recalls) - SLACK)
