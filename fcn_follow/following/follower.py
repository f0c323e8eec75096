"""The follower: observations in, one velocity command out at each call of `step`.

It has no clock: every time is an argument, in seconds of one clock. The same inputs give the same commands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fcn_follow.coordinates import body_from_optical, hero_in_odom, level_from_body
from fcn_follow.following.estimator import HeroEstimate, HeroEstimator, Outcome
from fcn_follow.following.guard import LEVEL, Guard, Heights
from fcn_follow.following.hero_height import HeroHeight
from fcn_follow.following.inbox import Counters, Inbox
from fcn_follow.following.law import RelativePosition, relative_position
from fcn_follow.following.limits import Limiter, limit_lead
from fcn_follow.following.monitors import CameraRate, FrozenPicture, PitchMonitor
from fcn_follow.following.odometry import Odometry
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.following.reasons import Limit, Reason
from fcn_follow.following.states import MOVING, Situation, State, next_state
from fcn_follow.following.steering import Moment, Steering
from fcn_follow.following.turn_monitor import CHECK_ALONE_S, TurnMonitor
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, Vector3, VehicleState, VelocityCommand

MAX_STEP_S = 0.1
MIN_CONTRADICTED_S = 0.5  # how long the user can read why the hero was forgotten
REQUESTS = ("land", "return")


@dataclass(frozen=True)
class FollowerStep:
    """One command and its explanation.

    stamp_s is the stamp of the newest hero image behind the command, None for a command without one (idle, searching,
    holding). `wanted` is the command before the limits, `limited_by` the names of the limits that changed it. hero is
    the estimate predicted to now in odom (or in the dead-reckoned frame), relative the drone seen from the hero.
    yaw_odom_rad is the drone's yaw, None without odometry. request is "", "land" or "return", for a person or an
    autopilot. fault is why the drone must not move, empty without a fault. vehicle is the drone in the hero's frame.
    """

    now_s: float
    stamp_s: float | None
    command: VelocityCommand
    state: State
    reason: str
    hero: HeroEstimate | None = None
    relative: RelativePosition | None = None
    wanted: VelocityCommand = ZERO_COMMAND
    limited_by: tuple[Limit, ...] = ()
    request: str = ""
    yaw_odom_rad: float | None = None
    fault: str = ""
    vehicle: VehiclePose | None = None

    @property
    def is_flying(self) -> bool:
        """Whether the follower moves the drone; else the command is zero, and an autopilot needs none."""
        return self.state in MOVING or self.command != ZERO_COMMAND


class Follower:
    """Call observe_* when an observation arrives and `step` at a fixed rate (50 Hz is intended).

    A frame without a hero is reported by observe_frame; without any frame for timeouts.camera_s the command is zero.
    Odometry is optional; once received, it must keep coming. The next step judges each observation by its stamp and by
    what a drone, a person and a camera can do. Refused observations are counted, and are part of the reason
    while nothing is accepted. The guard is the last step before each command.
    """

    def __init__(self, parameters: FollowerParameters | None = None, enabled: bool = False) -> None:
        self.parameters = parameters or FollowerParameters()
        self.enabled = enabled
        self.estimator = HeroEstimator(self.parameters.estimator)
        self.guard = Guard(self.parameters)
        self.odometry = Odometry()
        self._inbox = Inbox()
        self._limiter = Limiter()
        self._frozen = FrozenPicture()
        self._turns = TurnMonitor()
        self._camera_rate = CameraRate()
        self._steering = Steering()
        self._now_s: float | None = None
        self.start_anew()

    @property
    def counters(self) -> Counters:
        """The observations that were not used."""
        return self._inbox.counters

    def reset(self) -> None:
        """Forget everything: the hero, the start, the stick's trim and odometry. Zero until a hero is seen."""
        self.start_anew()
        self._steering = Steering()
        self._inbox.vehicles.clear()
        self._inbox.forget_refusals()
        self.odometry.clear()

    def start_anew(self) -> None:
        """Forget the hero and the trim, but keep the start, failed climbs, and that odometry was received."""
        self.estimator.reset()
        self._limiter.stop()
        self._frozen.reset()
        self._turns.reset()
        self._camera_rate.reset()
        self._pitch = PitchMonitor()
        self._hero_height = HeroHeight()
        self._inbox.clear()
        self._steering.start_anew()
        self._state, self._reason, self._state_since_s = State.IDLE, str(Reason.RESET), -math.inf
        self._contradicted_s = self._frame_s = -math.inf
        self._hero_arrived_s, self._hero_late_s = -math.inf, 0.0

    def set_parameters(self, parameters: FollowerParameters) -> None:
        """Continue with other parameters."""
        self.parameters = parameters
        self.estimator.parameters = parameters.estimator
        self.guard.parameters = parameters

    def enable(self, enabled: bool) -> None:
        """Disabled, the command is zero from the next step on. When enabled, the follower starts anew from there.

        To enable a follower that is enabled only ends what holds it for flying in another direction.
        """
        if enabled and not self.enabled:
            self.start_anew()
            self._steering = Steering()
        if enabled:
            self.odometry.forgive()
        self.enabled = enabled

    def observe_frame(self, stamp_s: float) -> None:
        """Note that a frame was processed, with or without a hero."""
        self._inbox.frames.append(self._taken_s(stamp_s))

    def observe_hero(self, hero: HeroPosition) -> None:
        """The hero was seen."""
        self._inbox.heroes.append(HeroPosition(self._taken_s(hero.stamp_s), hero.position_camera_m))

    def observe_people(self, stamp_s: float, positions_camera_m: Sequence[Vector3]) -> None:
        """Take all other people in a frame: the middles of their bodies in the camera's optical frame, in m."""
        self._inbox.people.append((self._taken_s(stamp_s), tuple(positions_camera_m)))

    def _taken_s(self, stamp_s: float) -> float:
        """When the image with this stamp was taken."""
        return stamp_s - self.parameters.camera.latency_s

    def observe_vehicle(self, vehicle: VehicleState) -> None:
        """Take odometry; after the first value, even a refused one, the drone does not move without odometry."""
        self._inbox.vehicles.append(vehicle)

    def observe_stick(self, speeds: VelocityCommand) -> None:
        """The pilot moves the set points: forward is nearer, left is around the hero to the drone's left."""
        self._inbox.set_stick(speeds)

    def step(self, now_s: float, fault: str = "", elapsed_s: float | None = None) -> FollowerStep:
        """The command for now. A `fault` from outside makes it zero and becomes the reason.

        elapsed_s is the time since the last step by a steady clock; the clock of now_s may run at any speed.
        """
        dt_s = self._advance_clock(now_s)
        if dt_s is None:
            self._limiter.stop()
            self._state, reason = (
                (State.HOLDING, Reason.CLOCK_JUMPED) if self.enabled else (State.IDLE, Reason.DISABLED)
            )
            self._reason = str(reason)
            return FollowerStep(now_s, None, ZERO_COMMAND, self._state, self._reason)
        if stick := self._inbox.take_stick():
            self._steering.push_stick(stick, now_s)
        reckoned = self.guard.advance(now_s)
        vehicle, odom_fault = self._locate(now_s, reckoned)
        self._observe(now_s)
        self._turns.step(now_s, self._state is State.TRACKING, self._history, is_measured=self.odometry.heard)
        hero = self.estimator.predict(now_s)
        fault = self._join_faults(now_s, fault, odom_fault, reckoned)
        self._change_state(now_s, fault, hero, vehicle)
        step_s = min(dt_s, MAX_STEP_S)
        wanted, limited_by = self._steering.wanted(self.parameters, self._moment(now_s, step_s, hero, vehicle))
        heights = Heights()
        if self.odometry.heard and not odom_fault:
            heights = Heights(self._steering.height_above_start_m(vehicle), vehicle.position_m[2])
        if wanted is None:
            self._limiter.stop()
            command = ZERO_COMMAND
        else:
            advised = self.guard.advise(wanted, now_s, heights)
            followed = limit_lead(advised, vehicle) if self.odometry.heard else advised
            command, limited = self._limiter.step(followed, self.parameters.limits, step_s)
            if advised != wanted:
                limited_by += (Limit.PEOPLE_OR_HEIGHT,)
            if followed != advised:
                limited_by += (Limit.DRONE_LAGS,)
            limited_by += limited
        relative = relative_position(hero, vehicle) if hero else None
        if hero and relative and self._state is State.TRACKING and self.odometry.heard:
            feet_m = hero.position_odom_m[2] - self.parameters.hero.height_m / 2
            self._pitch.see(now_s, feet_m, relative.distance_m)
        guarded = self.guard.check(command, now_s, dt_s if elapsed_s is None else elapsed_s, heights)
        if guarded.command != command:
            self._limiter.overrule(guarded.command)
        request = self._request() if wanted is None else ""
        if guarded.fault:
            self._state, self._reason = State.HOLDING, guarded.fault
        self._frozen.move(guarded.command, step_s)
        return FollowerStep(
            now_s,
            self.estimator.stamp_s if self._state in (State.TRACKING, State.COASTING) else None,
            guarded.command,
            self._state,
            self._whole_reason(now_s),
            hero,
            relative,
            wanted or ZERO_COMMAND,
            (*limited_by, *guarded.limited_by),
            request,
            vehicle.yaw_rad if self.odometry.heard else None,
            str(guarded.fault or fault),
            vehicle,
        )

    def _advance_clock(self, now_s: float) -> float | None:
        """Seconds since the last step; None after a jump of the clock, of which only the start survives."""
        last_s = now_s if self._now_s is None else self._now_s
        if 0.0 <= now_s - last_s <= self.parameters.timeouts.clock_s:
            self._now_s = now_s
            return now_s - last_s
        self._now_s = now_s if math.isfinite(now_s) else None
        self.counters.clock_jumps += 1
        self.start_anew()
        self._inbox.vehicles.clear()
        self._inbox.forget_refusals()
        self.odometry.start_anew()
        reckoned = self.guard.history.newest
        if reckoned is not None and self.odometry.last is None:
            self._steering.carry_start(reckoned, VehiclePose(reckoned.stamp_s), -reckoned.yaw_rad)
        self.guard.reset()
        return None

    def _locate(self, now_s: float, reckoned: VehiclePose) -> tuple[VehiclePose, str]:
        """The drone now and the fault of its odometry; without odometry the dead-reckoned drone."""
        timeouts = self.parameters.timeouts
        for state in self._inbox.take_vehicles():
            before = self.odometry.last
            jump = self.odometry.take(state, now_s, timeouts, frame_in_use=self.estimator.stamp_s is not None)
            if jump is not None:
                self.counters.odom_jumps += 1
                self.estimator.reset()
                self._turns.restart()
                self._steering.restart_climbs()
            newest = self.odometry.newest
            if newest is not None and before is None:
                self._steering.carry_start(reckoned, newest, newest.yaw_rad - reckoned.yaw_rad)
            elif newest is not None and before is not None and jump is not None and not jump.same_origin:
                self._steering.carry_start(before, newest)
        self.counters.odom_refused = self.odometry.refused
        if not self.odometry.heard:
            return reckoned, ""
        newest = self.odometry.newest
        return newest.moved_to(now_s) if newest else VehiclePose(now_s), self.odometry.fault(now_s, timeouts)

    def _observe(self, now_s: float) -> None:
        """Pass on the camera's observations since the last step."""
        timeouts, camera = self.parameters.timeouts, self.parameters.camera
        for stamp_s, positions in self._inbox.take_people(now_s, timeouts):
            self.guard.see_people(stamp_s, positions, self._camera_tilt_rad(stamp_s))
        for stamp_s in self._inbox.take_frames(now_s, timeouts):
            self._frame_s = max(self._frame_s, stamp_s)
            self._camera_rate.see(stamp_s)
        for hero, is_plausible in self._inbox.take_heroes(now_s, timeouts):
            nearest = min(1.0, self._hero_height.share)
            x, y, z = (nearest * value for value in hero.position_camera_m)
            self.guard.see_hero(hero.stamp_s, (x, y, z), self._camera_tilt_rad(hero.stamp_s))
            if not is_plausible:
                continue
            self._hero_arrived_s, self._hero_late_s = now_s, now_s - hero.stamp_s
            self._camera_rate.see(hero.stamp_s)
            self._frozen.see(hero.stamp_s, hero.position_camera_m)
            seen = body_from_optical(hero.position_camera_m, camera.mount.pitch_down_rad)
            self._turns.see(hero.stamp_s, level_from_body(seen, *self._camera_tilt_rad(hero.stamp_s)))
            pose = self._history.at(hero.stamp_s)
            if pose is None:
                self.counters.without_pose += 1
                continue
            self._frame_s = max(self._frame_s, hero.stamp_s)
            position_m, camera_m = hero_in_odom(
                hero.position_camera_m, camera.mount, camera.stabilised, pose.position_m, pose.attitude_rad
            )
            self._observe_position(hero.stamp_s, position_m, camera_m)
        if self.estimator.is_contradicted:
            self.estimator.reset()
            self._contradicted_s = now_s

    def _observe_position(self, stamp_s: float, position_m: Vector3, camera_m: Vector3) -> None:
        """Pass a position in odom to the estimator, at the distance of the hero's true height."""
        ray_m = [place - camera for place, camera in zip(position_m, camera_m, strict=True)]
        x, y, z = (camera + self._hero_height.share * way for camera, way in zip(camera_m, ray_m, strict=True))
        outcome = self.estimator.observe(stamp_s, (x, y, z), camera_m, self.parameters.timeouts.coast_s)
        if outcome is Outcome.ACCEPTED and self.odometry.heard:
            feet_m = position_m[2] - self.parameters.hero.height_m / 2
            max_change = self.parameters.estimator.height_correction
            self._hero_height.see(stamp_s, camera_m[2], feet_m, math.hypot(ray_m[0], ray_m[1]), max_change)

    @property
    def _history(self) -> VehicleHistory:
        return self.odometry.history if self.odometry.heard else self.guard.history

    def _camera_tilt_rad(self, stamp_s: float) -> tuple[float, float]:
        """Roll and pitch of the camera at a time; zero with a gimbal, and where odometry does not report them."""
        pose = None if self.parameters.camera.stabilised else self.odometry.history.at(stamp_s)
        return (pose.attitude_rad[0], pose.attitude_rad[1]) if pose else LEVEL

    def _join_faults(self, now_s: float, outside: str, odometry: str, reckoned: VehiclePose) -> str:
        """All present faults as one text."""
        timeouts = self.parameters.timeouts
        command = self._limiter.command
        expected = reckoned if self._state in MOVING and not odometry else None
        disobedience = self.odometry.disobedience(expected, command, now_s, timeouts) if self.enabled else ""
        contradicted = Reason.HERO_CONTRADICTED if now_s - self._contradicted_s < MIN_CONTRADICTED_S else ""
        frozen = self._frozen.fault(timeouts.frozen_s)
        slow = self._camera_rate.fault(now_s)
        people = self._inbox.people_fault(now_s, timeouts)
        climbs = self._steering.climb_faults()
        turns = self._turns.fault
        faults = (outside, odometry, disobedience, people, slow, frozen, turns, *climbs, contradicted)
        return "; ".join(filter(None, faults))

    def _change_state(self, now_s: float, fault: str, hero: HeroEstimate | None, vehicle: VehiclePose) -> None:
        """Take the next state of the table, and prepare the steering for it."""
        last = self._state
        situation = Situation(self.enabled, fault, now_s - self._frame_s, self._hero_age_s(now_s))
        self._state, self._reason = next_state(last, self._reason, situation, self.parameters.timeouts)
        if self._state is last:
            return
        self._state_since_s = now_s
        if hero is None:
            return
        if self._state is State.TRACKING and last is not State.COASTING:
            self._steering.engage(now_s, hero, vehicle, after_search=last is State.SEARCHING)
        elif self._state is State.SEARCHING:
            self._steering.begin_search(hero, vehicle)

    def _moment(self, now_s: float, step_s: float, hero: HeroEstimate | None, vehicle: VehiclePose) -> Moment:
        return Moment(
            now_s=now_s,
            dt_s=step_s,
            state=self._state,
            reason=self._reason,
            state_age_s=now_s - self._state_since_s,
            check_rad_s=self._turns.turn_rad_s(now_s),
            turns_alone=0.0 <= self._turns.age_s(now_s) < CHECK_ALONE_S,
            is_unchecked=self._turns.is_due,
            frame_age_s=now_s - self._frame_s,
            hero_age_s=self._hero_age_s(now_s),
            hero=hero,
            candidate=self.estimator.candidate(now_s),
            vehicle=vehicle,
            has_odometry=self.odometry.heard,
            last_up_m_s=self._limiter.command.up_m_s,
        )

    def _hero_age_s(self, now_s: float) -> float:
        """The age of the newest accepted hero position, infinite without one."""
        stamp_s = self.estimator.stamp_s
        return math.inf if stamp_s is None else now_s - stamp_s

    def _request(self) -> str:
        action = self.parameters.search.action
        return action if self._reason == Reason.SEARCH_ENDED and action in REQUESTS else ""

    def _whole_reason(self, now_s: float) -> str:
        """The reason of the state, with the doubt while tracking, else with the reason for late or refused input."""
        if self._state is State.TRACKING:
            hints = [
                self._turns.report(now_s),
                self._pitch.doubt,
                self._hero_height.report(self.parameters.hero.height_m),
            ]
        elif self._state is State.IDLE:
            hints = []
        else:
            refusal = self._inbox.refusal(now_s)
            hints = [self._lateness(now_s), f"refused: {refusal}" if refusal else ""]
        return "; ".join(filter(None, (str(self._reason), *hints)))

    def _lateness(self, now_s: float) -> str:
        """Why the hero is waited for although positions come: each is too old for tracking; else empty."""
        limit_s, late_s = self.parameters.timeouts.tracking_s, self._hero_late_s
        if self._reason != Reason.WAITING or late_s <= limit_s or now_s - self._hero_arrived_s > limit_s:
            return ""
        return f"positions are {late_s:.2f} s old on arrival; timeouts.tracking_s is {limit_s:g} s"
