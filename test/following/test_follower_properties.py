"""Whatever comes in, in whatever order and with whatever stamps: what goes out is finite, limited, and ends in time."""

from __future__ import annotations

import dataclasses
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_follow.following.follower import MAX_STEP_S, Follower
from fcn_follow.following.limits import Limiter
from fcn_follow.following.parameters import (
    BEARINGS,
    LOST_ACTIONS,
    FollowerParameters,
    Limits,
    SearchParameters,
    SetPoints,
    Timeouts,
)
from fcn_follow.following.states import State
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, VehicleState, VelocityCommand

NUMBER = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=False)
METRES = (
    st.floats(-60.0, 60.0, allow_subnormal=False) | st.sampled_from([math.nan, math.inf, -math.inf, 1e308]) | NUMBER
)
STAMP_OFFSET = st.sampled_from([0.0, -0.05, -0.3, -2.0, 0.05, 5.0, 1e9, -1e9, math.nan, math.inf, -math.inf])
POINT = st.tuples(METRES, METRES, METRES)
NEAR_POINT = st.tuples(
    st.floats(-6.0, 6.0, allow_subnormal=False),
    st.floats(-3.0, 3.0, allow_subnormal=False),
    st.floats(1.0, 25.0, allow_subnormal=False),
)
QUATERNION = st.tuples(*[st.floats(-1.0, 1.0, allow_subnormal=False) | NUMBER] * 4)
EVENT = st.one_of(
    st.tuples(st.just("hero"), STAMP_OFFSET, POINT),
    st.tuples(st.just("hero"), st.just(0.0), st.permutations([0.5, 5.0, math.nan]).map(tuple)),
    st.tuples(st.just("seen"), st.integers(1, 60), NEAR_POINT),
    st.tuples(st.just("frame"), STAMP_OFFSET),
    st.tuples(st.just("people"), STAMP_OFFSET, st.lists(POINT, max_size=3)),
    st.tuples(st.just("odom"), STAMP_OFFSET, POINT, QUATERNION, POINT, NUMBER),
    st.tuples(st.just("stick"), POINT),
    st.tuples(
        st.just("points"),
        st.floats(2.5, 50.0, allow_subnormal=False),
        st.floats(-1.0, 30.0, allow_subnormal=False),
        st.sampled_from(BEARINGS),
    ),
    st.tuples(st.just("enable"), st.booleans()),
    st.tuples(st.just("reset")),
    st.tuples(st.just("fault"), st.integers(1, 5)),
    st.tuples(st.just("wait"), st.integers(1, 80), st.sampled_from([0.02, 0.02, 0.1, 0.005, 0.3])),
    st.tuples(st.just("clock"), st.sampled_from([-5.0, 0.0, 0.5, 30.0, math.nan, math.inf])),
)
LIMITS = st.builds(
    Limits,
    speed_m_s=st.floats(0.2, 15.0, allow_subnormal=False),
    up_m_s=st.floats(0.2, 5.0, allow_subnormal=False),
    down_m_s=st.floats(0.2, 5.0, allow_subnormal=False),
    acceleration_m_s2=st.floats(0.3, 15.0, allow_subnormal=False),
    jerk_m_s3=st.floats(1.0, 150.0, allow_subnormal=False),
    yaw_rate_rad_s=st.floats(0.1, 5.0, allow_subnormal=False),
    yaw_acceleration_rad_s2=st.floats(0.2, 30.0, allow_subnormal=False),
)


