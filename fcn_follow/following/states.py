"""The follower's five states and the table of transitions between them.

At every step the first row that applies decides. Only a visible hero ends holding or idle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.reasons import Reason


class State(str, Enum):
    """What the follower does."""

    IDLE = "idle"
    TRACKING = "tracking"
    COASTING = "coasting"
    SEARCHING = "searching"
    HOLDING = "holding"


@dataclass(frozen=True)
class Situation:
    """The input of a transition. Ages are by image stamps, infinite before the first image; fault is "" for none."""

    enabled: bool
    fault: str
    frame_age_s: float
    hero_age_s: float


@dataclass(frozen=True)
class Transition:
    """A row of the table: from any of `sources` to `target` if `applies`. Without a reason, the fault is the reason."""

    sources: tuple[State, ...]
    applies: Callable[[Situation, Timeouts], bool]
    target: State
    reason: Reason | None


ANY = tuple(State)
HERO_KNOWN = (State.TRACKING, State.COASTING)
MOVING = (*HERO_KNOWN, State.SEARCHING)

TRANSITIONS = (
    Transition(ANY, lambda now, _: not now.enabled, State.IDLE, Reason.DISABLED),
    Transition(ANY, lambda now, _: bool(now.fault), State.HOLDING, None),
    Transition(MOVING, lambda now, limit: now.frame_age_s > limit.camera_s, State.HOLDING, Reason.NO_FRAMES),
    Transition(ANY, lambda now, limit: now.hero_age_s <= limit.tracking_s, State.TRACKING, Reason.HERO_SEEN),
    Transition(HERO_KNOWN, lambda now, limit: now.hero_age_s <= limit.coast_s, State.COASTING, Reason.HERO_NOT_SEEN),
    Transition(MOVING, lambda now, limit: now.hero_age_s <= limit.search_s, State.SEARCHING, Reason.HERO_LOST),
    Transition(MOVING, lambda now, _: now.hero_age_s < math.inf, State.HOLDING, Reason.SEARCH_ENDED),
    Transition((*MOVING, State.IDLE), lambda *_: True, State.HOLDING, Reason.WAITING),
)


def next_state(state: State, reason: str, now: Situation, timeouts: Timeouts) -> tuple[State, str]:
    """The state after `state`, and its reason; without a row that applies, holding continues."""
    for row in TRANSITIONS:
        if state in row.sources and row.applies(now, timeouts):
            return row.target, row.reason or now.fault
    return State.HOLDING, reason if reason in (Reason.SEARCH_ENDED, Reason.NO_FRAMES) else Reason.WAITING
