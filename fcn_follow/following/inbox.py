"""The observations since the last step, and the refusal of those that are implausible or have a wrong stamp."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcn_follow.following.monitors import Refusals
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.plausibility import implausible_position, wrong_stamp
from fcn_follow.following.reasons import Refusal
from fcn_follow.geometry import HeroPosition, Vector3, VehicleState, VelocityCommand

MAX_WAITING = 64


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
    """Collects observations; each take_* empties one kind and returns those that are accepted. Stamps are in s."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._heroes: deque[HeroPosition] = deque(maxlen=MAX_WAITING)
        self._people: deque[tuple[float, tuple[Vector3, ...]]] = deque(maxlen=MAX_WAITING)
        self._frames: deque[float] = deque(maxlen=MAX_WAITING)
        self._vehicles: deque[VehicleState] = deque(maxlen=MAX_WAITING)
        self._stick: VelocityCommand | None = None
        self.forget_refusals()

    def clear(self) -> None:
        """Drop everything but odometry."""
        self._heroes.clear()
        self._people.clear()
        self._frames.clear()
        self._stick = None

    def clear_vehicles(self) -> None:
        """Drop odometry."""
        self._vehicles.clear()

    def forget_refusals(self) -> None:
        """Forget what was refused."""
        self._refused_heroes, self._refused_frames = Refusals(), Refusals()

    def add_hero(self, hero: HeroPosition) -> None:
        """Add a hero position."""
        self._heroes.append(hero)

    def add_people(self, stamp_s: float, positions_camera_m: Sequence[Vector3]) -> None:
        """Add the positions of everybody but the hero in a frame."""
        self._people.append((stamp_s, tuple(positions_camera_m)))

    def add_frame(self, stamp_s: float) -> None:
        """Add a frame, with or without a hero."""
        self._frames.append(stamp_s)

    def add_vehicle(self, vehicle: VehicleState) -> None:
        """Add an odometry value."""
        self._vehicles.append(vehicle)

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
        while self._vehicles:
            yield self._vehicles.popleft()

    def take_people(self, now_s: float, timeouts: Timeouts) -> Iterator[tuple[float, list[Vector3]]]:
        """The stamp and the plausible positions of each frame."""
        while self._people:
            stamp_s, positions = self._people.popleft()
            if wrong_stamp(stamp_s, now_s, timeouts.frame_s, timeouts):
                self.counters.mistimed += 1
                continue
            plausible = [position for position in positions if not implausible_position(position)]
            self.counters.implausible += len(positions) - len(plausible)
            yield stamp_s, plausible

    def take_frames(self, now_s: float, timeouts: Timeouts) -> Iterator[float]:
        """The stamps of the frames."""
        while self._frames:
            stamp_s = self._frames.popleft()
            if wrong := wrong_stamp(stamp_s, now_s, timeouts.camera_s, timeouts):
                self._refused_frames.refuse(Refusal.FRAMES.with_figures(wrong), now_s)
            else:
                self._refused_frames.accept()
                yield stamp_s

    def take_heroes(self, now_s: float, timeouts: Timeouts) -> list[HeroPosition]:
        """The hero positions, oldest stamp first."""
        usable = [hero for hero in self._heroes if self._is_usable(hero, now_s, timeouts)]
        self._heroes.clear()
        return sorted(usable, key=lambda hero: hero.stamp_s)

    def refusal(self, now_s: float) -> str:
        """Why frames or hero positions are being refused, else empty."""
        return self._refused_frames.reason(now_s) or self._refused_heroes.reason(now_s)

    def _is_usable(self, hero: HeroPosition, now_s: float, timeouts: Timeouts) -> bool:
        if implausible := implausible_position(hero.position_camera_m):
            self.counters.implausible += 1
            self._refused_heroes.refuse(implausible, now_s)
        elif wrong := wrong_stamp(hero.stamp_s, now_s, timeouts.frame_s, timeouts):
            self.counters.mistimed += 1
            self._refused_heroes.refuse(Refusal.HERO_POSITIONS.with_figures(wrong), now_s)
        else:
            self._refused_heroes.accept()
            return True
        return False
