"""How people walk: the hero along a route, the crowd to random goals.

People keep apart by a repulsion that grows as they come nearer (Helbing and Molnar, "Social force model for
pedestrian dynamics", 1995), walk round buildings and plants, and step aside for the hero and for the drone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_follow.simulation.people import RUN_FROM_M_S, RUN_STRIDE_M, WALK_STRIDE_M
from fcn_follow.simulation.town import Town

ACCELERATION_M_S2 = 3.5
TURN_RATE_RAD_S = 4.0
SIT_DOWN_S = 1.2
_ARRIVED_M = 0.35
_PERSONAL_M, _HERO_SPACE_M, _DRONE_SPACE_M = 0.9, 1.6, 5.0
_LANE_M, _LANE_AHEAD_S = 3.0, 2.5
_REPULSION_M_S = 3.0
_DRONE_RESPECT = 2.0


@dataclass(frozen=True)
class Leg:
    """A walk to a position at a speed, and then some time of standing or sitting."""

    to_m: tuple[float, float]
    speed_m_s: float = 1.4
    then_stand_s: float = 0.0
    sits: bool = False


@dataclass
class Walker:
    """One person: position, heading, speed, phase of the stride, and seated, from 0 (on foot) to 1."""

    x_m: float
    y_m: float
    heading_rad: float
    speed_m_s: float = 0.0
    phase_rad: float = 0.0
    seated: float = 0.0

    def walk(self, towards_rad: float, speed_m_s: float, dt_s: float) -> None:
        """Turn and accelerate within the limits of a person, and advance by dt_s."""
        turn = math.remainder(towards_rad - self.heading_rad, math.tau)
        if speed_m_s > 0.05:
            self.heading_rad += max(-TURN_RATE_RAD_S * dt_s, min(TURN_RATE_RAD_S * dt_s, turn))
            speed_m_s *= max(0.3, math.cos(turn / 2) ** 2)
        change = max(-ACCELERATION_M_S2 * dt_s, min(ACCELERATION_M_S2 * dt_s, speed_m_s - self.speed_m_s))
        self.speed_m_s += change
        self.x_m += self.speed_m_s * math.cos(self.heading_rad) * dt_s
        self.y_m += self.speed_m_s * math.sin(self.heading_rad) * dt_s
        stride_m = RUN_STRIDE_M if self.speed_m_s >= RUN_FROM_M_S else WALK_STRIDE_M
        self.phase_rad = (self.phase_rad + 2 * math.pi * self.speed_m_s / stride_m * dt_s) % (2 * math.pi)


class Route:
    """The hero's legs, one after the other; after the last the hero stands."""

    def __init__(self, start_m: tuple[float, float], legs: Sequence[Leg]) -> None:
        x, y = legs[0].to_m
        self.walker = Walker(*start_m, math.atan2(y - start_m[1], x - start_m[0]))
        self._legs = list(legs)
        self._stand_s = 0.0
        self._sits = False

    def step(self, dt_s: float) -> None:
        walker = self.walker
        down = self._sits and self._stand_s > 0 and abs(walker.speed_m_s) < 0.01
        walker.seated = min(1.0, max(0.0, walker.seated + (dt_s if down else -dt_s) / SIT_DOWN_S))
        if self._stand_s > 0 or walker.seated > 0 or not self._legs:
            self._stand_s -= dt_s
            walker.walk(walker.heading_rad, 0.0, dt_s)
            return
        leg = self._legs[0]
        dx, dy = leg.to_m[0] - walker.x_m, leg.to_m[1] - walker.y_m
        distance = math.hypot(dx, dy)
        stops = leg.then_stand_s > 0 or len(self._legs) == 1
        speed = min(leg.speed_m_s, math.sqrt(2 * ACCELERATION_M_S2 * distance)) if stops else leg.speed_m_s
        walker.walk(math.atan2(dy, dx), speed, dt_s)
        if distance < max(_ARRIVED_M, 0.25 * walker.speed_m_s if not stops else 0.0):
            self._stand_s, self._sits = leg.then_stand_s, leg.sits
            self._legs.pop(0)


