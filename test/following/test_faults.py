"""Faults in a closed loop: whatever fails, the drone does not fly at the hero, and says what is wrong."""

from __future__ import annotations

import collections
import dataclasses
import math
import random
import re

import numpy as np
import pytest
from flight import HERO_MIDDLE_M, STEP_S, Flight, running, slalom, straight, turns

from fcn_follow.coordinates import quaternion_xyzw, rotated
from fcn_follow.following.follower import Follower
from fcn_follow.following.monitors import CameraRate, FrozenPicture
from fcn_follow.following.odometry import Odometry
from fcn_follow.following.parameters import (
    FollowerCameraParameters,
    FollowerParameters,
    SetPoints,
    Timeouts,
    VehicleParameters,
)
from fcn_follow.following.states import State
from fcn_follow.following.vehicle import VehiclePose
from fcn_follow.geometry import ZERO_COMMAND, HeroPosition, VehicleState, VelocityCommand
from fcn_follow.parameters import with_values
from fcn_follow.simulation.drone import Drone, OdometryNoise
from fcn_follow.simulation.drone import Odometry as SimulatedOdometry
from fcn_follow.simulation.faults import HERO_PLACES, KINDS, Fault, Injector
from fcn_follow.simulation.scenarios import find_scenario

BEGIN_S, END_S = 10.0, 13.0
TOWARDS_HERO = 0.0


def flown(kind, size=0.0, direction_rad=TOWARDS_HERO, path=None, end_s=END_S, **options):
    """The hero stops at the moment when the fault begins, which is the worst that it can do."""
    walk = path or straight()

    def stops(t):
        return walk(min(t, BEGIN_S))

    injector = Injector([Fault(kind, BEGIN_S, end_s, direction_rad, size)])
    return Flight(stops, duration_s=20.0, injector=injector, drop_share=0.0, **options).fly()


def said(flight, text, within_s=math.inf):
    """When a text was first reported after the fault began; None where it never was."""
    for t, step in zip(flight.times, flight.steps, strict=True):
        if BEGIN_S <= t <= BEGIN_S + within_s and any(text in each for each in (step.reason, *step.limited_by)):
            return t
    return None


@pytest.mark.parametrize("speed_m_s", [1.4, 3.5])
@pytest.mark.parametrize("size_m", [3.0, 8.0, 15.0, 30.0, 50.0])
@pytest.mark.parametrize("direction_rad", [0.0, math.pi, 1.5])
def test_a_jump_of_odometry_holds_and_flies_at_nobody(size_m, direction_rad, speed_m_s):
    flight = flown("odom_jump", size_m, direction_rad, straight(speed_m_s))
    assert min(flight.distances_m[flight.after(BEGIN_S)]) > 2.0
    assert said(flight, "odometry jumped by", within_s=0.05)
    held = [s for t, s in zip(flight.times, flight.steps, strict=True) if BEGIN_S + 0.05 < t < BEGIN_S + 0.9]
    assert {step.command for step in held} == {ZERO_COMMAND}
    assert flight.steps[-1].state is State.TRACKING, "it follows again"
    assert flight.distances_m[-1] == pytest.approx(5.0, abs=0.7)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("odom_")])
def test_odometry_that_lies_moves_nothing(kind):
    flight = flown(kind, size=2.0, path=running())
    assert flight.approach_m(BEGIN_S) > 1.5
    assert any(said(flight, name) for name in KINDS[kind].named) or KINDS[kind].needs_motion
    assert all(map(math.isfinite, (step.command.forward_m_s for step in flight.steps)))


@pytest.mark.parametrize("kind", ["odom_not_finite", "odom_huge_position", "odom_huge_speed", "odom_zero_stamps"])
def test_odometry_that_was_never_good_is_a_fault_and_not_no_odometry(kind):
    injector = Injector([Fault(kind, 0.0, 99.0, 0.0, 0.0)])
    flight = Flight(straight(), duration_s=6.0, injector=injector).fly()
    assert {step.command for step in flight.steps[flight.after(0.6)]} == {ZERO_COMMAND}
    assert "odometry is refused: " in flight.steps[-1].reason
    assert flight.follower.counters.odom_refused > 200


def test_odometry_that_appears_or_vanishes_in_flight_never_asks_for_a_landing():
    parameters = with_values(Flight(straight()).parameters, {"search.action": "land"})

    for begin_s, end_s in ((0.0, BEGIN_S), (BEGIN_S, 99.0)):
        injector = Injector([Fault("odom_stale", begin_s, end_s, 0.0, 0.0)])
        flight = Flight(straight(), duration_s=14.0, injector=injector, parameters=parameters).fly()
        assert {step.request for step in flight.steps} == {""}
        assert said(flight, "odometry has appeared" if begin_s == 0.0 else "odometry is stale", within_s=0.6)
        assert flight.approach_m() > 1.5


@pytest.mark.parametrize("path", [straight(), running()], ids=["walking", "running"])
@pytest.mark.parametrize("kind", ["hero_hidden", "no_frames", "picture_frozen"])
def test_a_hero_who_stops_the_moment_it_is_not_seen_is_not_run_at(kind, path):
    flight = flown(kind, path=path, end_s=18.0)
    assert min(flight.distances_m[flight.after(BEGIN_S)]) > 1.5


class Beyond(Injector):
    """From BEGIN_S on somebody farther away, and aside, is taken for the hero in each frame."""

    def __init__(self, farther_m, aside_m):
        super().__init__()
        self.farther_m, self.aside_m = farther_m, aside_m

    def seen(self, now_s, sight):
        if now_s < BEGIN_S or sight.hero_camera_m is None:
            return sight
        x, y, z = sight.hero_camera_m
        return dataclasses.replace(sight, hero_camera_m=(x + self.aside_m, y, z + self.farther_m))


