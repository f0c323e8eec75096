"""The follower: hero positions and odometry in, velocity commands out, one call of `step` for each command.

No clock of its own: every time is an argument, in seconds of one clock. The same inputs give the same commands.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from fcn_follow.coordinates import hero_in_odom, rotated, wrapped
from fcn_follow.following.estimator import HeroEstimate, HeroEstimator
from fcn_follow.following.guard import Guard, Heights
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
from fcn_follow.following.monitors import Climb, FrozenPicture, Refusals
from fcn_follow.following.odometry import Odometry, no_faster_than_the_drone_can_follow
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.following.plausibility import implausible_position, wrong_stamp
from fcn_follow.following.states import FOR_WANT_OF_INPUT, SEARCH_ENDED, Situation, State, next_state
from fcn_follow.following.vehicle import VehicleHistory, VehiclePose
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, Vector3, VehicleState, VelocityCommand

MAX_STEP_S = 0.1
MAX_SET_POINT_DISTANCE_M = 50.0
MAX_SET_POINT_HEIGHT_M = 30.0
MIN_SET_POINT_HEIGHT_M = -1.0
INBOX = 64
STARTING_ANEW_S = 0.5
"""How long the reason for forgetting the hero is reported, at least."""
CONTRADICTED = "the hero is seen where it cannot have gone: starting anew"
HERO_CLIMB = "climbing does not bring the hero into place (is camera.pitch_down_rad right?)"
GROUND_CLIMB = "climbing does not lead above limits.minimum_height_m (does odom's z point upwards?)"
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
    fault is why the drone must not move; empty where nothing is wrong.
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
    fault: str = ""


@dataclass
class Counters:
    """What was not used, and why, since the start; accepted and outlier counts are the estimator's."""

    implausible: int = 0
    mistimed: int = 0
    without_pose: int = 0
    clock_jumps: int = 0
    odom_refused: int = 0
    odom_jumps: int = 0


