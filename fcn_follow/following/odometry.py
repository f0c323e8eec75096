"""Odometry with plausibility checks.

Values that no drone can have are refused. A jump (the autopilot's estimator was reset, a second publisher, another
origin) and odometry that appears in flight start a new frame, and positions in the old one become void. Velocities
that contradict the positions, and a motion that contradicts the commands, are faults while they last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fcn_follow.coordinates import rotated, wrapped
from fcn_follow.following.monitors import MIN_REPETITIONS, Refusals, Repetition
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.plausibility import implausible_vehicle, wrong_stamp
from fcn_follow.following.reasons import Reason, Refusal
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose, pose_from_state
from fcn_follow.geometry import ZERO_COMMAND, VehicleState, VelocityCommand

# A jump is a motion between two messages that differs from their velocities by more than a constant and a rate.
JUMP_M, JUMP_M_S = 0.5, 4.0
MAX_DISTINCT = 8  # old positions that a driver may repeat in turn
JUMP_RAD, JUMP_RAD_S = 0.35, 2.0
STOPPING_S = 1.0  # flying on at its speed for this time covers a drone's stopping distance
SETTLING_S = 1.0  # after a jump, because a second one may follow
WINDOW_S, MIN_WINDOW_S, MIN_WINDOW_POSES = 1.0, 0.5, 3
# Two velocities agree if they differ by at most a constant and a share of the larger one.
CONTRADICTION_M_S, CONTRADICTION_RAD_S = 0.6, 0.2
DISOBEDIENCE_M_S, DISOBEDIENCE_RAD_S = 0.7, 0.8
SPEED_SHARE = 0.3
MAX_GUST_S = 1.5  # a gust may spin a drone for this long
REST_S = 3.0  # before the next try with a drone that did not obey
MOVING_M_S = 0.3
OTHER_DIRECTION_M_S = 0.5  # of both velocities, from which on their directions are compared
OTHER_DIRECTION_COS = 0.5  # below it, of the angle between them, the drone flies in another direction
MAX_OTHER_DIRECTIONS = 2  # without flying as commanded for OBEYS_S between them; a gust may be one
OBEYS_S = 0.5
GUST_MEMORY_S = 10.0  # a drone of turned axes is tried again, and counted, every 5 s


@dataclass(frozen=True)
class Jump:
    """Invalidates the hero's position; same_origin: whether other positions in odom stay valid."""

    same_origin: bool