class Crowd:
    """Other people, who walk to random goals in a region, sometimes stand, and step aside."""

    def __init__(
        self,
        rng: np.random.Generator,
        town: Town,
        count: int,
        region_m: tuple[float, float, float, float],
        keep_clear_m: Sequence[tuple[float, float]],
    ) -> None:
        """`region_m` is west, south, east, north; nobody starts within 4 m of the positions `keep_clear_m`."""
        self._rng, self._town, self._region = rng, town, region_m
        self.walkers = []
        for _ in range(count):
            place = self._free_place(keep_clear_m, 4.0)
            self.walkers.append(Walker(*place, float(rng.uniform(-np.pi, np.pi)), 0.0, float(rng.uniform(0, 6.28))))
        self._goals = [self._free_place((), 0.0) for _ in self.walkers]
        running = rng.random(count) < 0.12
        self._speeds = np.where(running, rng.uniform(2.6, 3.4, count), rng.uniform(0.9, 1.7, count))
        self._stand_s = np.where(rng.random(count) < 0.3, rng.uniform(2.0, 15.0, count), 0.0)

    def step(
        self, dt_s: float, hero_m: tuple[float, float], drone_m: NDArray[np.float64], drone_m_s: NDArray[np.float64]
    ) -> None:
        """Advance everybody by dt_s; `drone_m` and `drone_m_s` are horizontal, each (2,)."""
        if not self.walkers:
            return
        places = np.array([(w.x_m, w.y_m) for w in self.walkers])
        push = _repulsion(places[:, None], places[None], _PERSONAL_M).sum(1)
        push += _repulsion(places, np.array(hero_m), _HERO_SPACE_M)
        push += _DRONE_RESPECT * _repulsion(places, drone_m, _DRONE_SPACE_M)
        push += _DRONE_RESPECT * _out_of_the_way(places, drone_m, drone_m_s)
        for index, walker in enumerate(self.walkers):
            self._step_one(index, walker, push[index], dt_s)

    def _step_one(self, index: int, walker: Walker, push: NDArray[np.float64], dt_s: float) -> None:
        goal = self._goals[index]
        to_goal = np.array([goal[0] - walker.x_m, goal[1] - walker.y_m])
        distance = float(np.hypot(*to_goal))
        self._stand_s[index] -= dt_s
        standing = self._stand_s[index] > 0
        if distance < 1.0 and not standing:
            self._goals[index] = self._free_place((), 0.0)
            if self._rng.random() < 0.4:
                self._stand_s[index] = self._rng.uniform(2.0, 10.0)
        wanted = push if standing else push + to_goal / max(distance, 0.1) * self._speeds[index]
        speed = min(float(np.hypot(*wanted)), 3.5)
        if speed < 0.15:
            walker.walk(walker.heading_rad, 0.0, dt_s)
            return
        towards = self._around_obstacles(walker, math.atan2(wanted[1], wanted[0]))
        walker.walk(towards, speed, dt_s)

    def _around_obstacles(self, walker: Walker, towards_rad: float) -> float:
        """The free direction that is nearest to the wanted one."""
        for turn in (0.0, 0.5, -0.5, 1.0, -1.0, 1.7, -1.7, 2.6):
            angle = towards_rad + turn
            ahead = (walker.x_m + 1.2 * math.cos(angle), walker.y_m + 1.2 * math.sin(angle))
            if not self._town.blocked(*ahead, 0.35):
                return angle
        return towards_rad + math.pi

    def _free_place(self, clear_of_m: Sequence[tuple[float, float]], margin_m: float) -> tuple[float, float]:
        west, south, east, north = self._region
        for _ in range(200):
            x, y = float(self._rng.uniform(west, east)), float(self._rng.uniform(south, north))
            if self._town.blocked(x, y, 0.8) or any(math.hypot(x - cx, y - cy) < margin_m for cx, cy in clear_of_m):
                continue
            return (x, y)
        return ((west + east) / 2, (south + north) / 2)


def _repulsion(places: NDArray[np.float64], others: NDArray[np.float64], space_m: float) -> NDArray[np.float64]:
    """Velocities away from `others` (broadcast), from _REPULSION_M_S at contact to 0 at `space_m`."""
    away = places - others
    distance = np.linalg.norm(away, axis=-1, keepdims=True)
    strength = np.where(distance > 1e-6, _REPULSION_M_S * np.clip(1 - distance / space_m, 0, None), 0.0)
    velocity: NDArray[np.float64] = away / np.maximum(distance, 1e-6) * strength
    return velocity


def _out_of_the_way(
    places: NDArray[np.float64], mover_m: NDArray[np.float64], mover_m_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Velocities sideways out of the path of a moving object in the next seconds."""
    speed = float(np.hypot(*mover_m_s))
    if speed < 0.3:
        return np.zeros_like(places)
    along = mover_m_s / speed
    offset = places - mover_m
    ahead = offset @ along
    aside = offset @ np.array([-along[1], along[0]])
    share = np.clip(1 - np.abs(aside) / _LANE_M, 0, None) * (ahead > -1.0) * (ahead < 1.5 + _LANE_AHEAD_S * speed)
    sideways = np.where(aside >= 0, 1.0, -1.0) * share * _REPULSION_M_S
    velocity: NDArray[np.float64] = sideways[:, None] * np.array([-along[1], along[0]])
    return velocity
