"""Which of the people is the hero: the person the user pointed at, found by place and appearance.

While the hero is visible, place (predicted from the motion so far) and appearance must agree. A lost hero is recognised
by appearance alone. If two people fit almost equally well, nobody is the hero and the user is asked: a hold is better
than a swap. A similar person who was seen beside the hero, or disappeared there, is remembered until the user points
again, because appearance alone does not distinguish the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.perception.appearance import Appearance, appearance_of
from fcn_follow.perception.candidates import Candidate, Candidates

TRAINED, POINTED = SELECTIONS = ("trained", "pointed")
"""Who the hero is: the person the weights were trained on, or the person the user points at."""
LEARN_S = 1.0
"""How long the appearance is learnt after pointing."""
MIN_LEARNT = 3  # frames
ADAPT_S = 20.0  # time constant with which the appearance adapts to the light
KEEP, MATCH, ALONE = 0.35, 0.2, 0.1
"""How far the likeness may be below the usual: of a person with the hero's number at the hero's place, of any person
there, and of a person elsewhere, whom only the appearance identifies."""
MARGIN, MARGIN_ALONE, MARGIN_RIVAL = 0.12, 0.15, 0.1
"""The margin of the best over the next: at the hero's place; elsewhere; over others in earlier frames."""
PLACE = 0.5  # likeness that a distance of one body height costs
GATE = 0.7  # distance from the predicted place, in body heights, up to which a person is at the hero's place
PLACE_S = 1.0  # time after the last sight for which the place is predicted
CONFIRM_S = 0.2  # time for which a person must be the only match to be recognised
UNUSUAL = 0.04  # drop below the usual likeness that means a hero half hidden, or not alone in the blob
BREADTH, LARGER = 0.5, 1.08  # width of a person, and the height from which a blob may be more than the hero, in heights
PART_OFFSETS = (0.0, -0.12, 0.12, -0.25, 0.25)  # of the hero in such a blob from the predicted place, in heights
MIN_PART = 0.6  # height of a part, in heights of the whole
MARGIN_PART = 0.01  # by which a part must be more like the hero than the whole
RIVAL_SHARE = 0.3  # share of each frame in the remembered likeness of others
ALIKE_FRAMES = 3  # in which a person must be almost as much like the hero as the hero
ASK_S = 1.0  # shorter doubts cause no question
POINT_S = 5.0  # time for which a point waits while nobody is in the picture
MAX_GAP_S = 1.0  # between two frames; after more, another person may be at the pointed place
POINT_TOLERANCE = 0.1  # distance of a point from a person, in body heights
NOBODY_CHOSEN = "no hero is chosen: point at a person (topic hero/point, service select_nearest)"


@dataclass(frozen=True)
class Choice:
    """The result for a frame.

    `labels` has the hero as class 2 and everybody else as class 1. `likeness` is that of each candidate to the hero,
    from 0 to 1, by number, once a hero was chosen. `asks` is the question to the user, while there is one; `notice` the
    result of a point, in the frame in which it is known; `learnt` the appearance, in the frame in which it is complete.
    """

    labels: NDArray[np.uint8]
    candidates: tuple[Candidate, ...]
    hero: int | None
    likeness: Mapping[int, float]
    asks: str = ""
    notice: str = ""
    learnt: Appearance | None = None

    @property
    def hero_likeness(self) -> float:
        """The hero's likeness in this frame; 0 without a hero."""
        return self.likeness.get(self.hero, 0.0) if self.hero is not None else 0.0

    @property
    def places_px(self) -> dict[int, tuple[float, float]]:
        """The middle of each candidate by its number."""
        return {each.number: each.centroid_px for each in self.candidates}

    def nearest_to_middle(self) -> Candidate | None:
        """The candidate nearest to the middle of the picture; None if there is nobody."""
        height, width = self.labels.shape
        return nearest(self.candidates, (width - 1) / 2, (height - 1) / 2)


