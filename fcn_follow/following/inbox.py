"""The observations since the last step, and the refusal of those that are implausible or have a wrong stamp."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fcn_follow.following.monitors import Refusals
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.plausibility import implausible_position, no_place, obstacle_place, wrong_stamp
from fcn_follow.following.reasons import Reason, Refusal
from fcn_follow.geometry import HeroPosition, Vector3, VehicleState, VelocityCommand

MAX_WAITING = 64
MAX_PEOPLE = 64
"""Of a frame: the nearest are in the way before the others."""


@dataclass
class Counters:
    """How many observations were not used since the start, by cause; the estimator counts the other outcomes."""

    implausible: int = 0
    mistimed: int = 0
    without_pose: int = 0
    clock_jumps: int = 0
    odom_refused: int = 0
    odom_jumps: int = 0


class Inbox:
    """Observations in queues by kind; each take_* empties one and gives those that are accepted. Stamps are in s.

    people holds a stamp and the positions of everybody but the hero in the camera's optical frame (m); frames holds the
    stamps of frames with and without a hero.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self.heroes: deque[HeroPosition] = deque(maxlen=MAX_WAITING)
        self.people: deque[tuple[float, tuple[Vector3, ...]]] = deque(maxlen=MAX_WAITING)
        self.frames: deque[float] = deque(maxlen=MAX_WAITING)
        self.vehicles: deque[VehicleState] = deque(maxlen=MAX_WAITING)
        self._stick: VelocityCommand | None = None
        self.forget_refusals()

    def clear(self) -> None:
        """Drop everything but odometry."""
        self.heroes.clear()
        self.people.clear()
        self.frames.clear()
        self._stick = None

    def forget_refusals(self) -> None:
        """Forget the refusals, and when people and heroes arrived."""
        self._people_s = self._hero_s = self._hero_before_s = -math.inf
        self._refused_heroes, self._refused_frames = Refusals(), Refusals()
        self._mistimed_people, self._misplaced_people = Refusals(), Refusals()

    def set_stick(self, speeds: VelocityCommand) -> None:
        """Keep the newest stick input; one that is not finite is refused."""
        if all(map(math.isfinite, (speeds.forward_m_s, speeds.left_m_s, speeds.up_m_s))):
            self._stick = speeds
        else:
            self.counters.implausible += 1

    def take_stick(self) -> VelocityCommand | None:
        """The stick input since the last call, None without any."""
        stick, self._stick = self._stick, None
        return stick

    def take_vehicles(self) -> Iterator[VehicleState]:
        """The odometry values, oldest first; `Odometry` judges them."""
        while self.vehicles:
            yield self.vehicles.popleft()

    def take_people(self, now_s: float, timeouts: Timeouts) -> Iterator[tuple[float, list[Vector3]]]:
        """The stamp of each frame and where the nearest people are in the way, even at implausible places."""
        while self.people:
            stamp_s, positions = self.people.popleft()
            if wrong := wrong_stamp(stamp_s, now_s, timeouts.frame_s, timeouts):
                self.counters.mistimed += 1
                self._mistimed_people.refuse(Refusal.PEOPLE.with_figures(wrong), now_s)
                continue
            self._people_s = max(self._people_s, stamp_s)
            self._mistimed_people.accept()
            self._misplaced_people.accept()
            places = []
            for position in positions:
                if nowhere := no_place(position):
                    self.counters.implausible += 1
                    self._misplaced_people.refuse(nowhere, now_s)
                else:
                    places.append(obstacle_place(position))
            yield stamp_s, heapq.nsmallest(MAX_PEOPLE, places, key=lambda place: math.hypot(*place))

    def take_frames(self, now_s: float, timeouts: Timeouts) -> Iterator[float]:
        """The stamps of the frames."""
        while self.frames:
            stamp_s = self.frames.popleft()
            if wrong := wrong_stamp(stamp_s, now_s, timeouts.camera_s, timeouts):
                self._refused_frames.refuse(Refusal.FRAMES.with_figures(wrong), now_s)
            else:
                self._refused_frames.accept()
                yield stamp_s

    def take_heroes(self, now_s: float, timeouts: Timeouts) -> list[tuple[HeroPosition, bool]]:
        """Where heroes are in the way, oldest stamp first, and whether each position is plausible."""
        heroes = []
        for hero in self.heroes:
            position_m = hero.position_camera_m
            implausible = implausible_position(position_m)
            wrong = wrong_stamp(hero.stamp_s, now_s, timeouts.frame_s, timeouts)
            if implausible:
                self.counters.implausible += 1
                self._refused_heroes.refuse(implausible, now_s)
            elif wrong:
                self.counters.mistimed += 1
                self._refused_heroes.refuse(Refusal.HERO_POSITIONS.with_figures(wrong), now_s)
            else:
                if hero.stamp_s > self._hero_s:
                    self._hero_before_s, self._hero_s = self._hero_s, hero.stamp_s
                self._refused_heroes.accept()
            if not (wrong or no_place(position_m)):
                heroes.append((replace(hero, position_camera_m=obstacle_place(position_m)), not implausible))
        self.heroes.clear()
        return sorted(heroes, key=lambda each: each[0].stamp_s)

    def people_fault(self, now_s: float, timeouts: Timeouts) -> str:
        """Why the people in the way are unknown; a late message among good ones is no fault: the guard remembers.

        Once people were received, every frame that shows the hero must report them too; the newest may still arrive.
        """
        if refused := self._misplaced_people.reason(now_s) or self._mistimed_people.reason(now_s, timeouts.tracking_s):
            return Reason.PEOPLE_REFUSED.with_figures(refused)
        are_missing = self._people_s > -math.inf and self._hero_before_s - self._people_s > timeouts.frame_s
        return Reason.PEOPLE_MISSING if are_missing else ""

    def refusal(self, now_s: float) -> str:
        """Why frames or hero positions are being refused, else empty."""
        return self._refused_frames.reason(now_s) or self._refused_heroes.reason(now_s)
