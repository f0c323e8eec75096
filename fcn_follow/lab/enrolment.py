"""The appearance of a person in a clip, and how well it separates this person from the others there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.perception.appearance import Appearance, appearance_of
from fcn_follow.perception.candidates import Candidate
from fcn_follow.perception.pipeline import min_area_px
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.perception.selection import MARGIN_RIVAL, Choice, Selection, is_fragment

CHOICE_S = 2.0
"""The person is chosen in the picture with the tallest person of the first CHOICE_S seconds."""

TimedImage = tuple[float, NDArray[np.uint8]]
OnChoice = Callable[[float, NDArray[np.uint8], Choice, float], None]
"""Gets time, image, choice and the likeness that the person usually has."""


@dataclass
class Enrolment:
    """The appearance, and likenesses to it from 0 to 1: of the person's frames, and of the others beside the person."""

    appearance: Appearance
    frames: int = 0
    asked: int = 0
    own: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    @property
    def margin(self) -> float:
        """How far the person's likeness (5th percentile) is above the others' (95th); NaN without others."""
        if not self.others:
            return math.nan
        return float(np.percentile(self.own, 5) - np.percentile(self.others, 95))

    @property
    def warning(self) -> str:
        """Why the appearance alone is not enough; empty if it is enough."""
        if not self.others:
            return "nobody else is in the clip, so it is not known whether others look like this person"
        if self.margin < MARGIN_RIVAL:
            return "others in the clip look like this person: after the hero was lost, the drone will hold and ask"
        return ""


def picture_to_choose_in(images: Iterable[TimedImage], segmenter: Segmenter) -> tuple[TimedImage, Choice]:
    """The image of the first CHOICE_S with the tallest person, and its people. Raises UserError if there is none."""
    selection = Selection()
    best: tuple[TimedImage, Choice] | None = None
    for time_s, image_rgb in images:
        if time_s > CHOICE_S:
            break
        choice = _choose(selection, segmenter, time_s, image_rgb)
        if _tallest(choice) > (_tallest(best[1]) if best else 0):
            best = (time_s, image_rgb), choice
    if best is None:
        raise UserError(f"nobody is found in the first {CHOICE_S:g} s; begin the clip where the whole person is seen")
    return best


def enrol(
    images: Iterable[TimedImage],
    segmenter: Segmenter,
    chosen: Candidate,
    chosen_s: float,
    on_choice: OnChoice = lambda *_: None,
) -> Enrolment:
    """Learn the person who is `chosen` in the image of time chosen_s, from then on.

    `on_choice` is called for each image after the appearance has been learnt.

    Raises UserError if the person is not seen for long enough.
    """
    selection = Selection()
    found: Enrolment | None = None
    for time_s, image_rgb in images:
        if time_s < chosen_s:
            continue
        if time_s == chosen_s:
            selection.point(*chosen.centroid_px)
        choice = _choose(selection, segmenter, time_s, image_rgb)
        if choice.learnt:
            found = Enrolment(choice.learnt)
        if found is None or selection.appearance is None:
            continue
        found.appearance = selection.appearance
        found.frames += 1
        found.asked += bool(choice.asks)
        on_choice(time_s, image_rgb, choice, found.appearance.usual)
        hero = next((each for each in choice.candidates if each.number == choice.hero), None)
        for each in choice.candidates if hero else ():
            likeness = found.appearance.likeness(appearance_of(image_rgb[each.window], each.mask))
            if each is hero:
                found.own.append(likeness)
            elif hero and not is_fragment(each, hero):
                found.others.append(likeness)
    if found is None or not found.own:
        raise UserError("the person is not seen for long enough; take a clip of some seconds with the whole person")
    return found


def _choose(selection: Selection, segmenter: Segmenter, time_s: float, image_rgb: NDArray[np.uint8]) -> Choice:
    labels = segmenter.segment(image_rgb)
    return selection.choose(image_rgb, labels, time_s, min_area_px(segmenter.card, labels))


def _tallest(choice: Choice) -> int:
    return max((each.height_px for each in choice.candidates), default=0)