class Follower:
    """Call observe_* as things come in, `step` at a fixed rate (50 Hz is meant), and send what it returns.

    A frame in which the hero was not seen is reported by observe_frame; without any frame for timeouts.camera_s the
    command is zero. Odometry is optional; once it has come, it must go on coming. What is observed is used, and
    judged by its stamp and by what a drone, a person and a camera can do, at the next step. What is refused moves
    nothing, is counted, and is named in the reason while nothing better comes. The guard is the last step.
    """

    def __init__(self, parameters: FollowerParameters | None = None, enabled: bool = False) -> None:
        self.parameters = parameters or FollowerParameters()
        self.enabled = enabled
        self.counters = Counters()
        self.estimator = HeroEstimator(self.parameters.estimator)
        self.guard = Guard(self.parameters)
        self.odometry = Odometry()
        self._references = References()
        self._limiter = Limiter()
        self._frozen = FrozenPicture()
        self._hero_climb, self._ground_climb = Climb(HERO_CLIMB), Climb(GROUND_CLIMB)
        self._refused_heroes, self._refused_frames = Refusals(), Refusals()
        self._heroes: deque[HeroPosition] = deque(maxlen=INBOX)
        self._people: deque[tuple[float, tuple[Vector3, ...]]] = deque(maxlen=INBOX)
        self._frames: deque[float] = deque(maxlen=INBOX)
        self._vehicles: deque[VehicleState] = deque(maxlen=INBOX)
        self._now_s: float | None = None
        self.start_anew()

    def reset(self) -> None:
        """Forget all: the hero, the start, the stick's trim, that there was odometry. Zero until a hero is seen."""
        self.start_anew()
        self._vehicles.clear()
        self.odometry.clear()

    def start_anew(self) -> None:
        """Forget the hero, the start and the stick's trim, not that there was odometry."""
        self.estimator.reset()
        self._limiter.stop()
        self._frozen.reset()
        self._hero_climb.reset()
        self._ground_climb.reset()
        self._anew, self._anew_s = "", -math.inf
        self._heroes.clear()
        self._people.clear()
        self._frames.clear()
        self._state, self._reason, self._since_s = State.IDLE, "reset", -math.inf
        self._frame_s = -math.inf
        self._stick, self._stick_is_new, self._stick_s = ZERO_COMMAND, False, -math.inf
        self._trim = Trim()
        self._start_m: Vector3 | None = None
        self._engaged_s = -math.inf
        self._side = 1.0

    def set_parameters(self, parameters: FollowerParameters) -> None:
        """Fly on with other parameters; they were checked where they were made."""
        self.parameters = parameters
        self.estimator.parameters = parameters.estimator
        self.guard.parameters = parameters

    def enable(self, enabled: bool) -> None:
        """Off: idle, zero at the next step. On: starts anew, from where the drone is when it sees the hero."""
        if enabled and not self.enabled:
            self.start_anew()
        self.enabled = enabled

    def observe_frame(self, stamp_s: float) -> None:
        """A frame was looked at, with or without a hero in it: the camera lives."""
        self._frames.append(stamp_s)

    def observe_hero(self, hero: HeroPosition) -> None:
        """The hero was seen."""
        self._heroes.append(hero)

    def observe_people(self, stamp_s: float, positions_camera_m: Sequence[Vector3]) -> None:
        """Everybody but the hero in a frame: the middles of their bodies in the camera's optical frame, in m."""
        self._people.append((stamp_s, tuple(positions_camera_m)))

    def observe_vehicle(self, vehicle: VehicleState) -> None:
        """Odometry; from the first one on, whatever it says, the drone does not move without."""
        self._vehicles.append(vehicle)

    def observe_stick(self, speeds: VelocityCommand) -> None:
        """A pilot's wish, which moves the set points: forward is nearer, left is round the hero to the drone's left."""
        if all(map(math.isfinite, (speeds.forward_m_s, speeds.left_m_s, speeds.up_m_s))):
            self._stick, self._stick_is_new = speeds, True
        else:
            self.counters.implausible += 1

    def step(self, now_s: float, fault: str = "", elapsed_s: float | None = None) -> FollowerStep:
        """The command for now. A fault from outside (any text) makes it zero, with that text as the reason.

        elapsed_s is the time since the last step by a steady clock, where now_s is of one that may run at any speed.
        """
        dt_s = self._advance_clock(now_s)
        if dt_s is None:
            self._limiter.stop()
            self._state, self._reason = (
                (State.HOLDING, "the clock jumped") if self.enabled else (State.IDLE, "disabled")
            )
            return FollowerStep(now_s, None, ZERO_COMMAND, self._state, self._reason)
        if self._stick_is_new:
            self._stick_is_new, self._stick_s = False, now_s
        reckoned = self.guard.advance(now_s)
        vehicle, odom_fault = self._locate(now_s, reckoned)
        self._take_people(now_s)
        self._take_frames(now_s)
        hero = self.estimator.predict(now_s)
        disobedience = self.odometry.disobedience(reckoned, now_s, self.parameters.timeouts) if self.enabled else ""
        frozen = self._frozen.fault(self.parameters.timeouts.frozen_s)
        starting_anew = self._anew if now_s - self._anew_s < STARTING_ANEW_S else ""
        climbs = (self._hero_climb.fault(), self._ground_climb.fault())
        faults = (fault, odom_fault, disobedience, frozen, *climbs, starting_anew)
        fault = "; ".join(filter(None, faults))
        self._change_state(now_s, fault, hero, vehicle)
        step_s = min(dt_s, MAX_STEP_S)
        wanted, shaped = self._wanted(now_s, step_s, hero, vehicle)
        heights = self._heights(vehicle) if self.odometry.heard and not odom_fault else Heights()
        request = ""
        if wanted is None:
            self._limiter.stop()
            wanted = command = ZERO_COMMAND
            if self._reason == SEARCH_ENDED and self.parameters.search.action in REQUESTS:
                request = self.parameters.search.action
        else:
            advised = self.guard.advise(wanted, now_s, heights)
            followed = no_faster_than_the_drone_can_follow(advised, vehicle) if self.odometry.heard else advised
            command, limited = self._limiter.step(followed, self.parameters.limits, step_s)
            guarding = (("people or height", advised != wanted), ("the drone lags", followed != advised))
            shaped = (*shaped, *(name for name, shapes in guarding if shapes), *limited)
        guarded = self.guard.check(command, now_s, dt_s if elapsed_s is None else elapsed_s, heights)
        if guarded.command != command:
            self._limiter.overrule(guarded.command)
        if guarded.fault:
            self._state, self._reason = State.HOLDING, guarded.fault
        self._frozen.move(guarded.command, step_s)
        rests_on_hero = self._state in (State.TRACKING, State.COASTING)
        return FollowerStep(
            now_s,
            self.estimator.stamp_s if rests_on_hero else None,
            guarded.command,
            self._state,
            self._reason_with_refusals(now_s),
            hero,
            around(hero, vehicle) if hero else None,
            wanted,
            (*shaped, *guarded.limited_by),
            request,
            vehicle.yaw_rad if self.odometry.heard else None,
            guarded.fault or fault,
        )

    def _reason_with_refusals(self, now_s: float) -> str:
        """The reason for the state, and what came and was refused where the state is for want of it."""
        if self._state is State.TRACKING or self._reason not in FOR_WANT_OF_INPUT:
            return self._reason
        refused = self._refused_frames.reason(now_s) or self._refused_heroes.reason(now_s)
        return f"{self._reason}; refused: {refused}" if refused else self._reason

    def _heights(self, vehicle: VehiclePose) -> Heights:
        height_m = vehicle.position_m[2]
        return Heights(None if self._start_m is None else height_m - self._start_m[2], height_m)

    def _advance_clock(self, now_s: float) -> float | None:
        """Seconds since the last step; None, and all is forgotten, where the clock jumped."""
        last_s = now_s if self._now_s is None else self._now_s
        if 0.0 <= now_s - last_s <= self.parameters.timeouts.clock_s:
            self._now_s = now_s
            return now_s - last_s
        self._now_s = now_s if math.isfinite(now_s) else None
        self.counters.clock_jumps += 1
        self.start_anew()
        self._vehicles.clear()
        self.odometry.start_anew()
        self._refused_heroes, self._refused_frames = Refusals(), Refusals()
        self.guard.reset()
        return None

    def _locate(self, now_s: float, reckoned: VehiclePose) -> tuple[VehiclePose, str]:
        """The drone now, and what is wrong with its odometry; without odometry where its commands have led it."""
        timeouts = self.parameters.timeouts
        for state in self._vehicles:
            before = self.odometry.newest
            jump = self.odometry.take(state, now_s, timeouts, frame_in_use=self.estimator.stamp_s is not None)
            if jump is not None:
                self.counters.odom_jumps += 1
                self.estimator.reset()
                self._hero_climb.begin_anew()
                self._ground_climb.begin_anew()
            newest = self.odometry.newest
            if newest is not None and before is None:
                self._carry_start(reckoned, newest, newest.yaw_rad - reckoned.yaw_rad)
            elif newest is not None and before is not None and jump is not None and not jump.same_origin:
                self._carry_start(before, newest)
        self._vehicles.clear()
        self.counters.odom_refused = self.odometry.refused
        if not self.odometry.heard:
            return reckoned, ""
        newest = self.odometry.newest
        return newest.moved_to(now_s) if newest else VehiclePose(now_s), self.odometry.fault(now_s, timeouts)

    def _carry_start(self, old: VehiclePose, new: VehiclePose, turn_rad: float = 0.0) -> None:
        """Keep the start where it was seen from the drone, which is at `old` in one frame and at `new` in another."""
        if self._start_m is None:
            return
        was_at = old.moved_to(new.stamp_s).position_m
        dx, dy, dz = (start - place for start, place in zip(self._start_m, was_at, strict=True))
        dx, dy = rotated(dx, dy, turn_rad)
        x, y, z = new.position_m
        self._start_m = (x + dx, y + dy, z + dz)

    def _take_people(self, now_s: float) -> None:
        """Report everybody but the hero to the guard; what cannot be is left out."""
        for stamp_s, positions in self._people:
            if wrong_stamp(stamp_s, now_s, self.parameters.timeouts.frame_s, self.parameters.timeouts):
                self.counters.mistimed += 1
                continue
            plausible = [position for position in positions if not implausible_position(position)]
            self.counters.implausible += len(positions) - len(plausible)
            self.guard.see_people(stamp_s, plausible)
        self._people.clear()

    def _take_frames(self, now_s: float) -> None:
        """Use the positions that came since the last step, oldest first, each at its own stamp."""
        timeouts = self.parameters.timeouts
        camera = self.parameters.camera
        for stamp_s in self._frames:
            wrong = wrong_stamp(stamp_s, now_s, timeouts.camera_s, timeouts)
            if wrong:
                self._refused_frames.note(f"frames with {wrong}", now_s)
            else:
                self._refused_frames.accepted()
                self._frame_s = max(self._frame_s, stamp_s)
        self._frames.clear()
        usable = [hero for hero in self._heroes if self._is_usable(hero, now_s)]
        self._heroes.clear()
        for hero in sorted(usable, key=lambda hero: hero.stamp_s):
            self.guard.see_hero(hero.stamp_s, hero.position_camera_m)
            self._frozen.see(hero.stamp_s, hero.position_camera_m)
            pose = self._history.at(hero.stamp_s)
            if pose is None:
                self.counters.without_pose += 1
                continue
            self._frame_s = max(self._frame_s, hero.stamp_s)
            position, seen_from = hero_in_odom(
                hero.position_camera_m, camera.mount, camera.stabilised, pose.position_m, pose.attitude_rad
            )
            self.estimator.observe(hero.stamp_s, position, seen_from, timeouts.coast_s)
        if self.estimator.is_contradicted:
            self.estimator.reset()
            self._anew, self._anew_s = CONTRADICTED, now_s

    @property
    def _history(self) -> VehicleHistory:
        return self.odometry.history if self.odometry.heard else self.guard.history

    def _is_usable(self, hero: HeroPosition, now_s: float) -> bool:
        timeouts = self.parameters.timeouts
        implausible = implausible_position(hero.position_camera_m)
        wrong = wrong_stamp(hero.stamp_s, now_s, timeouts.frame_s, timeouts)
        if implausible:
            self.counters.implausible += 1
        elif wrong:
            self.counters.mistimed += 1
        else:
            self._refused_heroes.accepted()
            return True
        self._refused_heroes.note(implausible or f"hero positions with {wrong}", now_s)
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
                self._start_m = self._start_m or vehicle.position_m
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
        ground_m = 0.0 if self.odometry.heard else hero.position_odom_m[2] - self.parameters.hero.height_m / 2
        above_ground_m = vehicle.position_m[2] - ground_m
        up_m_s = self._limiter.command.up_m_s
        self._hero_climb.step(up_m_s, self._references.height.value - where.height_m, where.height_m, dt_s)
        if self.odometry.heard:
            missing_m = self.parameters.limits.minimum_height_m - above_ground_m
            self._ground_climb.step(up_m_s, missing_m, above_ground_m, dt_s)
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
        start_m = self._start_m or vehicle.position_m
        wanted, shaped_by_space = within_space(
            self.parameters, scaled(wanted, share), vehicle, start_m[:2], above_ground_m
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
        distance = max(limits.minimum_distance_m, min(MAX_SET_POINT_DISTANCE_M, distance))
        trim.distance_m = distance - points.distance_m
        height = points.height_m + trim.height_m + _clamped(stick.up_m_s, limits.up_m_s) * dt_s
        trim.height_m = max(MIN_SET_POINT_HEIGHT_M, min(MAX_SET_POINT_HEIGHT_M, height)) - points.height_m
        along_m = _clamped(stick.left_m_s, limits.orbit_m_s) * dt_s
        trim.bearing_rad = wrapped(trim.bearing_rad - along_m / max(distance_m, limits.minimum_distance_m))


def _clamped(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))