@pytest.mark.parametrize("with_odom", [True, False])
@pytest.mark.parametrize("aside_m", [0.0, 3.0])
@pytest.mark.parametrize("farther_m", [10.0, 15.0, 30.0, 60.0])
def test_a_hidden_hero_is_not_run_at_while_somebody_else_is_taken_for_it(farther_m, aside_m, with_odom):
    def stops(t):
        return straight(3.0)(min(t, BEGIN_S))

    coast_s = Timeouts().coast_s
    injector = Beyond(farther_m, aside_m)
    flight = Flight(stops, duration_s=BEGIN_S + coast_s, injector=injector, with_odom=with_odom, drop_share=0.0).fly()
    assert min(flight.distances_m[flight.after(BEGIN_S)]) > 2.0


@pytest.mark.parametrize(("speed_m_s", "hidden_s"), [(3.0, 3.5), (5.5, 2.5), (5.5, 3.5)])
def test_a_hero_who_comes_out_farther_away_is_pursued(speed_m_s, hidden_s):
    parameters = with_values(Flight(straight()).parameters, {"limits.speed_m_s": 9.0})
    hidden = ((BEGIN_S, BEGIN_S + hidden_s),)
    flight = Flight(straight(speed_m_s), duration_s=30.0, occluded=hidden, parameters=parameters).fly()
    assert {step.state for step in flight.steps[flight.after(BEGIN_S + hidden_s + 1.0)]} == {State.TRACKING}
    assert flight.distance_rms_m(25.0) < 6.0


def test_a_frozen_picture_is_named_and_stops_the_drone():
    flight = flown("picture_frozen", path=straight(3.0), end_s=19.0)
    named_s = said(flight, "the picture is frozen")
    assert named_s is not None
    assert named_s < BEGIN_S + 1.0
    end = flight.steps[-60]
    assert end.command == ZERO_COMMAND
    after = [step.state for t, step in zip(flight.times, flight.steps, strict=True) if t > 19.8]
    assert State.TRACKING in after, "it follows again once the picture lives"


class StampedOnArrival(Injector):
    def seen(self, now_s, sight):
        return dataclasses.replace(sight, stamp_s=now_s)


def walks_and_stops(t):
    return 5.0 + 1.4 * max(0.0, min(t, 12.0) - 3.0), 0.0


class Mirrored(Injector):
    def seen(self, now_s, sight):
        if sight.hero_camera_m is None:
            return sight
        x, y, z = sight.hero_camera_m
        return dataclasses.replace(sight, hero_camera_m=(-x, y, z))


class OdometryStampedOnArrival(Injector):
    """Each value of odometry arrives LATE_S after it was true, with the time of its arrival."""

    LATE_S = 0.4

    def __init__(self):
        super().__init__()
        self.values = collections.deque(maxlen=1 + round(self.LATE_S / STEP_S))

    def odometry(self, now_s, state):
        self.values.append(state)
        return dataclasses.replace(self.values[0], stamp_s=now_s)


def beside(t):
    return 5.0, 2.5


def sidewards(t):
    return 5.0, 1.4 * max(0.0, min(t, 16.0) - 4.0)


PATHS = [walks_and_stops, turns(), beside, sidewards]
UNSEEN_S = 1.5  # of the hero, at first


def checked(path, injector, **options):
    """A flight whose hero comes into view when the follower has run for some time, as in most flights."""
    unseen = ((0.0, UNSEEN_S),)
    options = {"parameters": FollowerParameters(), "velocity_lag_s": 0.8, "occluded": unseen, **options}
    return Flight(path, 20.0, injector=injector, **options).fly()


def assert_held_near_the_start(flight, text):
    named_s = [t for t, step in zip(flight.times, flight.steps, strict=True) if text in step.fault]
    assert named_s
    assert named_s[0] < UNSEEN_S + 4.0
    assert {step.command for step in flight.steps[flight.after(named_s[0])]} == {ZERO_COMMAND}
    assert max(math.hypot(x, y) for x, y, _ in flight.drone_m) < 3.0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("latency_s", [0.35, 0.6])
def test_a_latency_that_stamps_do_not_show_is_found_before_the_drone_is_far(path, latency_s):
    assert_held_near_the_start(checked(path, StampedOnArrival(), latency_s=latency_s), "images seem to be 0.")


def test_a_latency_that_stamps_do_not_show_can_be_given():
    parameters = FollowerParameters(camera=FollowerCameraParameters(latency_s=0.4))
    flight = checked(walks_and_stops, StampedOnArrival(), latency_s=0.5, parameters=parameters)
    assert not any(step.fault for step in flight.steps)
    assert min(flight.distances_m) > parameters.limits.minimum_distance_m


@pytest.mark.parametrize("path", PATHS)
def test_odometry_that_is_stamped_on_arrival_is_found_before_the_drone_is_far(path):
    assert_held_near_the_start(checked(path, OdometryStampedOnArrival()), "odometry seems to be 0.4 s older")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("with_odom", [True, False])
def test_a_mirrored_picture_is_found_before_the_drone_is_far(path, with_odom):
    options = {} if with_odom else {"parameters": FollowerParameters(vehicle=VehicleParameters(0.3))}
    flight = checked(path, Mirrored(), with_odom=with_odom, **options)
    assert_held_near_the_start(flight, "the picture seems to be mirrored")


@pytest.mark.parametrize("path", PATHS)
def test_a_mirrored_picture_is_named_with_a_camera_that_looks_steeply_down(path):
    camera = FollowerCameraParameters(pitch_down_rad=1.1)
    parameters = FollowerParameters(camera=camera, set_points=SetPoints(distance_m=4.0, height_m=8.0))
    flight = checked(path, Mirrored(), parameters=parameters, start=(0.0, 0.0, 8.8, 0.0))
    assert_held_near_the_start(flight, "the picture seems to be mirrored")