@dataclass(frozen=True)
class Track:
    """The hero's place: number, middle and height in pixels, velocity in pixels per second.

    `feet_px` is the row of the feet, from the horizon down; 0 if the horizon is not known or too near.
    """

    number: int
    stamp_s: float
    x_px: float
    y_px: float
    height_px: float
    feet_px: float = 0.0
    x_px_s: float = 0.0
    y_px_s: float = 0.0

    def predicted(self, stamp_s: float) -> tuple[float, float]:
        dt_s = stamp_s - self.stamp_s
        return self.x_px + self.x_px_s * dt_s, self.y_px + self.y_px_s * dt_s

    def height_at(self, feet_px: float) -> float:
        """The height for feet at this distance below the horizon; on level ground the two are proportional."""
        return self.height_px * feet_px / self.feet_px if self.feet_px and feet_px else self.height_px

    def distance(self, candidate: Candidate, stamp_s: float) -> float:
        """The distance of a candidate from the predicted place, in body heights."""
        x_px, y_px = self.predicted(stamp_s)
        x, y = candidate.centroid_px
        return math.hypot(x - x_px, y - y_px) / max(self.height_px, 1.0)

    def moved_to(self, candidate: Candidate, stamp_s: float, feet_px: float, looks_usual: bool) -> Track:
        """The track after this sight of the hero: an alpha-beta filter whose alpha is 1.

        The height of a hero who does not look as usual, and may be half hidden or part of a larger blob, counts little.
        """
        dt_s = max(stamp_s - self.stamp_s, 1e-3)
        x, y = candidate.centroid_px
        predicted_x, predicted_y = self.predicted(stamp_s)
        gain = 0.3 / dt_s
        vx, vy = self.x_px_s + gain * (x - predicted_x), self.y_px_s + gain * (y - predicted_y)
        height_gain = 0.0 if candidate.is_part else 0.3 if looks_usual else 0.03
        height_px = self.height_at(feet_px)
        height_px += height_gain * (candidate.height_px - height_px)
        return Track(candidate.number, stamp_s, x, y, height_px, feet_px, vx, vy)


def below_horizon(candidate: Candidate, horizon_px: float) -> float:
    """How far the feet are below the row of the horizon, in pixels; 0 if that is NaN or too near."""
    feet_px = candidate.box.bottom_px - horizon_px
    return feet_px if feet_px > candidate.height_px / 4 else 0.0


@dataclass(frozen=True)
class Doubt:
    """Why nobody is the hero, and the stamps of the first and the last frame with a doubt."""

    reason: str
    first_s: float
    last_s: float


def tracked(candidate: Candidate, stamp_s: float, horizon_px: float) -> Track:
    """The track that begins with this sight."""
    feet_px = below_horizon(candidate, horizon_px)
    return Track(candidate.number, stamp_s, *candidate.centroid_px, candidate.height_px, feet_px)


def nearest(candidates: Sequence[Candidate], x_px: float, y_px: float) -> Candidate | None:
    """The candidate whose middle is nearest to a point."""
    return min(candidates, key=lambda each: math.dist(each.centroid_px, (x_px, y_px)), default=None)


