"""Faults of odometry, camera, link and processes, between the simulator and the follower.

Each kind of fault changes one kind of message for some time. `KINDS` says how a fault is drawn and what the follower
must report.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fcn_follow.coordinates import quaternion_xyzw, roll_pitch_yaw, rotated
from fcn_follow.geometry import HeroPosition, Vector3, VehicleState

SECOND_PUBLISHER_OFFSET_M = 12.0
DRIFT_M_S = 4.0


@dataclass(frozen=True)
class Seen:
    """What the segmenter publishes about a frame: its stamp, and the positions of the hero and other people in m."""

    stamp_s: float
    hero_camera_m: Vector3 | None
    people_camera_m: tuple[Vector3, ...] = ()

    @property
    def hero(self) -> HeroPosition | None:
        return None if self.hero_camera_m is None else HeroPosition(self.stamp_s, self.hero_camera_m)


@dataclass(frozen=True)
class Fault:
    """A fault from begin_s to end_s; the kind decides the meaning of direction (rad) and size (m, rad or s)."""

    kind: str
    begin_s: float
    end_s: float
    direction_rad: float
    size: float

    def holds(self, now_s: float) -> bool:
        """Whether it is active now."""
        return self.begin_s <= now_s < self.end_s


@dataclass(frozen=True)
class Kind:
    """How a kind of fault is drawn and reported.

    sizes and seconds are the ranges of size and duration. One of the texts of `named` must be reported; it is empty
    where the follower itself stalls. needs_motion: the fault can be noticed only while the drone is commanded to move;
    needs_disobedience: only while its motion differs from the command; needs_hero: only while a picture shows the hero.
    """

    named: tuple[str, ...]
    sizes: tuple[float, float] = (0.0, 0.0)
    seconds: tuple[float, float] = (2.0, 5.0)
    needs_motion: bool = False
    needs_disobedience: bool = False
    needs_hero: bool = False


REFUSED, JUMPED, BLIND = "odometry is refused", "jumped", "refused: "
EARLIEST_S = 5.0  # begin of a fault
REPORTED_BY_ODOMETRY_CHECKS = (
    "odometry",
    "the drone does not do what is commanded",
    "the drone flies in another direction",
    "the drone lags",
)
KINDS = {
    "odom_jump": Kind((JUMPED,), (3.0, 50.0)),
    "odom_yaw_jump": Kind((JUMPED,), (0.6, 3.1)),
    "odom_second_publisher": Kind((JUMPED,)),
    "odom_not_finite": Kind((REFUSED,)),
    "odom_huge_position": Kind((REFUSED,)),
    "odom_huge_speed": Kind((REFUSED,)),
    "odom_no_covariance_left": Kind((REFUSED,)),
    "odom_stale": Kind(("odometry is stale",)),
    "odom_old_stamps": Kind((REFUSED,), (1.0, 30.0)),
    "odom_zero_stamps": Kind((REFUSED,)),
    "odom_frozen": Kind(REPORTED_BY_ODOMETRY_CHECKS, needs_motion=True),
    "odom_drifts": Kind(REPORTED_BY_ODOMETRY_CHECKS),
    "odom_wrong_axes": Kind(REPORTED_BY_ODOMETRY_CHECKS, (1.0, 3.0), needs_motion=True),
    "picture_frozen": Kind(("frozen", "no frames", "hero not seen"), needs_motion=True),
    "no_frames": Kind(("no frames", "hero not seen")),
    "frames_late": Kind((BLIND, "no frames", "hero not seen"), (2.0, 30.0)),
    "frames_early": Kind((BLIND, "no frames", "hero not seen"), (0.5, 30.0)),
    "hero_not_finite": Kind((BLIND, "hero not seen"), needs_hero=True),
    "hero_behind_camera": Kind((BLIND, "hero not seen"), needs_hero=True),
    "hero_at_the_lens": Kind((BLIND, "hero not seen"), needs_hero=True),
    "hero_hidden": Kind(("hero not seen",), needs_hero=True),
    "hero_elsewhere": Kind(("starting anew", "hero not seen"), (15.0, 60.0), needs_hero=True),
    "link_cut": Kind(REPORTED_BY_ODOMETRY_CHECKS, needs_disobedience=True),
    "follower_stalls": Kind((), (0.3, 0.9), (1.0, 1.0)),
    "follower_restarts": Kind(("waiting for the hero",), (0.0, 0.0), (0.02, 0.02)),
}


class Injector:
    """Passes on the simulator's output, changed by the active faults; without faults it changes nothing."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self._frozen_odometry: VehicleState | None = None
        self._frozen_sight: Seen | None = None
        self._messages = 0

    def active(self, kind: str, now_s: float) -> Fault | None:
        """The active fault of that kind, if any."""
        return next((fault for fault in self.faults if fault.kind == kind and fault.holds(now_s)), None)

    def seen(self, now_s: float, sight: Seen) -> Seen | None:
        """What arrives for a frame; None if nothing arrives."""
        if self.active("no_frames", now_s):
            return None
        if self.active("picture_frozen", now_s):
            self._frozen_sight = self._frozen_sight or sight
            sight = dataclasses.replace(self._frozen_sight, stamp_s=sight.stamp_s)
        else:
            self._frozen_sight = None
        for kind, sign in (("frames_late", -1.0), ("frames_early", 1.0)):
            if fault := self.active(kind, now_s):
                sight = dataclasses.replace(sight, stamp_s=sight.stamp_s + sign * fault.size)
        if self.active("hero_hidden", now_s):
            sight = dataclasses.replace(sight, hero_camera_m=None)
        hero = sight.hero_camera_m
        if hero is None:
            return sight
        for kind, place in HERO_PLACES.items():
            if self.active(kind, now_s):
                sight = dataclasses.replace(sight, hero_camera_m=place)
        if fault := self.active("hero_elsewhere", now_s):
            x, y, z = hero
            elsewhere = (x + math.copysign(fault.size, fault.direction_rad), y, z + fault.size)
            sight = Seen(sight.stamp_s, elsewhere, (*sight.people_camera_m, hero))
        return sight

    def odometry(self, now_s: float, state: VehicleState) -> VehicleState | None:
        """The odometry that arrives; None if none arrives."""
        self._messages += 1
        if self.active("odom_stale", now_s):
            return None
        if self.active("odom_frozen", now_s):
            still = dataclasses.replace(state, velocity_odom_m_s=(0.0, 0.0, 0.0), yaw_rate_rad_s=0.0)
            self._frozen_odometry = self._frozen_odometry or still
            state = dataclasses.replace(self._frozen_odometry, stamp_s=state.stamp_s)
        else:
            self._frozen_odometry = None
        for kind, change in ODOMETRY_CHANGES.items():
            if fault := self.active(kind, now_s):
                state = change(state, fault, now_s)
        if self.active("odom_second_publisher", now_s) and self._messages % 2:
            state = _moved(state, SECOND_PUBLISHER_OFFSET_M, 0.0)
        return state

    def reaches_the_drone(self, now_s: float) -> bool:
        """Whether a command arrives at the drone."""
        return self.active("link_cut", now_s) is None

    def runs(self, now_s: float) -> bool:
        """Whether the follower computes now; a stall stops it for some time."""
        fault = self.active("follower_stalls", now_s)
        return fault is None or now_s - fault.begin_s >= fault.size

    def restarts(self, now_s: float) -> bool:
        """Whether the follower's process has just restarted."""
        return self.active("follower_restarts", now_s) is not None