class Rolling(Injector):
    """A camera without a gimbal on a drone that rolls to and fro, as the odometry reports, as often as it turns."""

    @staticmethod
    def roll_rad(t):
        return 0.25 * math.cos(math.tau * (t - 2.1))

    def seen(self, now_s, sight):
        if sight.hero_camera_m is None:
            return sight
        right, down, forward = sight.hero_camera_m
        right, down = rotated(right, down, -self.roll_rad(sight.stamp_s))
        return dataclasses.replace(sight, hero_camera_m=(right, down, forward))

    def odometry(self, now_s, state):
        yaw_rad = 2.0 * math.atan2(state.orientation_odom_xyzw[2], state.orientation_odom_xyzw[3])
        orientation = quaternion_xyzw(self.roll_rad(state.stamp_s), 0.0, yaw_rad)
        return dataclasses.replace(state, orientation_odom_xyzw=orientation)


@pytest.mark.parametrize("path", PATHS)
def test_a_drone_that_rolls_with_a_camera_without_a_gimbal_is_no_fault(path):
    parameters = FollowerParameters(camera=FollowerCameraParameters(stabilised=False, pitch_down_rad=0.0))
    flight = checked(path, Rolling(), parameters=parameters, start=(0.0, 0.0, 4.0, 0.0))
    assert not any("seem" in step.fault for step in flight.steps)


class Obeys(Mirrored):
    """The drone obeys from a time on: before, the pilot flies it."""

    def __init__(self, from_s):
        super().__init__()
        self.from_s = from_s

    def reaches_the_drone(self, now_s):
        return now_s >= self.from_s


class OdometryAppears(Mirrored):
    def odometry(self, now_s, state):
        return state if now_s >= UNSEEN_S + 1.5 else None


@pytest.mark.parametrize(
    ("injector", "hidden"),
    [(Obeys(5.0), ()), (OdometryAppears(), ()), (Mirrored(), ((UNSEEN_S + 1.0, UNSEEN_S + 3.0),))],
    ids=["flown by the pilot", "odometry appears", "hidden"],
)
@pytest.mark.parametrize("path", [walks_and_stops, beside])
def test_a_turn_that_was_not_flown_or_not_seen_is_made_again(path, injector, hidden):
    flight = checked(path, injector, occluded=((0.0, UNSEEN_S), *hidden))
    assert any("the picture seems to be mirrored" in step.fault for step in flight.steps)
    assert flight.steps[-1].command == ZERO_COMMAND
    assert max(math.hypot(x, y) for x, y, _ in flight.drone_m) < 4.0


def test_a_drone_that_turns_too_slowly_to_be_checked_is_named_and_flies():
    parameters = with_values(FollowerParameters(), {"limits.yaw_rate_rad_s": 0.05})
    flight = checked(straight(0.0), Injector(), parameters=parameters)
    assert flight.steps[-1].reason == "hero seen; the drone turned too little to check the picture"
    assert not any(step.fault for step in flight.steps)


@pytest.mark.parametrize("path", [*PATHS, slalom(), running(), turns(3.5, 3.0)])
@pytest.mark.parametrize("latency_s", [0.08, 0.5])
def test_a_latency_that_stamps_show_is_no_fault(path, latency_s):
    assert not any("seem" in step.fault for step in checked(path, Injector(), latency_s=latency_s).steps)


def test_the_turn_that_checks_the_picture_comes_once():
    hidden = ((0.0, UNSEEN_S), (8.0, 12.0))
    flight = checked(straight(0.0), Injector(), occluded=hidden, angle_noise_rad=0.0)
    checking = [step for step in flight.steps if "turning to and fro" in step.reason]
    begin_s, end_s = checking[0].now_s, checking[-1].now_s
    assert end_s - begin_s < 2.0 + STEP_S
    assert end_s < 5.0
    rates = [step.command.yaw_rate_rad_s for step in flight.steps]
    assert max(rates) > 0.3
    assert min(rates) < -0.3
    assert max(map(abs, rates[int(12.0 / STEP_S) :])) < 0.1, "not again after the hero was hidden"


def test_positions_too_old_for_tracking_are_named():
    flight = Flight(straight(), 8.0, latency_s=0.75).fly()
    assert {step.command for step in flight.steps} == {ZERO_COMMAND}
    assert re.search(r"positions are 0.7\d s old on arrival; timeouts.tracking_s is 0.6 s", flight.steps[-1].reason)


class OldSights(Injector):
    """From BEGIN_S to END_S the last pictures come in turn, under new stamps."""

    def __init__(self, number):
        super().__init__()
        self.old, self.frames = collections.deque(maxlen=number), 0

    def seen(self, now_s, sight):
        if not BEGIN_S <= now_s < END_S:
            self.old.append(sight)
            return sight
        self.frames += 1
        return dataclasses.replace(self.old[self.frames % len(self.old)], stamp_s=sight.stamp_s)


@pytest.mark.parametrize("with_odom", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3, 24])
def test_old_pictures_that_come_in_turn_are_a_frozen_picture(number, with_odom):
    flight = Flight(straight(3.0), duration_s=20.0, injector=OldSights(number), with_odom=with_odom, drop_share=0.0)
    named_s = said(flight.fly(), "the picture is frozen")
    assert named_s is not None
    assert named_s < BEGIN_S + 1.0
    frozen = flight.steps[slice(int((BEGIN_S + 1.0) / STEP_S), int(END_S / STEP_S))]
    assert {step.command for step in frozen} == {ZERO_COMMAND}
    assert flight.steps[-1].state is State.TRACKING, "it follows again"


@pytest.mark.parametrize("drone", ["sways", "flies"])
def test_pictures_that_repeat_as_a_drone_sways_to_and_fro_are_no_fault(drone):
    """A synthetic camera gives the same picture at the same place; a drone that flies away is at no place twice."""
    monitor, faults = FrozenPicture(), []
    for index in range(600):
        place = index // 3 % 2 if drone == "sways" else 0
        monitor.see(index / 15, (0.1 * place, 0.0, 5.0))
        monitor.move(VelocityCommand(left_m_s=0.5 - place), 1 / 15)
        faults.append(monitor.fault(Timeouts().frozen_s))
    assert any(faults) is (drone == "flies")


