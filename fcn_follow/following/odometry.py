"""Odometry, believed only as far as a drone can behave.

A value that no drone has is refused. A jump (an estimator that was reset, a second publisher, another origin) and
odometry that appears in flight end the old frame: what was known in it is void. Velocities that contradict the
positions, and a motion that contradicts the commands, are faults while they last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fcn_follow.coordinates import rotated, wrapped
from fcn_follow.following.monitors import Refusals
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.plausibility import implausible_vehicle, wrong_stamp
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose, pose_from_state
from fcn_follow.geometry import VehicleState, VelocityCommand

JUMP_M = 0.5
JUMP_SPARE_M_S = 4.0
JUMP_RAD = 0.35
JUMP_SPARE_RAD_S = 2.0
"""Between two messages the drone may move so far beyond what their velocities say."""
SETTLED_S = 1.0
"""For so long after a jump nothing of odometry is believed."""
WINDOW_S = 1.0
MIN_WINDOW_S = 0.5
CONTRADICTION_M_S = 0.6
CONTRADICTION_RAD_S = 0.2
DISOBEDIENCE_M_S = 0.7
DISOBEDIENCE_RAD_S = 0.8
SHARE_OF_SPEED = 0.3
"""Two rates agree that differ by no more than these and this share of the larger one."""
GUST_S = 1.5
"""A gust may spin a drone for so long without its being disobedient."""
LEAD_M_S = 2.5
"""A command is never faster than the drone by more than this, so that it does not wind up."""
LET_GO_S = 3.0
"""After a drone that did not obey: so long a rest before the next try."""
CONTRADICTION = "odometry's velocity does not match its positions (is the twist in the axes of child_frame_id?)"
YAW_CONTRADICTION = "odometry's yaw rate does not match its yaw (is its quaternion x, y, z, w, from child_frame_id?)"
APPEARED = "odometry has appeared"
DISOBEDIENCE = "the drone does not do what is commanded, by its odometry"
MOVING_M_S = 0.3
REPEATS = 3
"""So many equal positions on end, for timeouts.frozen_s, are no drone's that moves."""
FROZEN = "odometry is frozen: the same position although the drone is commanded to move"


@dataclass(frozen=True)
class Jump:
    """What was known of the hero is void; same_origin says that places in odom are still where they were."""

    same_origin: bool