class Selection:
    """Chooses the hero in the frames of one camera, in order; with an `appearance` no pointing is needed."""

    def __init__(self, appearance: Appearance | None = None) -> None:
        self._candidates = Candidates()
        self._model = appearance
        self._point: tuple[float, float] | None = None
        self._forgotten_point: tuple[float, float] | None = None
        self._learning_since_s: float | None = None
        self._learnt_frames = 0
        self.forget_place()
        self._rival = 0.0
        self._horizon_px = math.nan

    @property
    def appearance(self) -> Appearance | None:
        """The appearance of the hero, once a hero has been chosen."""
        return self._model

    def point(self, x_px: float, y_px: float) -> None:
        """The user points at a pixel; the next frame uses it. May be called from another thread."""
        self._point = (x_px, y_px)

    def forget_place(self) -> None:
        """Forget the hero's place after an interruption: recognition, or a new point, must find the hero."""
        self._forgotten_point = self._point or self._forgotten_point
        self._point, self._point_since_s = None, math.inf
        self._track: Track | None = None
        self._alike_frames: dict[int, int] = {}
        self._beside: set[int] = set()
        self._streak: tuple[int, float] | None = None
        self._doubt: Doubt | None = None
        self._stamp_s = -math.inf

    def choose(
        self,
        image_rgb: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        stamp_s: float,
        min_area_px: float,
        horizon_px: float = math.nan,
    ) -> Choice:
        """The hero and the other people of a frame.

        Args:
            image_rgb: HxWx3 uint8.
            labels: HxW uint8, of the image; every class but background is people.
            stamp_s: of the image.
            min_area_px: smaller blobs are no people.
            horizon_px: the row of the horizon, if it is known.
        """
        self._horizon_px = horizon_px
        self._likeness: Mapping[int, float] = {}
        if self._stamp_s > -math.inf and not 0.0 <= stamp_s - self._stamp_s <= MAX_GAP_S:
            self.forget_place()
        candidates = self._candidates.find(labels, stamp_s, min_area_px)
        looks = {each.number: appearance_of(image_rgb[each.window], each.mask) for each in candidates}
        notice = self._take_point(candidates, looks, stamp_s)
        candidates = tuple(self._cut_out(each, looks, image_rgb, stamp_s) for each in candidates)
        hero, doubt = self._find(candidates, looks, stamp_s)
        asks = self._question(hero, doubt, stamp_s)
        whole = hero is not None and _shows_one_whole(hero, candidates, len(labels))
        learnt = self._learn(looks[hero.number] if hero and whole else None, stamp_s)
        self._stamp_s = stamp_s
        chosen = np.minimum(labels, np.uint8(OTHER_PEOPLE))
        if hero is not None:
            chosen[hero.window][hero.mask] = HERO
        return Choice(
            chosen,
            candidates,
            hero.number if hero else None,
            self._likeness,
            asks,
            notice,
            learnt,
        )

    @property
    def _usual(self) -> float:
        return self._model.usual if self._model else 1.0

    def _take_point(self, candidates: Sequence[Candidate], looks: dict[int, Appearance], stamp_s: float) -> str:
        """Begin with the person at whom the user points; returns the result in words."""
        if self._forgotten_point is not None:
            (x, y), self._forgotten_point = self._forgotten_point, None
            return f"refused: the pictures were interrupted after the point at {x:.4g}, {y:.4g}; point again"
        point = self._point
        if point is None:
            return ""
        x, y = point
        place = f"{x:.4g}, {y:.4g}"
        if not candidates:
            self._point_since_s = min(self._point_since_s, stamp_s)
            if stamp_s - self._point_since_s < POINT_S:
                return ""
            self._point, self._point_since_s = None, math.inf
            return f"refused: nobody has been in the picture for {POINT_S:g} s since the point at {place}"
        self._point, self._point_since_s = None, math.inf
        there = [each for each in candidates if each.distance_to(x, y) <= POINT_TOLERANCE]
        chosen = nearest([each for each in there if _covers(each, x, y)] or there, x, y)
        if chosen is None:
            by_distance = sorted(candidates, key=lambda each: each.distance_to(x, y))[:3]
            return f"refused: nobody is at {place}; the nearest: {'; '.join(each.words for each in by_distance)}"
        self.forget_place()
        self._track = tracked(chosen, stamp_s, self._horizon_px)
        self._model, self._rival = looks[chosen.number], 0.0
        self._learning_since_s, self._learnt_frames = stamp_s, 0
        return f"the hero is {chosen.words}"

    def _cut_out(
        self, candidate: Candidate, looks: dict[int, Appearance], image_rgb: NDArray[np.uint8], stamp_s: float
    ) -> Candidate:
        """The part of a blob that is the hero, if the whole is larger and less like the hero; else the whole.

        Never much less than the whole: a hero learnt from the legs alone would seem far away, and the drone would
        come too near.
        """
        track, box = self._track, candidate.box
        if track is None or self._model is None or self._learning_since_s is not None:
            return candidate
        x_px, y_px = track.predicted(stamp_s)
        height_px = track.height_at(below_horizon(candidate, self._horizon_px))
        width_px = BREADTH * height_px
        reaches = box.left_px - width_px < x_px < box.right_px + width_px and box.top_px < y_px < box.bottom_px
        is_larger = candidate.width_px > width_px or candidate.height_px > LARGER * height_px
        if not (reaches and is_larger):
            return candidate
        best, found = candidate, self._model.likeness(looks[candidate.number]) + MARGIN_PART
        for feet_px in (float(box.bottom_px), min(float(box.bottom_px), y_px + height_px / 2)):
            for offset in PART_OFFSETS:
                x = x_px + offset * height_px
                part = candidate.part(x - width_px / 2, feet_px - height_px, x + width_px / 2, feet_px)
                if part is None or part.height_px < max(height_px / 2, MIN_PART * candidate.height_px):
                    continue
                look = appearance_of(image_rgb[part.window], part.mask)
                if (likeness := self._model.likeness(look)) > found:
                    best, found, looks[candidate.number] = part, likeness, look
        return best

    def _find(
        self, candidates: Sequence[Candidate], looks: dict[int, Appearance], stamp_s: float
    ) -> tuple[Candidate | None, str]:
        """The hero, or None and the doubt, which is empty if the hero is not visible."""
        if self._model is None:
            return None, NOBODY_CHOSEN
        likeness = self._likeness = {number: self._model.likeness(look) for number, look in looks.items()}
        if self._track is not None and stamp_s - self._track.stamp_s > PLACE_S:
            self._track, self._beside = None, set()
        if self._track is None:
            return self._recognised(candidates, likeness, stamp_s)
        hero, doubt = self._followed(self._track, candidates, likeness, stamp_s)
        if hero is not None:
            feet_px = below_horizon(hero, self._horizon_px)
            learns = self._learning_since_s is not None
            looks_usual = learns or likeness[hero.number] > self._usual - UNUSUAL
            self._track = self._track.moved_to(hero, stamp_s, feet_px, looks_usual)
        return hero, doubt

    def _followed(
        self, track: Track, candidates: Sequence[Candidate], likeness: dict[int, float], stamp_s: float
    ) -> tuple[Candidate | None, str]:
        """The hero near the predicted place."""
        away = {each.number: track.distance(each, stamp_s) for each in candidates}
        here = [each for each in candidates if away[each.number] < GATE]
        here.sort(key=lambda each: PLACE * away[each.number] - likeness[each.number])
        if not here:
            return None, ""
        hero = here[0]
        found = likeness[hero.number]
        is_same = hero.number == track.number
        if found < self._usual - (KEEP if is_same else MATCH) and not (is_same and self._learning_since_s is not None):
            return None, ""
        self._count_alike(hero, candidates, likeness)
        vanished = self._beside - {each.number for each in candidates if each is not hero}
        self._beside = {each.number for each in here[1:] if self._is_alike(each.number)}
        if vanished:
            return self._contested(f"person {min(vanished)}, who looks like the hero, vanished beside the hero")
        for other in here[1:]:
            behind = found - likeness[other.number] + PLACE * (away[other.number] - away[hero.number])
            if behind < MARGIN:
                doubt = f"people {hero.number} and {other.number} look alike and are too near each other"
                return self._contested(doubt) if self._is_alike(other.number) else (None, doubt)
        others = [each for each in candidates if each not in here and likeness[each.number] > found + MARGIN]
        if others:
            place, look = hero.number, others[0].number
            return None, f"person {place} is where the hero must be, and person {look} looks more like the hero"
        return hero, ""

    def _count_alike(self, hero: Candidate, candidates: Sequence[Candidate], likeness: dict[int, float]) -> None:
        """Count similar people; a person who touches the hero may have pixels of the hero, and does not count."""
        for each in candidates:
            if each is not hero and not _touch(each, hero):
                self._remember_rival(likeness[each.number])
                if likeness[each.number] > likeness[hero.number] - MARGIN:
                    self._alike_frames[each.number] = self._alike_frames.get(each.number, 0) + 1
                else:
                    self._alike_frames.pop(each.number, None)

    def _is_alike(self, number: int) -> bool:
        return self._alike_frames.get(number, 0) >= ALIKE_FRAMES

    def _contested(self, doubt: str) -> tuple[None, str]:
        """Nobody is the hero, and from now on appearance alone is not enough: the user must point."""
        self._track, self._rival = None, 1.0
        return None, doubt

    def _recognised(
        self, candidates: Sequence[Candidate], likeness: dict[int, float], stamp_s: float
    ) -> tuple[Candidate | None, str]:
        """The lost hero, recognised by appearance alone."""
        ranked = sorted(candidates, key=lambda each: -likeness[each.number])
        if not ranked or likeness[ranked[0].number] < self._usual - ALONE:
            self._streak = None
            return None, ""
        best = ranked[0]
        found = likeness[best.number]
        if len(ranked) > 1 and (second := likeness[ranked[1].number]) > found - MARGIN_ALONE:
            if not _touch(best, ranked[1]):
                self._remember_rival(second)
            self._streak = None
            return None, f"people {best.number} and {ranked[1].number} both look like the hero"
        if self._rival > found - MARGIN_RIVAL:
            self._streak = None
            return None, f"person {best.number} looks like the hero, and so does a person seen before"
        if self._streak is None or self._streak[0] != best.number:
            self._streak = (best.number, stamp_s)
        if stamp_s - self._streak[1] < CONFIRM_S:
            return None, ""
        self._track, self._streak = tracked(best, stamp_s, self._horizon_px), None
        return best, ""

    def _question(self, hero: Candidate | None, doubt: str, stamp_s: float) -> str:
        """The question to the user: a doubt that has lasted, with its first reason; empty if there is none."""
        if self._model is None:
            return doubt
        if hero is not None or (self._doubt and stamp_s - self._doubt.last_s > ASK_S):
            self._doubt = None
        if doubt:
            first = self._doubt or Doubt(doubt, stamp_s, stamp_s)
            self._doubt = replace(first, last_s=stamp_s)
        lasting = self._doubt and self._doubt.last_s - self._doubt.first_s >= ASK_S
        return f"{self._doubt.reason}; point at the hero" if self._doubt and lasting else ""

    def _remember_rival(self, likeness: float) -> None:
        """Remember the likeness of the other person who is most like the hero; a single frame counts little."""
        self._rival += max(0.0, RIVAL_SHARE * (likeness - self._rival))

    def _learn(self, look: Appearance | None, stamp_s: float) -> Appearance | None:
        """Learn the hero's appearance, or adapt it to the light; it is returned once, when it is complete."""
        if look is not None and self._model is not None:
            if self._learning_since_s is not None:
                self._learnt_frames += 1
                self._model = self._model.mixed(look, 1.0 / self._learnt_frames)
            elif self._model.likeness(look) >= self._usual - MATCH:
                dt_s = min(max(stamp_s - self._stamp_s, 0.0), 1.0)
                self._model = self._model.mixed(look, 1.0 - math.exp(-dt_s / ADAPT_S))
        since_s = self._learning_since_s
        if since_s is None or stamp_s - since_s < LEARN_S or self._learnt_frames < MIN_LEARNT:
            return None
        self._learning_since_s = None
        return self._model