@pytest.mark.parametrize(("speed_m_s", "within_s"), [(0.8, 1.6), (1.4, 1.0), (3.5, 1.0)])
def test_frozen_odometry_is_named_at_any_pace(speed_m_s, within_s):
    injector = Injector([Fault("odom_frozen", BEGIN_S, END_S, 0.0, 0.0)])
    flight = Flight(straight(speed_m_s), duration_s=20.0, injector=injector, drop_share=0.0).fly()
    assert said(flight, "odometry is frozen", within_s)
    assert flight.steps[-1].state is State.TRACKING, "it follows again"


def test_exact_odometry_of_a_drone_that_stops_at_once_is_no_fault():
    """A kinematic simulator: it stands in the step in which the command is zero, whatever vehicle.response_s says."""
    odometry, still, reasons = Odometry(), VehicleState(0.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0)), []
    for index in range(60):
        now_s = index * STEP_S
        odometry.take(dataclasses.replace(still, stamp_s=now_s), now_s, Timeouts(), frame_in_use=False)
        expected = VehiclePose(now_s, velocity_m_s=(0.6, 0.0, 0.0))
        assert odometry.disobedience(expected, ZERO_COMMAND, now_s, Timeouts()) == ""
    for index in range(60, 120):
        now_s = index * STEP_S
        odometry.take(dataclasses.replace(still, stamp_s=now_s), now_s, Timeouts(), frame_in_use=False)
        reasons.append(odometry.disobedience(expected, VelocityCommand(0.6), now_s, Timeouts()))
    assert reasons[-1].startswith("odometry is frozen")


@pytest.mark.parametrize(("rate_hz", "positions"), [(50, 1), (50, 2), (50, 3), (10, 3), (1000, 3)])
def test_old_values_that_come_in_turn_are_frozen_odometry(rate_hz, positions):
    odometry, old = Odometry(), VehicleState(0.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0))
    for index in range(2 * rate_hz):
        now_s = index / rate_hz
        state = dataclasses.replace(old, stamp_s=now_s, position_odom_m=(1e-3 * (index % positions), 0.0, 2.0))
        odometry.take(state, now_s, Timeouts(), frame_in_use=False)
        expected = VehiclePose(now_s, velocity_m_s=(0.6, 0.0, 0.0))
        reason = odometry.disobedience(expected, VelocityCommand(0.6), now_s, Timeouts())
    assert reason.startswith("odometry is frozen")


@pytest.mark.parametrize("repeated", [5, 20])
def test_odometry_that_comes_more_often_than_it_is_measured_is_not_frozen(repeated):
    odometry, rate_hz = Odometry(), 50 * repeated // 5
    for index in range(3 * rate_hz):
        now_s, measured_s = index / rate_hz, index // repeated * repeated / rate_hz
        state = VehicleState(now_s, (0.6 * measured_s, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0), (0.6, 0.0, 0.0))
        odometry.take(state, now_s, Timeouts(), frame_in_use=False)
        expected = VehiclePose(now_s, velocity_m_s=(0.6, 0.0, 0.0))
        assert odometry.disobedience(expected, VelocityCommand(0.6), now_s, Timeouts()) == ""


def test_exact_odometry_of_a_drone_that_hovers_is_no_fault():
    flight = Flight(straight(0.0), duration_s=8.0, range_noise=0.0, angle_noise_rad=0.0, drop_share=0.0).fly()
    assert {step.reason for step in flight.steps[flight.after(4.0)]} == {"hero seen"}


def test_a_picture_that_stays_the_same_while_nothing_moves_is_no_fault():
    """A camera without noise before a hero who stands still, and a drone that hovers at its set point."""
    flight = Flight(straight(0.0), duration_s=15.0, range_noise=0.0, angle_noise_rad=0.0, drop_share=0.0).fly()
    assert not any(step.fault for step in flight.steps)
    assert flight.steps[-1].state is State.TRACKING


@pytest.mark.parametrize("seconds", [2.0, 6.0])
def test_a_cut_link_does_not_wind_up_the_command(seconds):
    flight = flown("link_cut", path=lambda t: (5.0 + 3.0 * t, 0.0), end_s=BEGIN_S + seconds)
    commands = [step.command.forward_m_s for step in flight.steps[flight.after(BEGIN_S + 0.5)]]
    assert max(commands) < 4.0
    assert flight.approach_m(BEGIN_S) > 1.5
    flight = Flight(
        lambda t: (5.0 + 3.0 * t, 0.0), duration_s=16.0, injector=Injector([Fault("link_cut", BEGIN_S, 14.0, 0.0, 0.0)])
    ).fly()
    assert said(flight, "the drone does not do what is commanded", within_s=1.6)
    cut = flight.steps[flight.after(BEGIN_S + 2.0)][:100]
    assert max(step.command.forward_m_s for step in cut) < 2.6, "it lets go, and no try leads by more than MAX_LEAD_M_S"


@pytest.mark.parametrize("degrees", [90.0, -120.0, 180.0])
def test_a_drone_that_flies_another_way_than_commanded_is_not_tried_for_ever(degrees):
    """Velocities east and north, where x of odom points elsewhere: each try leads the drone away, or to the hero."""

    def enabled_anew(t, follower):
        if t == 60.0:
            follower.enable(False)
            follower.enable(True)

    at = (6.0, 0.0)
    flight = Flight(lambda t: at, 64.0, flies_turned_rad=math.radians(degrees), at=enabled_anew, drop_share=0.0).fly()
    first, anew = flight.steps[: int(60.0 / STEP_S)], flight.steps[int(60.0 / STEP_S) :]
    assert max(math.dist(place, flight.drone_m[0]) for place in flight.drone_m[: len(first)]) < 5.0
    assert {(step.state, step.command) for step in first[int(20.0 / STEP_S) :]} == {(State.HOLDING, ZERO_COMMAND)}
    assert "the drone flies in another direction than commanded" in first[-1].reason
    assert any(step.state is State.TRACKING for step in anew)


