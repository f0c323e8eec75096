"""Flights in which the set points move: the set points at a time of the flight."""

from __future__ import annotations

from collections.abc import Callable

from fcn_follow.following.parameters import SetPoints

Move = Callable[[float], SetPoints]
BEGIN_S, BACK_S = 5.0, 16.0


def _orbit(now_s: float) -> SetPoints:
    return SetPoints(orbit_rad_s=0.3 if now_s >= BEGIN_S else 0.0)


def _lead(now_s: float) -> SetPoints:
    return SetPoints(bearing="front" if now_s >= BEGIN_S else "keep")


def _dolly(now_s: float) -> SetPoints:
    return SetPoints(distance_m=9.0 if BEGIN_S <= now_s < BACK_S else 5.0, dolly_m_s=0.5)


MOVES: dict[str, Move] = {"orbit": _orbit, "lead": _lead, "dolly": _dolly}