class Watch:
    """Sees each command and holds it against the limits and the timeouts."""

    def __init__(self, parameters: FollowerParameters) -> None:
        self.follower = Follower(parameters, enabled=True)
        self.limits, self.timeouts = parameters.limits, parameters.timeouts
        self.now_s = 100.0
        self.last = ZERO_COMMAND
        self.begin_again()
        self.valid_frame_s = -math.inf
        self.commands_that_move = 0

    def begin_again(self) -> None:
        """The next change begins without an acceleration. Each list holds what the last one may have been."""
        self.last_a, self.last_climb_a = [(0.0, 0.0)], [0.0]

    def step(self, dt_s: float = 0.02, fault: str = "") -> None:
        self.now_s += dt_s
        step = self.follower.step(self.now_s, fault)
        command = step.command
        numbers = dataclasses.astuple(command)
        assert all(map(math.isfinite, numbers))
        limits, slack = self.limits, 1.0 + 1e-6
        assert math.hypot(command.forward_m_s, command.left_m_s) <= limits.speed_m_s * slack
        assert -limits.down_m_s * slack <= command.up_m_s <= limits.up_m_s * slack
        assert abs(command.yaw_rate_rad_s) <= limits.yaw_rate_rad_s * slack
        moving = any(numbers)
        self.commands_that_move += moving
        if moving:
            assert not fault
            assert self.follower.enabled
            assert self.now_s - self.valid_frame_s <= self.timeouts.camera_s + 1e-9
        if not moving and step.state in (State.IDLE, State.HOLDING):
            self.last = command
            self.begin_again()
            return
        dt_s = min(dt_s, MAX_STEP_S)
        if dt_s > 0.0 and any(name.startswith("guard: ") for name in step.limited_by):
            self._check_a_cut(command, dt_s)
        elif dt_s > 0.0:
            self._check_changes(command, dt_s)

    def _check_a_cut(self, command: VelocityCommand, dt_s: float) -> None:
        """The guard may take away at once, but it gives no more than the acceleration allows.

        An axis that it cuts begins again without an acceleration; the other one goes on.
        """
        last, growth = self.last, self.limits.acceleration_m_s2 * dt_s * 1.03 + 1e-6
        speed = math.hypot(command.forward_m_s, command.left_m_s)
        assert speed <= math.hypot(last.forward_m_s, last.left_m_s) + growth
        assert abs(command.up_m_s) <= abs(last.up_m_s) + growth
        a, climb_a = self._change(command, dt_s)
        self.begin_again()
        self.last_a.append(a)
        self.last_climb_a.append(climb_a)
        self.last = command

    def _change(self, command: VelocityCommand, dt_s: float) -> tuple[tuple[float, float], float]:
        """The horizontal acceleration since the last command, and that of the climb."""
        last = self.last
        a = ((command.forward_m_s - last.forward_m_s) / dt_s, (command.left_m_s - last.left_m_s) / dt_s)
        return a, (command.up_m_s - last.up_m_s) / dt_s

    def _check_changes(self, command: VelocityCommand, dt_s: float) -> None:
        limits, last = self.limits, self.last
        a, climb_a = self._change(command, dt_s)
        assert math.hypot(*a) <= limits.acceleration_m_s2 * 1.0001 + 1e-6
        assert abs(climb_a) <= limits.acceleration_m_s2 * 1.0001 + 1e-6
        jerk = min(math.dist(a, last_a) for last_a in self.last_a) / dt_s
        climb_jerk = min(abs(climb_a - last_a) for last_a in self.last_climb_a) / dt_s
        assert max(jerk, climb_jerk) <= limits.jerk_m_s3 * 1.0001 + 1e-5
        yaw_change = abs(command.yaw_rate_rad_s - last.yaw_rate_rad_s)
        assert yaw_change <= limits.yaw_acceleration_rad_s2 * dt_s * 1.0001 + 1e-9
        self.last, self.last_a, self.last_climb_a = command, [a], [climb_a]

    def see(self, steps: int, place: tuple[float, float, float]) -> None:
        for index in range(steps):
            if index % 3 == 0:
                self.valid_frame_s = max(self.valid_frame_s, self.now_s)
                x, y, z = place
                jitter_m = 1e-4 * math.sin(self.now_s)  # a living camera never gives the same digits twice
                self.follower.observe_hero(HeroPosition(self.now_s, (x, y, z + jitter_m)))
            self.step()

    def handle(self, kind: str, *values) -> None:
        follower = self.follower
        if kind == "seen":
            self.see(*values)
        elif kind in ("hero", "frame"):
            stamp_s = self.now_s + values[0]
            if math.isfinite(stamp_s) and stamp_s <= self.now_s + self.timeouts.future_s:
                self.valid_frame_s = max(self.valid_frame_s, stamp_s)
            if kind == "frame":
                follower.observe_frame(stamp_s)
            else:
                follower.observe_hero(HeroPosition(stamp_s, values[1]))
        elif kind == "people":
            follower.observe_people(self.now_s + values[0], values[1])
        elif kind == "odom":
            offset_s, position, orientation, velocity, yaw_rate = values
            follower.observe_vehicle(VehicleState(self.now_s + offset_s, position, orientation, velocity, yaw_rate))
        elif kind == "stick":
            follower.observe_stick(VelocityCommand(*values[0]))
        elif kind == "points":
            follower.set_parameters(dataclasses.replace(follower.parameters, set_points=SetPoints(*values)))
        elif kind == "enable":
            follower.enable(values[0])
        elif kind == "reset":
            follower.reset()
        elif kind == "fault":
            for _ in range(values[0]):
                self.step(fault="trouble")
        elif kind == "wait":
            for _ in range(values[0]):
                self.step(values[1])
        elif kind == "clock" and not math.isfinite(values[0]):
            assert follower.step(values[0]).command == ZERO_COMMAND
            self.last = ZERO_COMMAND
            self.begin_again()
        else:
            if not 0.0 <= values[0] <= self.timeouts.clock_s:
                self.valid_frame_s = -math.inf
            self.step(values[0])