@pytest.mark.parametrize(
    ("between_m_s", "until_s", "is_fault"),
    [((1.0, 0.0), 8.0, False), ((0.0, 0.0), 8.0, True), ((0.0, 0.0), 14.0, False)],
    ids=["obeys", "hovers", "long_ago"],
)
def test_another_direction_is_a_fault_if_the_drone_does_not_obey_meanwhile(between_m_s, until_s, is_fault):
    odometry, state = Odometry(), VehicleState(0.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0))
    x_m = y_m = 0.0
    for index in range(int((until_s + 2.0) / STEP_S)):
        now_s = index * STEP_S
        vx, vy = between_m_s if 2.0 < now_s < until_s else (0.0, 1.0)
        x_m, y_m = x_m + vx * STEP_S, y_m + vy * STEP_S
        moved = dataclasses.replace(
            state, stamp_s=now_s, position_odom_m=(x_m, y_m, 2.0), velocity_odom_m_s=(vx, vy, 0.0)
        )
        odometry.take(moved, now_s, Timeouts(), frame_in_use=False)
        commanded_m_s = (1.0, 0.0, 0.0) if (vx, vy) != (0.0, 0.0) else (0.0, 0.0, 0.0)
        expected = VehiclePose(now_s, velocity_m_s=commanded_m_s)
        reason = odometry.disobedience(expected, VelocityCommand(1.0), now_s, Timeouts())
    assert ("another direction" in reason) is is_fault
    odometry.forgive()
    assert "another direction" not in odometry.disobedience(None, ZERO_COMMAND, now_s, Timeouts())


def test_enabling_again_ends_what_holds_it_for_another_direction():
    def enable_again(t, follower):
        if math.isclose(t, 20.0):
            follower.enable(True)

    flight = Flight(straight(), 21.0, flies_turned_rad=2.5, at=enable_again).fly()
    reasons = {round(t, 2): step.reason for t, step in zip(flight.times, flight.steps, strict=True)}
    assert "another direction" in reasons[19.9]
    assert "another direction" not in reasons[20.1]


def test_a_spin_is_no_other_direction():
    """The axes of the velocity turn with the body, so its direction in them means nothing."""
    odometry, reason, reasons = Odometry(), "", set()
    for index in range(int(20.0 / STEP_S)):
        now_s = index * STEP_S
        half_rad = 0.5 * 1.5 * now_s
        spinning = VehicleState(
            now_s, (now_s, 0.0, 2.0), (0.0, 0.0, math.sin(half_rad), math.cos(half_rad)), (1.0, 0.0, 0.0), 1.5
        )
        odometry.take(spinning, now_s, Timeouts(), frame_in_use=False)
        expected = None if reason else VehiclePose(0.0, velocity_m_s=(1.0, 0.0, 0.0))
        reason = odometry.disobedience(expected, VelocityCommand(1.0), now_s, Timeouts())
        reasons.add(reason)
    assert any("the drone does not do what is commanded" in reason for reason in reasons)
    assert not any("another direction" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("response_s", "path", "seed", "duration_s"),
    [(0.3, turns(2.2), 2, 40.0), (0.8, turns(2.2), 2, 40.0), (0.8, lambda _: (6.0, 0.0), 8, 90.0)],
)
def test_a_storm_is_no_other_direction(response_s, path, seed, duration_s):
    """Wind of 8 m/s with the gusts of the scenario: they move the drone otherwise than commanded, now and then."""
    rng = np.random.default_rng(seed)
    drone = Drone((0.0, 0.0, 2.4), 0.0, wind=find_scenario("storm").wind, rng=rng)
    odometry = SimulatedOdometry(OdometryNoise(), rng)
    follower = Follower(FollowerParameters(vehicle=VehicleParameters(response_s)), enabled=True)
    reasons = set()
    for index in range(int(duration_s / STEP_S)):
        now_s = index * STEP_S
        follower.observe_vehicle(odometry.measure(drone, now_s))
        (x, y, z), (hero_x, hero_y) = drone.position_m.tolist(), path(now_s)
        forward, left = rotated(hero_x - x, hero_y - y, -drone.yaw_rad)
        if index % 3 == 0 and forward > abs(left):
            follower.observe_hero(HeroPosition(now_s, (-left, z - HERO_MIDDLE_M, forward)))
        step = follower.step(now_s)
        drone.command(step.command, now_s)
        drone.step(now_s, STEP_S)
        reasons.add(step.reason)
    assert any("the drone does not do what is commanded" in reason for reason in reasons)
    assert not any("another direction" in reason for reason in reasons)


def test_a_hero_that_stays_above_all_the_same_is_not_climbed_after_for_ever():
    """A gimbal that keeps the hero at one place of the picture, and a parameter that says the camera is fixed."""
    for with_odom in (True, False):
        follower, height_m, climb_m_s, reasons = Follower(enabled=True), 2.0, 0.0, set()
        for index in range(3000):
            now_s = index * STEP_S
            follower.observe_hero(HeroPosition(now_s, (0.0, -1.0, 5.0 + 1e-6 * index)))
            if with_odom:
                orientation = (0.0, 0.0, 0.0, 1.0)
                follower.observe_vehicle(VehicleState(now_s, (0.0, 0.0, height_m), orientation, (0.0, 0.0, climb_m_s)))
            step = follower.step(now_s)
            reasons.add(step.reason)
            climb_m_s += (step.command.up_m_s - climb_m_s) * STEP_S / 0.3
            height_m += climb_m_s * STEP_S
        assert height_m < 8.0
        assert any("climbing does not bring the hero into place" in reason for reason in reasons)
        follower.start_anew()
        assert "climbing" in follower.step(now_s).reason
        follower.step(now_s + 30.0)
        assert "climbing" in follower.step(now_s + 30.02).reason, "the clock jumped"
        follower.reset()
        assert "climbing" not in follower.step(now_s + 30.04).reason


def test_positions_that_nobody_can_have_are_named():
    for kind, text in (
        ("hero_not_finite", "positions that are not finite"),
        ("hero_behind_camera", "positions behind the camera"),
        ("hero_at_the_lens", "positions nearer than 0.3 m"),
    ):
        assert said(flown(kind, end_s=19.0), text, within_s=1.0), kind


