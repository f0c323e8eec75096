"""The five states and the one table that leads from each to the next.

The first row that fits decides, at every step. Only a hero that is seen leads out of holding and idle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fcn_follow.following.parameters import Timeouts


class State(str, Enum):
    """What the follower is about."""

    IDLE = "idle"
    TRACKING = "tracking"
    COASTING = "coasting"
    SEARCHING = "searching"
    HOLDING = "holding"


@dataclass(frozen=True)
class Situation:
    """What decides: ages are by the stamps of images, infinite where there was none."""

    enabled: bool
    fault: str
    frame_age_s: float
    hero_age_s: float


@dataclass(frozen=True)
class Transition:
    """From any of `sources`, when `applies`, to `target`, because of `reason`."""

    sources: tuple[State, ...]
    applies: Callable[[Situation, Timeouts], bool]
    target: State
    reason: str


ANY = tuple(State)
SEEN = (State.TRACKING, State.COASTING)
FOLLOWING = (*SEEN, State.SEARCHING)
SEARCH_ENDED = "the search has ended"
WAITING = "waiting for the hero"
NO_FRAMES, NOT_SEEN, LOST = "no frames", "hero not seen", "hero lost"
FOR_WANT_OF_INPUT = (WAITING, NO_FRAMES, NOT_SEEN, LOST)

TRANSITIONS = (
    Transition(ANY, lambda now, _: not now.enabled, State.IDLE, "disabled"),
    Transition(ANY, lambda now, _: bool(now.fault), State.HOLDING, "fault"),
    Transition(FOLLOWING, lambda now, limit: now.frame_age_s > limit.camera_s, State.HOLDING, NO_FRAMES),
    Transition(ANY, lambda now, limit: now.hero_age_s <= limit.tracking_s, State.TRACKING, "hero seen"),
    Transition(SEEN, lambda now, limit: now.hero_age_s <= limit.coast_s, State.COASTING, NOT_SEEN),
    Transition(FOLLOWING, lambda now, limit: now.hero_age_s <= limit.search_s, State.SEARCHING, LOST),
    Transition(FOLLOWING, lambda now, limit: now.hero_age_s < math.inf, State.HOLDING, SEARCH_ENDED),
    Transition((*FOLLOWING, State.IDLE), lambda now, limit: True, State.HOLDING, WAITING),
)


def next_state(state: State, reason: str, now: Situation, timeouts: Timeouts) -> tuple[State, str]:
    """The state after `state` and why; holding goes on, with its reason, where no row fits."""
    for row in TRANSITIONS:
        if state in row.sources and row.applies(now, timeouts):
            return row.target, now.fault or row.reason if row.reason == "fault" else row.reason
    return State.HOLDING, reason if reason in (SEARCH_ENDED, NO_FRAMES) else WAITING