@settings(max_examples=100, deadline=None)
@given(NEAR_POINT, st.lists(EVENT, max_size=25), LIMITS, st.sampled_from(LOST_ACTIONS))
def test_any_sequence_gives_limited_commands(place, events, limits, action):
    parameters = FollowerParameters(limits=limits, search=SearchParameters(action=action))
    watch = Watch(parameters)
    watch.see(60, place)
    for event in events:
        watch.handle(*event)
    for _ in range(int((parameters.timeouts.camera_s + 0.1) / 0.02)):
        watch.step()
    assert watch.follower.step(watch.now_s).command == ZERO_COMMAND


@settings(max_examples=20, deadline=None)
@given(NEAR_POINT, st.floats(0.0, 1.0, allow_subnormal=False), st.sampled_from(("hold", "land", "return")))
def test_a_lost_hero_ends_in_zero_though_the_camera_lives(place, extra_s, action):
    timeouts = Timeouts(coast_s=1.0 + extra_s, search_s=4.0 + extra_s)
    watch = Watch(FollowerParameters(timeouts=timeouts, search=SearchParameters(look_s=1.0, action=action)))
    watch.see(60, place)
    assert watch.commands_that_move
    seen_s = watch.valid_frame_s
    while watch.now_s < seen_s + timeouts.search_s + 0.02:
        watch.valid_frame_s = watch.now_s
        watch.follower.observe_frame(watch.now_s)
        watch.step()
    step = watch.follower.step(watch.now_s)
    assert step.command == ZERO_COMMAND
    assert step.state is State.HOLDING
    assert step.request == ("" if action == "hold" else action)


@settings(max_examples=40, deadline=None)
@given(LIMITS, LIMITS, st.integers(0, 2**31))
def test_limits_that_change_in_flight_are_reached_within_the_new_acceleration(before, after, seed):
    rng = random.Random(seed)
    limiter = Limiter()
    for limits, steps in ((before, 150), (after, 150)):
        for index in range(steps):
            if index % 25 == 0:
                wanted = VelocityCommand(*(rng.uniform(-20.0, 20.0) for _ in range(4)))
            last = limiter.command
            command, _ = limiter.step(wanted, limits, 0.02)
            change = math.hypot(command.forward_m_s - last.forward_m_s, command.left_m_s - last.left_m_s)
            assert change <= max(before.acceleration_m_s2, limits.acceleration_m_s2) * 0.02 * 1.0001
    turn_s = (before.speed_m_s + after.speed_m_s) / after.acceleration_m_s2  # it may fly the other way
    for _ in range(3000 + round(turn_s / 0.02)):
        command, limited = limiter.step(VelocityCommand(30.0, 30.0, 30.0, 30.0), after, 0.02)
    assert math.isclose(math.hypot(command.forward_m_s, command.left_m_s), after.speed_m_s, rel_tol=1e-3)
    assert math.isclose(command.up_m_s, after.up_m_s, rel_tol=1e-3)
    assert {"speed", "climb speed", "yaw rate"} <= set(limited)


def test_limits_lowered_in_full_acceleration_do_not_let_the_speed_run_away():
    limiter, before = Limiter(), Limits(speed_m_s=4.0, acceleration_m_s2=11.0, jerk_m_s3=41.0)
    after = Limits(speed_m_s=1.0, acceleration_m_s2=1.0, jerk_m_s3=1.0)
    for _ in range(15):
        limiter.step(VelocityCommand(-20.0), before, 0.02)
    speeds = [abs(limiter.step(VelocityCommand(-20.0), after, 0.02)[0].forward_m_s) for _ in range(500)]
    assert max(speeds) < 4.0
    assert math.isclose(speeds[-1], 1.0, rel_tol=1e-3)