def with_people(people, change_s=0.0, share=1.0):
    """From BEGIN_S on a share of the frames shows these people, at stamps that are changed by change_s."""
    rng = random.Random(0)

    def at(t, follower):
        if t > 0.0:
            return
        observe = follower.observe_people

        def changed(stamp_s, seen):
            is_changed = BEGIN_S <= stamp_s < END_S and rng.random() < share
            observe(*((stamp_s + change_s, people) if is_changed else (stamp_s, seen)))

        follower.observe_people = changed

    return at


@pytest.mark.parametrize("place", [(0.0, 0.1, 0.05), (0.0, 0.3, 0.26), (0.0, 0.0, 0.29), (0.0, 0.1, 0.31)])
@pytest.mark.parametrize("who", ["somebody", "hero"])
def test_nobody_is_too_near_to_be_in_the_way(who, place, monkeypatch):
    """Their size in the picture gives less than 0.3 m; the one whom the drone follows runs on ahead of them."""
    monkeypatch.setitem(HERO_PLACES, "hero_at_the_lens", place)
    injector = Injector([Fault("hero_at_the_lens", BEGIN_S, END_S, 0.0, 0.0)] if who == "hero" else [])
    at = with_people([place] if who == "somebody" else [])
    flight = Flight(straight(3.0), duration_s=END_S, injector=injector, at=at, drop_share=0.0).fly()
    assert flight.steps[flight.after(BEGIN_S)][0].command.forward_m_s > 2.0
    near = flight.steps[flight.after(BEGIN_S + 0.2)]
    assert max(step.command.forward_m_s for step in near) < 0.01
    assert min(step.command.up_m_s for step in near) >= 0.0


NAN = math.nan
REFUSED_PEOPLE = {
    "not_finite": (0.0, [(0.0, NAN, 2.5)], "positions that are not finite"),
    "one_of_three": (0.0, [(3.0, 0.0, 9.0), (0.0, 0.0, NAN), (-3.0, 0.0, 9.0)], "positions that are not finite"),
    "behind": (0.0, [(0.0, 0.5, -0.1)], "positions behind the camera"),
    "late": (-1.2, [(0.0, 0.5, 2.5)], "positions whose stamps are 1.3 s old: clocks not synchronised?"),
    "early": (0.4, [(0.0, 0.5, 2.5)], "positions whose stamps are 0.3 s ahead of the clock: clocks not synchronised?"),
    "zero": (-1e9, [(0.0, 0.5, 2.5)], "positions whose stamps are zero: does the driver not set them?"),
    "no_stamp": (NAN, [], "positions whose stamps are not finite"),
}


@pytest.mark.parametrize(("change_s", "people", "text"), REFUSED_PEOPLE.values(), ids=REFUSED_PEOPLE)
def test_people_who_are_refused_stop_the_drone_and_are_named(change_s, people, text):
    """A message that is refused says nothing of who is in the way, while the hero is seen as ever and runs on."""
    at = with_people(people, change_s)
    flight = Flight(straight(3.0), duration_s=END_S + 1.0, at=at, drop_share=0.0).fly()
    settled_s = 0.2 if change_s == 0.0 else 0.8
    assert said(flight, f"other people are refused: {text}", within_s=settled_s)
    refused = flight.steps[slice(int((BEGIN_S + settled_s) / STEP_S), int(END_S / STEP_S))]
    assert {step.command for step in refused} == {ZERO_COMMAND}
    assert flight.steps[-1].state is State.TRACKING, "it follows again"


@pytest.mark.parametrize("known", ["known", "never"])
def test_people_of_whom_nothing_comes_any_more_are_not_nobody(known):
    """The hero is seen as ever and runs on; messages of the others are lost from BEGIN_S on."""
    begin_s = BEGIN_S if known == "known" else 0.0

    def lost(t, follower):
        if t == begin_s:
            follower.observe_people = lambda *_: None
        elif t == END_S:
            del follower.observe_people

    flight = Flight(straight(3.0), duration_s=END_S + 1.5, at=lost, drop_share=0.0).fly()
    assert (said(flight, "other people are not reported any more", within_s=1.3) is not None) is (known == "known")
    missed = flight.steps[flight.after(BEGIN_S + 1.3)][: int(1.5 / STEP_S)]
    assert ({step.command for step in missed} == {ZERO_COMMAND}) is (known == "known")
    assert flight.steps[-1].state is State.TRACKING, "it follows again"


def test_people_may_arrive_after_the_hero_of_their_picture():
    """The topics have no order; after a gap the hero of the first picture may arrive before the people."""
    follower, states = Follower(enabled=True), set()
    for index in range(int(8.0 / STEP_S)):
        now_s = index * STEP_S
        stamp_s = now_s - STEP_S
        if index % 4 == 0 and not 4.0 < now_s < 5.15:
            follower.observe_frame(stamp_s)
            follower.observe_hero(HeroPosition(stamp_s, (0.001 * index, 0.1, 5.0 + 0.001 * (index % 7))))
            states.add(follower.step(now_s).reason)
            follower.observe_people(stamp_s, [])
        states.add(follower.step(now_s + 0.5 * STEP_S).reason)
    assert not any("other people" in reason for reason in states)
    assert follower.step(8.0).state is State.TRACKING


@pytest.mark.parametrize("share", [0.35, 0.6])
def test_people_who_come_late_now_and_then_are_no_fault(share):
    """Of a busy computer: the guard remembers whom the pictures before showed."""
    at = with_people([(3.0, 0.0, 9.0)], -1.2, share)
    flight = Flight(straight(3.0), duration_s=END_S, at=at, drop_share=0.0).fly()
    assert flight.follower.counters.mistimed > 3
    assert not any(step.fault for step in flight.steps)


def test_stamps_that_are_not_of_now_are_named():
    for kind, size, text in (
        ("frames_late", 3.0, "frames whose stamps are 3.1 s old: clocks not synchronised?"),
        ("frames_early", 5.0, "frames whose stamps are 4.9 s ahead of the clock: clocks not synchronised?"),
        ("frames_late", 1e9, "stamps are zero"),
    ):
        assert said(flown(kind, size, end_s=19.0), text, within_s=2.0), kind