class Odometry:
    """Takes odometry values; `fault` is why the drone must not move. Times are in s.

    last is the newest accepted pose, even from before a jump of the clock.
    """

    def __init__(self) -> None:
        self.history = VehicleHistory()
        self.refused = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything, even that odometry was received."""
        self.heard = False
        self.last: VehiclePose | None = None
        self.forgive()
        self.start_anew()

    def forgive(self) -> None:
        """Forget that the drone flew in other directions than commanded."""
        self._other_directions = 0
        self._other_direction_s = -math.inf
        self._obeys_since_s = math.inf

    def start_anew(self) -> None:
        """Forget all stamps, after a jump of the clock, but not that odometry was received, nor its `last` place."""
        self.history.clear()
        self._refusals, self._repetition = Refusals(), Repetition(MAX_DISTINCT)
        self._settled_s = -math.inf
        self._unsettled = ""
        self._disobeys_since_s = self._turns_since_s = self._should_move_since_s = math.inf
        self._rests_until_s, self._rests_for = -math.inf, ""

    @property
    def newest(self) -> VehiclePose | None:
        """The newest accepted pose."""
        return self.history.newest

    def take(self, state: VehicleState, now_s: float, timeouts: Timeouts, frame_in_use: bool) -> Jump | None:
        """Accept or refuse a value; a Jump if the frame used so far is void.

        frame_in_use: whether a hero is known, in this frame or, before the first value, in the dead-reckoned one.
        """
        appeared = not self.heard and frame_in_use
        self.heard = True
        newest = self.newest
        refusal = wrong_stamp(state.stamp_s, now_s, timeouts.odom_s, timeouts) or implausible_vehicle(state)
        if not refusal and newest is not None and state.stamp_s <= newest.stamp_s:
            refusal = Refusal.STAMP_REPEATED
        if refusal:
            self.refused += 1
            self._refusals.refuse(refusal, now_s)
            return self._void(now_s, Reason.ODOMETRY_APPEARED) if appeared else None
        last, pose = self.last, pose_from_state(state)
        self.last = pose
        self._repetition.see(pose.stamp_s, pose.position_m)
        jump = None
        if appeared:
            jump = self._void(now_s, Reason.ODOMETRY_APPEARED)
        elif newest is not None and pose.stamp_s - newest.stamp_s <= timeouts.odom_s:
            if reason := _jump(newest, pose):
                jump = self._void(now_s, reason)
        elif last is not None and (reason := _jump_in_a_pause(last, pose, timeouts.odom_s)):
            jump = self._void(now_s, reason)
        elif newest is not None:
            jump = self._void(now_s, Reason.ODOMETRY_BACK, same_origin=True)
        if jump:
            self.history.clear()
        self.history.add(pose)
        return jump

    def fault(self, now_s: float, timeouts: Timeouts) -> str:
        """Why odometry must not be used now; empty if it may be, or before the first value."""
        if not self.heard:
            return ""
        if self.newest is None or now_s - self.newest.stamp_s > timeouts.odom_s:
            refused = self._refusals.reason(now_s)
            return Reason.ODOMETRY_REFUSED.with_figures(refused) if refused else Reason.ODOMETRY_STALE
        if now_s < self._settled_s:
            return self._unsettled
        return self._contradiction(now_s)

    def disobedience(
        self, expected: VehiclePose | None, command: VelocityCommand, now_s: float, timeouts: Timeouts
    ) -> str:
        """The fault if the drone has for too long not moved as `expected`, which is dead-reckoned from the commands.

        expected is None during a `fault`, and while the follower does not move the drone: a pilot or the autopilot may
        then move it. Odometry that repeats to the last digit is a fault too, but only while the drone should move and
        is still commanded to: a drone that stops faster than expected stands still. Motion in another
        direction, try after try, is a fault until `forgive`.
        """
        pose = self.newest
        turns = moves = should_move = False
        if pose is not None and expected is not None:
            turns = abs(pose.yaw_rate_rad_s - expected.yaw_rate_rad_s) > DISOBEDIENCE_RAD_S
            moves = not turns and _velocities_differ(pose, expected)  # a spin turns the axes of the velocity
            should_move = command != ZERO_COMMAND and math.hypot(*expected.velocity_m_s) > MOVING_M_S
        self._disobeys_since_s = min(self._disobeys_since_s, now_s) if moves else math.inf
        self._turns_since_s = min(self._turns_since_s, now_s) if turns else math.inf
        self._should_move_since_s = min(self._should_move_since_s, now_s) if should_move else math.inf
        disobeys = (
            now_s - self._disobeys_since_s >= timeouts.obey_s
            or now_s - self._turns_since_s >= MAX_GUST_S + timeouts.obey_s
        )
        repetition = self._repetition
        still_s = now_s - max(repetition.begin_s, self._should_move_since_s)
        frozen = repetition.count >= MIN_REPETITIONS and still_s >= timeouts.frozen_s
        differs = _directions_differ(pose, expected) if pose and expected else None
        if self._flies_another_way(differs, disobeys and moves and now_s >= self._rests_until_s, now_s):
            return Reason.OTHER_DIRECTION
        if frozen or disobeys:
            self._rests_until_s = now_s + REST_S
            self._rests_for = Reason.ODOMETRY_FROZEN if frozen else Reason.DISOBEDIENCE
        return self._rests_for if now_s < self._rests_until_s else ""

    def _flies_another_way(self, differs: bool | None, is_tried: bool, now_s: float) -> bool:
        """Whether the drone flew in another direction in MAX_OTHER_DIRECTIONS tries; then until `forgive`.

        `differs` is None while a direction is unknown; `is_tried`: the drone has disobeyed for so long that a
        difference counts as one more try.
        """
        self._obeys_since_s = min(self._obeys_since_s, now_s) if differs is False else math.inf
        if self._other_directions >= MAX_OTHER_DIRECTIONS:
            return True
        is_gust = now_s - self._other_direction_s >= GUST_MEMORY_S
        if is_gust or now_s - self._obeys_since_s >= OBEYS_S:
            self._other_directions = 0
        if is_tried and differs:
            self._other_directions += 1
            self._other_direction_s = now_s
        return False

    def _void(self, now_s: float, reason: str, same_origin: bool = False) -> Jump:
        self._settled_s, self._unsettled = now_s + SETTLING_S, reason
        return Jump(same_origin)

    def _contradiction(self, now_s: float) -> str:
        window = self.history.since(now_s - WINDOW_S)
        if len(window) < MIN_WINDOW_POSES or (span_s := window[-1].stamp_s - window[0].stamp_s) < MIN_WINDOW_S:
            return ""
        moved = [(new - old) / span_s for new, old in zip(window[-1].position_m, window[0].position_m, strict=True)]
        reported = [0.0, 0.0, 0.0]
        turned = reported_turn = 0.0
        for before, after in pairwise(window):
            share = (after.stamp_s - before.stamp_s) / span_s
            for axis in range(3):
                reported[axis] += share * (before.velocity_m_s[axis] + after.velocity_m_s[axis]) / 2
            reported_turn += share * (before.yaw_rate_rad_s + after.yaw_rate_rad_s) / 2
            turned += wrapped(after.yaw_rad - before.yaw_rad) / span_s
        level, vertical = slice(0, 2), slice(2, 3)
        if any(_differ(moved[axes], reported[axes], CONTRADICTION_M_S) for axes in (level, vertical)):
            return Reason.ODOMETRY_VELOCITY
        if _differ([turned], [reported_turn], CONTRADICTION_RAD_S):
            return Reason.ODOMETRY_YAW_RATE
        return ""


def _jump(before: VehiclePose, after: VehiclePose) -> str:
    """Why two successive poses cannot belong to one flight, or an empty text."""
    dt_s = after.stamp_s - before.stamp_s
    means = [(a + b) / 2 for a, b in zip(before.velocity_m_s, after.velocity_m_s, strict=True)]
    expected = [place + speed * dt_s for place, speed in zip(before.position_m, means, strict=True)]
    away_m = math.dist(after.position_m, expected)
    if away_m > JUMP_M + JUMP_M_S * dt_s:
        return Reason.ODOMETRY_JUMPED.with_figures(away_m)
    rate = (before.yaw_rate_rad_s + after.yaw_rate_rad_s) / 2
    turned = abs(wrapped(after.yaw_rad - before.yaw_rad - rate * dt_s))
    if turned > JUMP_RAD + JUMP_RAD_S * dt_s:
        return Reason.ODOMETRY_YAW_JUMPED.with_figures(math.degrees(turned))
    return ""


def _jump_in_a_pause(before: VehiclePose, after: VehiclePose, odom_s: float) -> str:
    """Why the poses before and after a pause, or a jump of the clock, have different origins, or an empty text.

    After odom_s the command is zero, so the drone must be on the path on which it then stops.
    """
    velocity = np.array(before.velocity_m_s)
    moved = np.array(after.position_m) - np.array(before.position_m)
    flown_s = min(odom_s + STOPPING_S, max(0.0, float(moved @ velocity)) / max(float(velocity @ velocity), 1e-9))
    away_m = float(np.linalg.norm(moved - flown_s * velocity))
    return Reason.ODOMETRY_JUMPED.with_figures(away_m) if away_m > JUMP_M + JUMP_M_S * odom_s else ""


def _velocities_differ(pose: VehiclePose, expected: VehiclePose) -> bool:
    """Whether two velocities differ, each in the axes of its own body."""
    return _differ(_velocity_body(pose), _velocity_body(expected), DISOBEDIENCE_M_S)


def _directions_differ(pose: VehiclePose, expected: VehiclePose) -> bool | None:
    """Whether both fly in directions far apart, each in the axes of its own body; None where one hardly moves."""
    (x, y, _), (expected_x, expected_y, _) = _velocity_body(pose), _velocity_body(expected)
    speed, expected_speed = math.hypot(x, y), math.hypot(expected_x, expected_y)
    if min(speed, expected_speed) < OTHER_DIRECTION_M_S:
        return None
    return x * expected_x + y * expected_y < OTHER_DIRECTION_COS * speed * expected_speed


def _velocity_body(pose: VehiclePose) -> tuple[float, float, float]:
    vx, vy, vz = pose.velocity_m_s
    return *rotated(vx, vy, -pose.yaw_rad), vz


def _differ(first_m_s: Sequence[float], second_m_s: Sequence[float], tolerance_m_s: float) -> bool:
    faster_m_s = max(math.hypot(*first_m_s), math.hypot(*second_m_s))
    return math.dist(first_m_s, second_m_s) > tolerance_m_s + SPEED_SHARE * faster_m_s