class Odometry:
    """Takes what comes on odom; `fault` says why the drone must not be moved by it. Times are in s."""

    def __init__(self) -> None:
        self.history = VehicleHistory()
        self.refused = 0
        self.clear()

    def clear(self) -> None:
        """Forget that there was odometry."""
        self.heard = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all but that there was odometry: after a jump of the clock no old time means anything."""
        self.history.clear()
        self._refusals = Refusals()
        self._settled_s = -math.inf
        self._unsettled = ""
        self._disobeys_since_s = self._turns_since_s = self._frozen_since_s = math.inf
        self._rests_until_s, self._rests_for = -math.inf, ""

    @property
    def newest(self) -> VehiclePose | None:
        return self.history.newest

    def take(self, state: VehicleState, now_s: float, timeouts: Timeouts, frame_in_use: bool) -> Jump | None:
        """Use a value that came, or refuse it; a Jump where the frame that was used until now is void.

        frame_in_use says that a hero is known, in this frame or, before the first odometry, in another one.
        """
        appeared = not self.heard and frame_in_use
        self.heard = True
        newest = self.newest
        refusal = wrong_stamp(state.stamp_s, now_s, timeouts.odom_s, timeouts) or implausible_vehicle(state)
        if not refusal and newest is not None and state.stamp_s <= newest.stamp_s:
            refusal = "stamps that do not advance"
        if refusal:
            self.refused += 1
            self._refusals.note(refusal, now_s)
            return self._void(now_s, APPEARED) if appeared else None
        pose = pose_from_state(state)
        jump = None
        if appeared:
            jump = self._void(now_s, APPEARED)
        elif newest is not None and (reason := _jump(newest, pose)):
            jump = self._void(now_s, reason)
        elif newest is not None and pose.stamp_s - newest.stamp_s > timeouts.odom_s:
            jump = self._void(now_s, "odometry is back", same_origin=True)
        if jump:
            self.history.clear()
        self.history.add(pose)
        return jump

    def fault(self, now_s: float, timeouts: Timeouts) -> str:
        """What is wrong with odometry now; empty where it may be used, or where there is none."""
        if not self.heard:
            return ""
        if self.newest is None or now_s - self.newest.stamp_s > timeouts.odom_s:
            refused = self._refusals.reason(now_s)
            return f"odometry is refused: {refused}" if refused else "odometry is stale"
        if now_s < self._settled_s:
            return self._unsettled
        return self._contradiction(now_s)

    def disobedience(self, expected: VehiclePose, now_s: float, timeouts: Timeouts) -> str:
        """A fault where the drone has moved otherwise than `expected`, its commands through its lag, for too long.

        Odometry that stays the same to the last digit while the drone should move is one, too.
        """
        pose = self.newest
        turns = moves = freezes = False
        if pose is not None and not self.fault(now_s, timeouts):
            turns = abs(pose.yaw_rate_rad_s - expected.yaw_rate_rad_s) > DISOBEDIENCE_RAD_S
            moves = not turns and _moves_otherwise(pose, expected)  # a spin alone changes the axes of the velocity
            freezes = self._repeats and math.hypot(*expected.velocity_m_s) > MOVING_M_S
        self._disobeys_since_s = min(self._disobeys_since_s, now_s) if moves else math.inf
        self._turns_since_s = min(self._turns_since_s, now_s) if turns else math.inf
        self._frozen_since_s = min(self._frozen_since_s, now_s) if freezes else math.inf
        disobeys = (
            now_s - self._disobeys_since_s >= timeouts.obey_s or now_s - self._turns_since_s >= GUST_S + timeouts.obey_s
        )
        frozen = now_s - self._frozen_since_s >= timeouts.frozen_s
        if frozen or disobeys:
            self._rests_until_s, self._rests_for = now_s + LET_GO_S, FROZEN if frozen else DISOBEDIENCE
        return self._rests_for if now_s < self._rests_until_s else ""

    @property
    def _repeats(self) -> bool:
        last = self.history.last(REPEATS)
        return len(last) == REPEATS and all(pose.position_m == last[0].position_m for pose in last)

    def _void(self, now_s: float, reason: str, same_origin: bool = False) -> Jump:
        self._settled_s, self._unsettled = now_s + SETTLED_S, reason
        return Jump(same_origin)

    def _contradiction(self, now_s: float) -> str:
        window = self.history.since(now_s - WINDOW_S)
        if len(window) < 3 or (span_s := window[-1].stamp_s - window[0].stamp_s) < MIN_WINDOW_S:
            return ""
        moved = [(new - old) / span_s for new, old in zip(window[-1].position_m, window[0].position_m, strict=True)]
        said = [0.0, 0.0, 0.0]
        turned = said_turn = 0.0
        for before, after in pairwise(window):
            share = (after.stamp_s - before.stamp_s) / span_s
            for axis in range(3):
                said[axis] += share * (before.velocity_m_s[axis] + after.velocity_m_s[axis]) / 2
            said_turn += share * (before.yaw_rate_rad_s + after.yaw_rate_rad_s) / 2
            turned += wrapped(after.yaw_rad - before.yaw_rad) / span_s
        level, vertical = slice(0, 2), slice(2, 3)
        if any(_differ(moved[axes], said[axes], CONTRADICTION_M_S) for axes in (level, vertical)):
            return CONTRADICTION
        return YAW_CONTRADICTION if _differ([turned], [said_turn], CONTRADICTION_RAD_S) else ""


def no_faster_than_the_drone_can_follow(command: VelocityCommand, pose: VehiclePose) -> VelocityCommand:
    """The command with its horizontal speed at most LEAD_M_S above that of the drone in its direction."""
    speed = math.hypot(command.forward_m_s, command.left_m_s)
    if speed == 0.0:
        return command
    forward, left = rotated(pose.velocity_m_s[0], pose.velocity_m_s[1], -pose.yaw_rad)
    along = (forward * command.forward_m_s + left * command.left_m_s) / speed
    share = min(1.0, (max(0.0, along) + LEAD_M_S) / speed)
    return VelocityCommand(
        command.forward_m_s * share, command.left_m_s * share, command.up_m_s, command.yaw_rate_rad_s
    )


def _jump(before: VehiclePose, after: VehiclePose) -> str:
    dt_s = after.stamp_s - before.stamp_s
    means = [(a + b) / 2 for a, b in zip(before.velocity_m_s, after.velocity_m_s, strict=True)]
    expected = [place + speed * dt_s for place, speed in zip(before.position_m, means, strict=True)]
    away_m = math.dist(after.position_m, expected)
    if away_m > JUMP_M + JUMP_SPARE_M_S * dt_s:
        return f"odometry jumped by {away_m:.1f} m"
    rate = (before.yaw_rate_rad_s + after.yaw_rate_rad_s) / 2
    turned = abs(wrapped(after.yaw_rad - before.yaw_rad - rate * dt_s))
    if turned > JUMP_RAD + JUMP_SPARE_RAD_S * dt_s:
        return f"odometry's yaw jumped by {math.degrees(turned):.0f} degrees"
    return ""


def _moves_otherwise(pose: VehiclePose, expected: VehiclePose) -> bool:
    """Whether two velocities differ, each in its own body's axes."""
    real, wanted = (
        (*rotated(each.velocity_m_s[0], each.velocity_m_s[1], -each.yaw_rad), each.velocity_m_s[2])
        for each in (pose, expected)
    )
    return _differ(real, wanted, DISOBEDIENCE_M_S)


def _differ(first_m_s: Sequence[float], second_m_s: Sequence[float], spare_m_s: float) -> bool:
    faster_m_s = max(math.hypot(*first_m_s), math.hypot(*second_m_s))
    return math.dist(first_m_s, second_m_s) > spare_m_s + SHARE_OF_SPEED * faster_m_s