@pytest.mark.parametrize(("rate_hz", "follows"), [(0.8, False), (1.5, False), (2.4, False), (3.0, True), (5.0, True)])
def test_a_camera_that_is_too_slow_is_named_and_not_followed(rate_hz, follows):
    flight = Flight(straight(), duration_s=20.0, rate_hz=rate_hz, drop_share=0.0).fly()
    text = f"frames come at {rate_hz:.1f} Hz; following needs at least 3 Hz"
    if follows:
        assert not any("Hz" in step.reason for step in flight.steps)
        assert flight.distance_rms_m(8.0) < 0.6
        return
    assert text in flight.steps[-1].reason
    end = flight.after(10.0)
    assert all(step.command == ZERO_COMMAND for step in flight.steps[end])


def test_a_camera_that_becomes_slow_in_flight_is_a_fault_until_it_is_fast_again():
    monitor = CameraRate()
    faults = []
    stamps_s = [*np.arange(0.0, 5.0, 1 / 15), *np.arange(5.0, 15.0, 0.7), *np.arange(15.0, 18.0, 1 / 15)]
    for stamp_s in stamps_s:
        monitor.see(stamp_s)
        monitor.see(stamp_s)
        faults.append(bool(monitor.fault(stamp_s)))
    begin, end = faults.index(True), len(faults) - 1 - faults[::-1].index(True)
    assert 5.0 < stamps_s[begin] < 10.0 and 14.0 < stamps_s[end] < 16.0
    assert monitor.fault(stamps_s[-1] + 10.0) == "", "without frames their absence is the reason"