def draw_faults(rng: np.random.Generator, duration_s: float) -> tuple[Fault, ...]:
    """One to three faults of different kinds, early enough to be noticed."""
    names = rng.choice(list(KINDS), size=int(rng.integers(1, 4)), replace=False)
    faults = []
    for name in names:
        kind = KINDS[str(name)]
        begin_s = round(float(rng.uniform(EARLIEST_S, duration_s - 4.0)), 2)
        length_s = round(float(rng.uniform(*kind.seconds)), 2)
        faults.append(
            Fault(
                str(name),
                begin_s,
                begin_s + length_s,
                float(rng.uniform(-np.pi, np.pi)),
                float(rng.uniform(*kind.sizes)),
            )
        )
    return tuple(sorted(faults, key=lambda fault: fault.begin_s))


def _moved(state: VehicleState, distance_m: float, direction_rad: float) -> VehicleState:
    (x, y, z), (east, north) = state.position_odom_m, rotated(distance_m, 0.0, direction_rad)
    return dataclasses.replace(state, position_odom_m=(x + east, y + north, z))


def _turned(state: VehicleState, angle_rad: float) -> VehicleState:
    roll, pitch, yaw = roll_pitch_yaw(state.orientation_odom_xyzw)
    return dataclasses.replace(state, orientation_odom_xyzw=quaternion_xyzw(roll, pitch, yaw + angle_rad))


def _with_turned_velocity(state: VehicleState, angle_rad: float) -> VehicleState:
    vx, vy, vz = state.velocity_odom_m_s
    return dataclasses.replace(state, velocity_odom_m_s=(*rotated(vx, vy, angle_rad), vz))


ODOMETRY_CHANGES: dict[str, Callable[[VehicleState, Fault, float], VehicleState]] = {
    "odom_jump": lambda state, fault, _: _moved(state, fault.size, fault.direction_rad),
    "odom_yaw_jump": lambda state, fault, _: _turned(state, fault.size),
    "odom_not_finite": lambda state, *_: dataclasses.replace(state, position_odom_m=(math.nan, 0.0, math.inf)),
    "odom_huge_position": lambda state, *_: dataclasses.replace(state, position_odom_m=(1.7e308, 0.0, 0.0)),
    "odom_huge_speed": lambda state, *_: dataclasses.replace(state, velocity_odom_m_s=(1e6, 0.0, 0.0)),
    "odom_no_covariance_left": lambda state, *_: dataclasses.replace(state, position_sigma_m=100.0),
    "odom_old_stamps": lambda state, fault, _: dataclasses.replace(state, stamp_s=state.stamp_s - fault.size),
    "odom_zero_stamps": lambda state, *_: dataclasses.replace(state, stamp_s=0.0),
    "odom_drifts": lambda state, fault, now_s: _moved(state, DRIFT_M_S * (now_s - fault.begin_s), fault.direction_rad),
    "odom_wrong_axes": lambda state, fault, _: _with_turned_velocity(state, fault.size),
}
HERO_PLACES: dict[str, Vector3] = {
    "hero_not_finite": (math.nan, 0.0, math.inf),
    "hero_behind_camera": (0.0, 0.0, -5.0),
    "hero_at_the_lens": (0.0, 0.0, 0.05),
}
