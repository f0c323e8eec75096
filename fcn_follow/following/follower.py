"""The follower: hero positions and odometry in, velocity commands out, one call of `step` for each command.

No clock of its own: every time is an argument, in seconds of one clock. The same inputs give the same commands.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from fcn_follow.following.estimator import HeroEstimate, HeroEstimator
from fcn_follow.following.frames import hero_in_odom, wrapped
from fcn_follow.following.law import (
    Around,
    References,
    Trim,
    around,
    follow,
    scaled,
    side_of_leaving,
    within_space,
    yaw_to_hero,
)
from fcn_follow.following.limits import Limiter
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.following.states import SEARCH_ENDED, Situation, State, next_state
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose, dead_reckoned, pose_from_state
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, VehicleState, VelocityCommand

MAXIMUM_STEP_S = 0.1
FARTHEST_HERO_M = 200.0
FARTHEST_SET_POINT_M = 50.0
HIGHEST_SET_POINT_M = 30.0
LOWEST_SET_POINT_M = -1.0
INBOX = 64
MOVING = (State.TRACKING, State.COASTING, State.SEARCHING)
REQUESTS = ("land", "return")


@dataclass(frozen=True)
class FollowerStep:
    """One command and why it is what it is.

    stamp_s is that of the newest image with the hero on which the command rests, None where it rests on none (idle,
    searching's turn, holding). `wanted` is the command before the limits, `limited_by` what kept it from being flown.
    hero is the estimate predicted to now, in odom (or the dead-reckoned frame); around is the drone seen from it.
    yaw_odom_rad is the drone's yaw, None without odometry.
    request is "", "land" or "return": something a person or an autopilot may act upon.
    """

    now_s: float
    stamp_s: float | None
    command: VelocityCommand
    state: State
    reason: str
    hero: HeroEstimate | None = None
    around: Around | None = None
    wanted: VelocityCommand = ZERO_COMMAND
    limited_by: tuple[str, ...] = ()
    request: str = ""
    yaw_odom_rad: float | None = None


@dataclass
class Counters:
    """What was not used, and why, since the start; accepted and outlier counts are the estimator's."""

    invalid: int = 0
    old: int = 0
    future: int = 0
    without_pose: int = 0
    clock_jumps: int = 0
    odom_refused: int = 0


class Follower:
    """Call observe_* as things come in, `step` at a fixed rate (50 Hz is meant), and send what it returns.

    A frame in which the hero was not seen is told by observe_frame; without any frame for timeouts.camera_s the
    command is zero. Odometry is optional; once it has come, it must go on coming. What is observed is used, and
    judged by its stamp, at the next step.
    """

    def __init__(self, parameters: FollowerParameters | None = None, enabled: bool = False) -> None:
        self.parameters = parameters or FollowerParameters()
        self.enabled = enabled
        self.counters = Counters()
        self.estimator = HeroEstimator(self.parameters.estimator)
        self.has_odom = False
        self._history = VehicleHistory()
        self._references = References()
        self._limiter = Limiter()
        self._heroes: deque[HeroPosition] = deque(maxlen=INBOX)
        self._frames: deque[float] = deque(maxlen=INBOX)
        self._poses: deque[VehiclePose] = deque(maxlen=INBOX)
        self._now_s: float | None = None
        self._restart()

    def reset(self) -> None:
        """Forget all: the hero, the start, the stick's trim, that there was odometry. Zero until a hero is seen."""
        self._restart()
        self._poses.clear()
        self._history.clear()
        self.has_odom = False

    def _restart(self) -> None:
        self.estimator.reset()
        self._limiter.stop()
        self._heroes.clear()
        self._frames.clear()
        self._state, self._reason, self._since_s = State.IDLE, "reset", -math.inf
        self._frame_s = -math.inf
        self._stick, self._stick_is_new, self._stick_s = ZERO_COMMAND, False, -math.inf
        self._trim = Trim()
        self._start_m: tuple[float, float] | None = None
        self._engaged_s = -math.inf
        self._side = 1.0

    def set_parameters(self, parameters: FollowerParameters) -> None:
        """Fly on with other parameters; they were checked where they were made."""
        self.parameters = parameters
        self.estimator.parameters = parameters.estimator

    def enable(self, enabled: bool) -> None:
        """Off: idle, zero at the next step. On: starts anew, from where the drone is when it sees the hero."""
        if enabled and not self.enabled:
            self._restart()
        self.enabled = enabled

    def observe_frame(self, stamp_s: float) -> None:
        """A frame was looked at, with or without a hero in it: the camera lives."""
        self._frames.append(stamp_s)

    def observe_hero(self, hero: HeroPosition) -> None:
        """The hero was seen."""
        self._heroes.append(hero)

    def observe_vehicle(self, vehicle: VehicleState) -> None:
        """Odometry; from the first one on, the drone does not move without."""
        pose = pose_from_state(vehicle)
        if pose is None:
            self.counters.odom_refused += 1
        else:
            self._poses.append(pose)

    def observe_stick(self, speeds: VelocityCommand) -> None:
        """A pilot's wish, which moves the set points: forward is nearer, left is round the hero to the drone's left."""
        if all(map(math.isfinite, (speeds.forward_m_s, speeds.left_m_s, speeds.up_m_s))):
            self._stick, self._stick_is_new = speeds, True
        else:
            self.counters.invalid += 1

    def step(self, now_s: float, fault: str = "") -> FollowerStep:
        """The command for now. A fault from outside (any text) makes it zero, with that text as the reason."""
        dt_s = self._advance_clock(now_s)
        if dt_s is None:
            self._limiter.stop()
            self._state, self._reason = (
                (State.HOLDING, "the clock jumped") if self.enabled else (State.IDLE, "disabled")
            )
            return FollowerStep(now_s, None, ZERO_COMMAND, self._state, self._reason)
        if self._stick_is_new:
            self._stick_is_new, self._stick_s = False, now_s
        vehicle, odom_fault = self._locate(now_s, dt_s)
        self._take_frames(now_s)
        hero = self.estimator.predict(now_s)
        self._change_state(now_s, fault or odom_fault, hero, vehicle)
        step_s = min(dt_s, MAXIMUM_STEP_S)
        wanted, shaped = self._wanted(now_s, step_s, hero, vehicle)
        request = ""
        if wanted is None:
            self._limiter.stop()
            wanted = command = ZERO_COMMAND
            if self._reason == SEARCH_ENDED and self.parameters.search.action in REQUESTS:
                request = self.parameters.search.action
        else:
            command, limited = self._limiter.step(wanted, self.parameters.limits, step_s)
            shaped = (*shaped, *limited)
        rests_on_hero = self._state in (State.TRACKING, State.COASTING)
        return FollowerStep(
            now_s,
            self.estimator.stamp_s if rests_on_hero else None,
            command,
            self._state,
            self._reason,
            hero,
            around(hero, vehicle) if hero else None,
            wanted,
            shaped,
            request,
            vehicle.yaw_rad if self.has_odom else None,
        )

    def _advance_clock(self, now_s: float) -> float | None:
        """Seconds since the last step; None, and all is forgotten, where the clock jumped."""
        last_s = now_s if self._now_s is None else self._now_s
        if 0.0 <= now_s - last_s <= self.parameters.timeouts.clock_s:
            self._now_s = now_s
            return now_s - last_s
        self._now_s = now_s if math.isfinite(now_s) else None
        self.counters.clock_jumps += 1
        self._restart()
        self._poses.clear()
        self._history.clear()
        return None

    def _locate(self, now_s: float, dt_s: float) -> tuple[VehiclePose, str]:
        """The drone now, and what is wrong with its odometry."""
        timeouts = self.parameters.timeouts
        for pose in self._poses:
            if pose.stamp_s > now_s + timeouts.future_s or pose.stamp_s < now_s - timeouts.odom_s:
                self.counters.odom_refused += 1
            elif not self.has_odom:
                self.has_odom = True
                self._history.clear()
                self._history.add(pose)
                self.estimator.reset()
                self._start_m = None
            elif not self._history.add(pose):
                self.counters.odom_refused += 1
        self._poses.clear()
        newest = self._history.newest
        if not self.has_odom:
            last = newest or VehiclePose(now_s - dt_s)
            newest = dead_reckoned(last, self._limiter.command, dt_s, self.parameters.vehicle.response_s)
            self._history.add(newest)
            return newest, ""
        if newest is None or now_s - newest.stamp_s > timeouts.odom_s:
            return newest or VehiclePose(now_s), "odometry is stale"
        return newest.moved_to(now_s), ""

    def _take_frames(self, now_s: float) -> None:
        """Use the positions that came since the last step, oldest first, each at its own stamp."""
        timeouts = self.parameters.timeouts
        camera = self.parameters.camera
        for stamp_s in self._frames:
            if now_s - timeouts.camera_s <= stamp_s <= now_s + timeouts.future_s:
                self._frame_s = max(self._frame_s, stamp_s)
        self._frames.clear()
        usable = [hero for hero in self._heroes if self._is_usable(hero, now_s)]
        self._heroes.clear()
        for hero in sorted(usable, key=lambda hero: hero.stamp_s):
            pose = self._history.at(hero.stamp_s)
            if pose is None:
                self.counters.without_pose += 1
                continue
            self._frame_s = max(self._frame_s, hero.stamp_s)
            position, seen_from = hero_in_odom(
                hero.position_camera_m, camera.mount, camera.stabilised, pose.position_m, pose.attitude_rad
            )
            self.estimator.observe(hero.stamp_s, position, seen_from, timeouts.coast_s)

    def _is_usable(self, hero: HeroPosition, now_s: float) -> bool:
        timeouts = self.parameters.timeouts
        numbers_are_good = all(map(math.isfinite, (hero.stamp_s, *hero.position_camera_m)))
        if (
            not numbers_are_good
            or hero.position_camera_m[2] <= 0.0
            or math.hypot(*hero.position_camera_m) > FARTHEST_HERO_M
        ):
            self.counters.invalid += 1
        elif hero.stamp_s < now_s - timeouts.frame_s:
            self.counters.old += 1
        elif hero.stamp_s > now_s + timeouts.future_s:
            self.counters.future += 1
        else:
            return True
        return False

    def _change_state(self, now_s: float, fault: str, hero: HeroEstimate | None, vehicle: VehiclePose) -> None:
        """The table's next state, and what is begun on entering it."""
        last = self._state
        seen_s = self.estimator.stamp_s
        situation = Situation(
            self.enabled, fault, now_s - self._frame_s, now_s - seen_s if seen_s is not None else math.inf
        )
        self._state, self._reason = next_state(last, self._reason, situation, self.parameters.timeouts)
        if self._state is last:
            return
        self._since_s = now_s
        if hero is None:
            return
        if self._state is State.TRACKING and last is not State.COASTING:
            anew = last is not State.SEARCHING
            self._references.engage(around(hero, vehicle), keep_bearing=not anew)
            if anew:
                self._engaged_s = now_s
                self._start_m = self._start_m or vehicle.position_m[:2]
        elif self._state is State.SEARCHING:
            self._side = side_of_leaving(hero, vehicle)

    def _wanted(
        self, now_s: float, dt_s: float, hero: HeroEstimate | None, vehicle: VehiclePose
    ) -> tuple[VelocityCommand | None, tuple[str, ...]]:
        """What the state asks for, before the limits, and what shaped it; None is zero at once."""
        if self._state is State.HOLDING and self._reason == SEARCH_ENDED:
            return self._climb(now_s), ()
        if self._state not in MOVING or hero is None:
            return None, ()
        timeouts = self.parameters.timeouts
        if now_s - self._frame_s > timeouts.tracking_s:
            return ZERO_COMMAND, ("no frames",)
        if self._state is State.SEARCHING:
            return self._search(now_s, hero, vehicle), ()
        self._move_set_points(now_s, dt_s, hero, vehicle)
        where = around(hero, vehicle)
        shaped = self._references.step(self.parameters, self._trim, hero, where, dt_s)
        wanted, shaped_by_law = follow(self.parameters, self._references, hero, vehicle)
        shaped += shaped_by_law
        share = 1.0
        ramp_s = self.parameters.gains.ramp_s
        if now_s - self._engaged_s < ramp_s:
            share = (now_s - self._engaged_s) / ramp_s
            shaped += ("ramp",)
        hero_age_s = now_s - (self.estimator.stamp_s or now_s)
        if self._state is State.COASTING:
            share *= min(1.0, 2.0 * (timeouts.coast_s - hero_age_s) / (timeouts.coast_s - timeouts.tracking_s))
            shaped += ("coasting",)
        ground_m = 0.0 if self.has_odom else hero.position_odom_m[2] - self.parameters.vehicle.hero_height_m / 2
        start_m = self._start_m or vehicle.position_m[:2]
        wanted, shaped_by_space = within_space(
            self.parameters, scaled(wanted, share), vehicle, start_m, vehicle.position_m[2] - ground_m
        )
        return wanted, shaped + shaped_by_space

    def _search(self, now_s: float, hero: HeroEstimate, vehicle: VehiclePose) -> VelocityCommand:
        """Look where the hero should be by now, then turn slowly towards the side where it left.

        Whoever comes into view and may be the hero is looked at until it is confirmed or gone.
        """
        search = self.parameters.search
        candidate = self.estimator.candidate(now_s)
        if candidate is not None or now_s - self._since_s < search.look_s:
            rate = yaw_to_hero(self.parameters, candidate or hero, vehicle)
            return VelocityCommand(yaw_rate_rad_s=max(-search.look_rate_rad_s, min(search.look_rate_rad_s, rate)))
        left_s = self.parameters.timeouts.search_s - (now_s - (self.estimator.stamp_s or now_s))
        slowing = self.parameters.limits.yaw_acceleration_rad_s2 * max(0.0, left_s) / 2
        return VelocityCommand(yaw_rate_rad_s=self._side * min(search.turn_rate_rad_s, slowing))

    def _climb(self, now_s: float) -> VelocityCommand | None:
        search = self.parameters.search
        if now_s - self._since_s >= search.climb_s or now_s - self._frame_s > self.parameters.timeouts.camera_s:
            return None
        return VelocityCommand(up_m_s=search.climb_m_s, yaw_rate_rad_s=self._side * search.turn_rate_rad_s)

    def _move_set_points(self, now_s: float, dt_s: float, hero: HeroEstimate, vehicle: VehiclePose) -> None:
        """Let the stick's newest speeds move the set points, as long as they are fresh."""
        if now_s - self._stick_s > self.parameters.timeouts.stick_s:
            return
        points, limits, trim, stick = self.parameters.set_points, self.parameters.limits, self._trim, self._stick
        distance_m = around(hero, vehicle).distance_m
        distance = points.distance_m + trim.distance_m - _clamped(stick.forward_m_s, limits.speed_m_s) * dt_s
        distance = max(limits.minimum_distance_m, min(FARTHEST_SET_POINT_M, distance))
        trim.distance_m = distance - points.distance_m
        height = points.height_m + trim.height_m + _clamped(stick.up_m_s, limits.up_m_s) * dt_s
        trim.height_m = max(LOWEST_SET_POINT_M, min(HIGHEST_SET_POINT_M, height)) - points.height_m
        along_m = _clamped(stick.left_m_s, limits.orbit_m_s) * dt_s
        trim.bearing_rad = wrapped(trim.bearing_rad - along_m / max(distance_m, limits.minimum_distance_m))


def _clamped(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))