class Changed(Injector):
    """Odometry from BEGIN_S on, changed by a function of the time since then."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def odometry(self, now_s, state):
        return self.change(now_s - BEGIN_S, state) if now_s >= BEGIN_S else state


def turned(state, angle_rad):
    """The same state with another yaw (rad)."""
    half = math.atan2(*state.orientation_odom_xyzw[2:]) + angle_rad / 2
    return dataclasses.replace(state, orientation_odom_xyzw=(0.0, 0.0, math.sin(half), math.cos(half)))


@pytest.mark.parametrize("away_m", [1000.0, -1000.0])
def test_odometry_of_another_origin_that_appears_in_flight_does_not_lead_away(away_m):
    """The start, from which limits.range_m counts, was known in the frame of the commands alone."""
    faults = [Fault("odom_stale", 0.0, BEGIN_S, 0.0, 0.0), Fault("odom_jump", BEGIN_S, 99.0, 0.0, away_m)]
    flight = Flight(straight(), duration_s=18.0, injector=Injector(faults)).fly()
    assert not any("range" in step.limited_by for step in flight.steps)
    assert max(flight.distances_m) < 8.0
    assert flight.distances_m[-1] == pytest.approx(5.0, abs=0.7)


class Paused(Injector):
    """Odometry pauses from BEGIN_S on for 2 s, and again and again; since the first pause its z is changed."""

    def __init__(self, every_s=math.inf, change_m=0.0):
        super().__init__()
        self.every_s, self.change_m = every_s, change_m

    def odometry(self, now_s, state):
        if now_s < BEGIN_S:
            return state
        if (now_s - BEGIN_S) % self.every_s < 2.0:
            return None
        x, y, z = state.position_odom_m
        return dataclasses.replace(state, position_odom_m=(x, y, z + self.change_m))


@pytest.mark.parametrize("clock_jumps", [False, True])
@pytest.mark.parametrize("change_m", [-5.0, 5.0, 40.0])
def test_a_ceiling_is_carried_into_an_origin_that_changes_while_odometry_pauses(change_m, clock_jumps):
    """The drone is at its ceiling, 6 m above the start, and below its set point."""

    def at(t, follower):
        if clock_jumps and abs(t - BEGIN_S - 1.0) < STEP_S / 2:
            follower.step(t + 30.0)

    values = {"limits.maximum_height_m": 6.0, "set_points.distance_m": 20.0, "set_points.height_m": 12.0}
    parameters = with_values(Flight(straight()).parameters, values)
    injector = Paused(change_m=change_m)
    flight = Flight(lambda t: (20.0, 0.0), duration_s=30.0, injector=injector, at=at, parameters=parameters).fly()
    heights_m = [z for _, _, z in flight.drone_m]
    assert heights_m[int(BEGIN_S / STEP_S)] == pytest.approx(2.4 + 6.0, abs=0.3)
    assert max(heights_m) < 2.4 + 6.0 + 0.5
    assert said(flight, "odometry jumped by")
    assert flight.steps[-1].state is State.TRACKING


def test_pauses_of_odometry_in_fast_flight_do_not_move_the_start():
    parameters = with_values(Flight(straight()).parameters, {"limits.range_m": 60.0})
    flight = Flight(straight(5.0), duration_s=40.0, injector=Paused(every_s=6.0), parameters=parameters).fly()
    assert said(flight, "odometry is back")
    assert not said(flight, "odometry jumped")
    assert max(x for x, _, _ in flight.drone_m) == pytest.approx(60.0, abs=1.5)


def test_a_range_that_is_made_smaller_in_flight_brings_the_drone_back_no_faster_than_a_walker():
    def at(t, follower):
        if t == BEGIN_S:
            follower.set_parameters(with_values(follower.parameters, {"limits.range_m": 5.0}))

    flight = Flight(straight(3.0), duration_s=16.0, at=at).fly()
    assert flight.drone_m[flight.after(BEGIN_S)][0][0] > 12.0
    assert min(vx for vx, _ in flight.velocities_m_s[flight.after(BEGIN_S)]) > -1.1
    assert flight.velocities_m_s[-1][0] < -0.9


def clock_jumps_there_and_back(t, follower):
    follower.step(t + 30.0)


def raises(_t, follower):
    """What the node does after an exception in its loop."""
    follower.start_anew()


def is_enabled_again(_t, follower):
    follower.enable(False)
    follower.enable(True)


def is_reset(_t, follower):
    follower.reset()


def flown_from_a_start(interrupt, with_odom):
    """The hero walks away from a drone that may rise by 6 m and go 15 m away, and is interrupted every 8 s."""

    def at(t, follower):
        if t > 0.0 and round(t / STEP_S) % 400 == 0:
            interrupt(t, follower)

    limits = {"limits.range_m": 15.0, "limits.maximum_height_m": 6.0}
    points = {"set_points.distance_m": 20.0, "set_points.height_m": 12.0}
    parameters = with_values(Flight(straight()).parameters, {**limits, **points})
    flight = Flight(
        lambda t: (20.0 + 1.4 * t, 0.0), duration_s=40.0, at=at, parameters=parameters, with_odom=with_odom
    ).fly()
    assert flight.steps[flight.after(15.0)][0].state is State.TRACKING
    return max(x for x, _, _ in flight.drone_m), max(z for _, _, z in flight.drone_m)


@pytest.mark.parametrize("with_odom", [True, False])
@pytest.mark.parametrize("interrupt", [clock_jumps_there_and_back, raises])
def test_ceiling_and_range_outlast_what_makes_the_follower_start_anew(interrupt, with_odom):
    farthest_m, highest_m = flown_from_a_start(interrupt, with_odom)
    assert farthest_m == pytest.approx(15.0, abs=1.0)
    if with_odom:
        assert highest_m == pytest.approx(2.4 + 6.0, abs=0.5)


@pytest.mark.parametrize("interrupt", [is_enabled_again, is_reset])
def test_the_start_is_where_the_user_last_enabled_or_reset(interrupt):
    farthest_m, highest_m = flown_from_a_start(interrupt, with_odom=True)
    assert farthest_m > 20.0
    assert highest_m > 10.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _, state: dataclasses.replace(state, velocity_odom_m_s=(0.0, 0.0, 1.0)), "velocity does not match"),
        (
            lambda since_s, state: dataclasses.replace(
                state, position_odom_m=(*state.position_odom_m[:2], state.position_odom_m[2] + since_s)
            ),
            "velocity does not match",
        ),
        (lambda since_s, state: turned(state, math.radians(20.0) * since_s), "yaw rate does not match"),
        (
            lambda _, state: dataclasses.replace(
                state, orientation_odom_xyzw=(state.orientation_odom_xyzw[3], *state.orientation_odom_xyzw[:3])
            ),
            "odometry is refused: an attitude that lies on its side",
        ),
    ],
    ids=["velocity", "drifts", "turns", "w_first"],
)
def test_odometry_that_lies_slowly_is_named(change, text):
    flight = Flight(lambda t: (5.0, 0.0), duration_s=13.0, injector=Changed(change)).fly()
    assert said(flight, text, within_s=1.5)


@pytest.mark.parametrize("rate_hz", [10, 50, 1000])
def test_a_contradiction_is_noticed_at_any_rate_of_odometry(rate_hz):
    odometry, timeouts = Odometry(), Timeouts()
    for index in range(2 * rate_hz + 1):
        now_s = index / rate_hz
        state = VehicleState(now_s, (now_s, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0), (3.0, 0.0, 0.0))
        odometry.take(state, now_s, timeouts, frame_in_use=False)
    assert "velocity does not match" in odometry.fault(now_s, timeouts)


def test_a_clock_that_is_set_back_does_not_make_a_fault_of_odometry_last():
    follower = Follower(enabled=True)

    def reasons(begin_s, seconds, x_m):
        found = []
        for index in range(round(seconds / STEP_S)):
            now_s = begin_s + index * STEP_S
            follower.observe_vehicle(VehicleState(now_s, (x_m, 0.0, 2.4), (0.0, 0.0, 0.0, 1.0)))
            follower.observe_hero(HeroPosition(now_s, (0.0, 1.5, 5.0 + 1e-6 * index)))
            found.append(follower.step(now_s).reason)
        return found

    assert reasons(5000.0, 3.0, 0.0)[-1].startswith("hero seen")
    assert "odometry jumped" in reasons(5003.0, 0.1, 50.0)[-1]
    assert reasons(100.0, 3.0, 50.0)[-1].startswith("hero seen")


def test_odometry_whose_z_points_downwards_is_not_climbed_after_for_ever():
    """North, east, down: the higher the drone is, the farther below the minimum height it seems to be."""
    for velocity_too in (True, False):

        class Down(Injector):
            def odometry(self, now_s, state, velocity_too=velocity_too):
                (x, y, z), (vx, vy, vz) = state.position_odom_m, state.velocity_odom_m_s
                velocity = (vx, vy, -vz if velocity_too else vz)
                return dataclasses.replace(state, position_odom_m=(x, y, -z), velocity_odom_m_s=velocity)

        flight = Flight(lambda t: (40.0, 0.0), duration_s=50.0, injector=Down()).fly()
        assert max(z for _, _, z in flight.drone_m) < 9.0
        assert not any(step.command.up_m_s for step in flight.steps[flight.after(45.0)])


@pytest.mark.parametrize(
    ("values", "lag_s"), [({"limits.up_m_s": 0.5}, 0.3), ({"limits.up_m_s": 3.0}, 0.3), ({}, 0.8)], ids=str
)
def test_a_long_climb_that_leads_upwards_slowly_is_no_fault(values, lag_s):
    def at(t, follower):
        if t == 4.0:
            follower.set_parameters(with_values(follower.parameters, {"set_points.height_m": 12.0}))

    parameters = with_values(Flight(straight()).parameters, {"set_points.distance_m": 35.0, **values})
    flight = Flight(
        lambda t: (35.0, 0.0), duration_s=34.0, at=at, parameters=parameters, velocity_lag_s=lag_s, rate_hz=10.0
    ).fly()
    assert not any(step.fault for step in flight.steps)
    assert flight.heights_m[-1] == pytest.approx(12.0, abs=0.5)