def _covers(candidate: Candidate, x_px: float, y_px: float) -> bool:
    """Whether the point is on one of the candidate's pixels."""
    x, y = x_px - candidate.box.left_px, y_px - candidate.box.top_px
    inside = -0.5 <= x < candidate.width_px - 0.5 and -0.5 <= y < candidate.height_px - 0.5
    return inside and bool(candidate.mask[round(y), round(x)])


def _shows_one_whole(hero: Candidate, candidates: Sequence[Candidate], image_height_px: int) -> bool:
    """Whether neither the image, at head or feet, nor another person cuts off the hero's box."""
    is_cut = hero.is_part or hero.box.top_px <= 0 or hero.box.bottom_px >= image_height_px
    return not is_cut and not any(_touch(each, hero) for each in candidates if each is not hero)


def is_fragment(candidate: Candidate, hero: Candidate) -> bool:
    """Whether a small blob beside the hero may be a piece of the hero."""
    return candidate.height_px < hero.height_px / 2 and _touch(candidate, hero)


def _touch(first: Candidate, second: Candidate) -> bool:
    """Whether two boxes overlap or are neighbours."""
    a, b = first.box, second.box
    return a.left_px <= b.right_px and b.left_px <= a.right_px and a.top_px <= b.bottom_px and b.top_px <= a.bottom_px
