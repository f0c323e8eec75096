"""The parts of following, one by one: frames, estimator, states, law."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from flight import STEP_S, Flight, straight

from fcn_follow.autopilots.px4 import setpoint_fields
from fcn_follow.coordinates import (
    body_from_optical,
    body_ned_velocity_m_s,
    enu_velocity_m_s,
    hero_in_odom,
    level_from_body,
    ned_velocity_m_s,
    roll_pitch_yaw,
)
from fcn_follow.errors import UserError
from fcn_follow.following.estimator import HeroEstimate, HeroEstimator, Outcome
from fcn_follow.following.explanation import COLUMNS, explain
from fcn_follow.following.follower import Follower
from fcn_follow.following.law import References, RelativePosition, SecondOrder, Trim
from fcn_follow.following.parameters import EstimatorParameters, FollowerParameters, Timeouts
from fcn_follow.following.states import Situation, State, next_state
from fcn_follow.following.vehicle import vehicle_from_body_twist
from fcn_follow.geometry import ZERO_COMMAND, CameraMount, HeroPosition, VehicleState, VelocityCommand
from fcn_follow.parameters import with_values

ORIGIN = (0.0, 0.0, 0.0)


def with_set(**values):
    return with_values(FollowerParameters(), {name.replace("__", "."): value for name, value in values.items()})


class TestFrames:
    def test_a_level_camera(self):
        assert body_from_optical((1.0, 2.0, 5.0), 0.0) == (5.0, -1.0, -2.0)

    def test_a_camera_that_looks_straight_down_sees_ahead_at_the_top_of_the_image(self):
        assert np.allclose(body_from_optical((0.0, -1.0, 3.0), math.pi / 2), (1.0, 0.0, -3.0))

    @pytest.mark.parametrize("attitude", [(0.3, 0.0, 0.0), (0.0, 0.2, 0.0), (0.2, -0.1, 1.0), (-0.3, 0.3, -2.5)])
    def test_attitude_against_rotation_matrices(self, attitude):
        roll, pitch, yaw = attitude

        def about(axis, angle):
            c, s = math.cos(angle), math.sin(angle)
            i, j = [(1, 2), (2, 0), (0, 1)][axis]
            matrix = np.eye(3)
            matrix[i, i] = matrix[j, j] = c
            matrix[i, j], matrix[j, i] = -s, s
            return matrix

        rotation = about(2, yaw) @ about(1, pitch) @ about(0, roll)
        seen = np.array([0.4, -0.2, 6.0])
        mount = CameraMount((0.2, 0.1, -0.05), 0.25)
        in_body = about(1, 0.25) @ np.array([seen[2], -seen[0], -seen[1]])
        drone = np.array([10.0, -4.0, 3.0])
        hero, camera = hero_in_odom(tuple(seen), mount, False, tuple(drone), attitude)
        assert np.allclose(camera, drone + rotation @ np.array(mount.position_body_m))
        assert np.allclose(hero, camera + rotation @ in_body)
        steady, _ = hero_in_odom(tuple(seen), mount, True, tuple(drone), attitude)
        assert np.allclose(steady, camera + about(2, yaw) @ in_body), "a gimbal takes out roll and pitch"
        assert np.allclose(level_from_body((1.0, 2.0, 3.0), roll, pitch), about(1, pitch) @ about(0, roll) @ (1, 2, 3))
        half = yaw / 2
        assert np.allclose(roll_pitch_yaw((0.0, 0.0, 2 * math.sin(half), 2 * math.cos(half))), (0.0, 0.0, yaw))

    def test_autopilots_axes(self):
        command = VelocityCommand(2.0, 1.0, 0.5, 0.3)
        assert np.allclose(enu_velocity_m_s(command, math.pi / 2), (-1.0, 2.0, 0.5)), "nose north, left is west"
        assert np.allclose(ned_velocity_m_s(command, math.pi / 2), (2.0, -1.0, -0.5))
        assert body_ned_velocity_m_s(command) == (2.0, -1.0, -0.5)
        fields = setpoint_fields(command, math.pi / 2)
        assert np.allclose(fields["velocity"], (2.0, -1.0, -0.5))
        assert fields["yawspeed"] == -0.3
        assert all(map(math.isnan, (*fields["position"], *fields["acceleration"], *fields["jerk"], fields["yaw"])))

    def test_odometry_twist_is_in_the_body(self):
        quarter = (0.0, 0.0, math.sin(math.pi / 4), math.cos(math.pi / 4))
        state = vehicle_from_body_twist(1.0, ORIGIN, quarter, (2.0, 0.0, 0.5), 0.1)
        assert np.allclose(state.velocity_odom_m_s, (0.0, 2.0, 0.5))
        assert math.isnan(vehicle_from_body_twist(1.0, ORIGIN, (0.0,) * 4, ORIGIN, 0.0).velocity_odom_m_s[0])


class TestEstimator:
    def walk(self, order):
        estimator = HeroEstimator(EstimatorParameters())
        rng = random.Random(1)
        places = [(k / 10, (6.0 + 0.14 * k + rng.gauss(0, 0.05), 0.02 * k, 0.9)) for k in range(30)]
        for k in order(list(range(30))):
            estimator.observe(*places[k], (0.0, 0.0, 2.0), 3.0)
        return estimator

    def test_predicts_with_the_velocity(self):
        estimate = self.walk(lambda each: each).predict(3.4)
        assert np.allclose(estimate.position_odom_m, (6.0 + 1.4 * 3.4, 0.68, 0.9), atol=0.3)
        assert np.allclose(estimate.velocity_odom_m_s[:2], (1.4, 0.2), atol=0.25)

    @pytest.mark.parametrize("phase_rad", [0.0, 1.57, 3.14, 4.71])
    def test_steps_that_swing_the_range_do_not_lead_astray_while_the_hero_is_hidden(self, phase_rad):
        estimator = HeroEstimator(EstimatorParameters())
        for k in range(100):
            t = k / 20
            swing_m = 0.35 * math.sin(2 * math.pi * 1.9 * t + phase_rad)
            estimator.observe(t, (5.0 + swing_m, 1.4 * t, 0.9), (0.0, 1.4 * t, 2.0), 9.0)
        x, y, _ = estimator.predict(9.0).position_odom_m
        assert math.hypot(x - 5.0, y - 1.4 * 9.0) < 0.5

    def test_a_hero_half_hidden_as_it_returns_is_not_taken_to_be_far_away(self):
        estimator = HeroEstimator(EstimatorParameters())

        def see(t, farther):
            camera = np.array([0.0, 1.4 * t, 2.0])
            ray = np.array([5.0, 1.4 * t, 0.9]) - camera
            estimator.observe(t, tuple(camera + farther * ray), tuple(camera), 9.0)

        for k in range(100):
            see(k / 20, 1.0)
        errors_m = []
        for k in range(20):
            see(6.2 + k / 20, 1.0 + max(0.0, 0.8 - 0.1 * k))
            errors_m.append(estimator.predict(6.2 + k / 20).position_odom_m[0] - 5.0)
        assert max(errors_m) < 0.3
        for k in range(100):
            see(9.0 + k / 20, 1.2)  # who is farther for long is farther
        assert estimator.predict(14.0).position_odom_m[0] == pytest.approx(6.0, abs=0.1)

    def test_a_hero_that_turned_a_moment_before_it_was_hidden_is_not_taken_to_go_straight_on(self):
        estimator = HeroEstimator(EstimatorParameters())
        for k in range(100):
            t = k / 20
            turned_s = max(0.0, t - 4.0)
            place = (5.0 + 2.5 * turned_s, 2.5 * min(t, 4.0), 0.9)
            estimator.observe(t, place, (place[0] - 5.0, place[1], 2.0), 9.0)
        x, y, _ = estimator.predict(7.0).position_odom_m
        assert math.hypot(x - (5.0 + 2.5 * 3.0), y - 10.0) < 1.5

    def test_a_measurement_before_many_newer_ones_is_late(self):
        """Each would have to be repeated: hundreds of late measurements in one step took half a second."""
        estimator = HeroEstimator(EstimatorParameters())
        for index in range(100):
            estimator.observe(index * 0.02, (6.0, 0.0, 1.0), (0.0, 0.0, 1.5), 3.0)
        outcomes = [estimator.observe(1.97 - 0.02 * n, (6.0, 0.0, 1.0), (0.0, 0.0, 1.5), 3.0) for n in range(40)]
        assert outcomes[0] is Outcome.ACCEPTED
        assert outcomes[-1] is Outcome.LATE
        assert outcomes.count(Outcome.ACCEPTED) <= 16

    def test_late_measurements_are_put_in_their_place(self):
        def late(each):
            each[20], each[23] = each[23], each[20]
            each[26], each[27] = each[27], each[26]
            return each

        straight_on, shuffled = self.walk(lambda each: each).predict(3.0), self.walk(late).predict(3.0)
        assert np.allclose(straight_on.position_odom_m, shuffled.position_odom_m, atol=1e-9)
        assert np.allclose(straight_on.velocity_odom_m_s, shuffled.velocity_odom_m_s, atol=1e-9)

    def test_a_stamp_seen_before_or_too_old_is_counted_and_left(self):
        estimator = self.walk(lambda each: each)
        before = estimator.predict(3.0)
        assert estimator.observe(2.9, (9.0, 0.0, 0.9), ORIGIN, 3.0) is Outcome.LATE
        assert estimator.observe(0.5, (9.0, 0.0, 0.9), ORIGIN, 3.0) is Outcome.LATE
        assert estimator.late == 2
        assert estimator.predict(3.0) == before

    def test_an_outlier_is_counted_and_another_hero_confirmed_by_time(self):
        estimator = self.walk(lambda each: each)
        outcomes = [estimator.observe(3.0 + k / 10, (16.0, 6.0, 0.9), ORIGIN, 9.0) for k in range(14)]
        first = outcomes.index(Outcome.CONFIRMED)
        assert set(outcomes[:first]) <= {Outcome.CANDIDATE, Outcome.OUT_OF_REACH}
        assert 5 <= first <= 12
        assert estimator.outliers == first + 1
        assert np.allclose(estimator.predict(3.0 + first / 10).position_odom_m, (16.0, 6.0, 0.9), atol=0.5)

    def test_nobody_is_the_hero_where_the_hero_cannot_have_run_to(self):
        """Red flowers 60 m away, seen the moment the hero goes behind a tree."""
        estimator = self.walk(lambda each: each)
        outcomes = [estimator.observe(3.0 + k / 10, (55.0, -25.0, 3.0), (0.0, 0.0, 2.0), 3.0) for k in range(25)]
        assert set(outcomes) == {Outcome.OUT_OF_REACH}
        assert np.allclose(estimator.predict(4.0).position_odom_m, (11.6, 0.8, 0.9), atol=1.0)

    def test_flicker_is_never_confirmed(self):
        estimator = self.walk(lambda each: each)
        for k in range(20):
            place = (20.0, 10.0, 0.9) if k % 2 else (10.3 + 0.14 * k, 0.6 + 0.02 * k, 0.9)
            estimator.observe(3.0 + k / 10, place, (0.0, 0.0, 2.0), 9.0)
        assert estimator.outliers == 10
        assert estimator.predict(4.9).position_odom_m[0] < 14.0

    def test_far_measurements_count_less(self):
        sigmas = []
        for distance in (4.0, 30.0):
            estimator = HeroEstimator(EstimatorParameters())
            for k in range(10):
                estimator.observe(k / 10, (distance, 0.0, 0.9), ORIGIN, 3.0)
            sigmas.append(estimator.predict(0.9).position_sigma_m)
        assert sigmas[1] > 3 * sigmas[0]


class TestStates:
    @pytest.mark.parametrize(
        ("state", "situation", "expected"),
        [
            (State.TRACKING, Situation(False, "", 0.0, 0.0), State.IDLE),
            (State.TRACKING, Situation(True, "smoke", 0.0, 0.0), State.HOLDING),
            (State.TRACKING, Situation(True, "", 2.0, 0.1), State.HOLDING),
            (State.IDLE, Situation(True, "", 0.0, 0.1), State.TRACKING),
            (State.IDLE, Situation(True, "", 0.0, 1.0), State.HOLDING),
            (State.TRACKING, Situation(True, "", 0.0, 1.0), State.COASTING),
            (State.COASTING, Situation(True, "", 0.0, 5.0), State.SEARCHING),
            (State.SEARCHING, Situation(True, "", 0.0, 10.0), State.SEARCHING),
            (State.SEARCHING, Situation(True, "", 0.0, 21.0), State.HOLDING),
            (State.SEARCHING, Situation(True, "", 0.0, 0.1), State.TRACKING),
            (State.HOLDING, Situation(True, "", 0.0, 3.0), State.HOLDING),
            (State.HOLDING, Situation(True, "", 0.0, 0.1), State.TRACKING),
        ],
    )
    def test_table(self, state, situation, expected):
        assert next_state(state, "", situation, Timeouts())[0] is expected

    def test_a_fault_s_text_is_the_reason(self):
        assert next_state(State.TRACKING, "", Situation(True, "smoke", 0.0, 0.0), Timeouts())[1] == "smoke"


class TestSecondOrder:
    def test_reaches_the_target_smoothly_and_without_overshoot(self):
        point = SecondOrder(2.0)
        last = point.value
        for _ in range(500):
            point.step(10.0, 1.2, 3.0, STEP_S)
            assert 0.0 <= point.value - last <= 3.0 * STEP_S + 1e-12
            assert point.value <= 10.0 + 1e-9
            last = point.value
        assert point.value == pytest.approx(10.0, abs=0.01)

    def test_an_angle_takes_the_short_way(self):
        point = SecondOrder(3.0)
        point.step(-3.0, 1.0, 9.0, 0.1, angle=True)
        assert point.value > 3.0 or point.value < -3.0


class TestFlights:
    def test_backs_off_at_any_bearing(self):
        flight = Flight(lambda t: (1.2, 0.0), duration_s=8.0, start=(0.0, 0.0, 1.2, 0.0)).fly()
        assert flight.distances_m[-1] > 2.0
        assert any("minimum distance" in step.limited_by for step in flight.steps)
        assert all(step.command.forward_m_s <= 1e-6 for step in flight.steps[:100])
        assert flight.in_view_share() == 1.0

    def test_climbs_first_when_too_low(self):
        flight = Flight(straight(), duration_s=10.0, start=(0.0, 0.0, 0.3, 0.0)).fly()
        low = [step for step, place in zip(flight.steps, flight.drone_m, strict=True) if place[2] < 0.9]
        assert low
        assert all(step.command.forward_m_s == 0.0 for step in low)
        assert flight.heights_m[-1] == pytest.approx(1.5, abs=0.3)

    def test_stays_within_the_range_of_its_start(self):
        flight = Flight(straight(2.5), parameters=with_set(limits__range_m=12.0)).fly()
        farthest = max(math.hypot(x, y) for x, y, _ in flight.drone_m)
        assert 10.0 < farthest < 12.3
        assert any("range" in step.limited_by for step in flight.steps)

    def test_an_overshoot_is_backed_out_of_nose_first(self):
        """The hero runs up to a slow drone: it flies backwards and neither turns round nor goes round the hero."""
        parameters = with_set(limits__speed_m_s=0.6)
        flight = Flight(lambda t: (max(1.3, 15.0 - 3.0 * t), 0.1), duration_s=10.0, parameters=parameters).fly()
        near = [step for step, distance in zip(flight.steps, flight.distances_m, strict=True) if distance < 4.0]
        assert near
        assert all(step.command.forward_m_s < 0.0 for step in near)
        assert all(abs(step.command.left_m_s) < 0.3 and abs(step.command.yaw_rate_rad_s) < 0.4 for step in near)
        assert flight.in_view_share() == 1.0

    @pytest.mark.parametrize(
        ("bearing", "expected"),
        [("behind", math.pi), ("left", math.pi / 2), ("right", -math.pi / 2), ("front", 0.0), ("compass", 1.0)],
    )
    def test_goes_to_its_side_of_the_hero(self, bearing, expected):
        parameters = with_set(set_points__bearing=bearing, set_points__compass_rad=1.0)
        flight = Flight(straight(1.2), parameters=parameters, duration_s=25.0).fly()
        actual = flight.steps[-1].relative.bearing_rad
        assert abs(math.remainder(actual - expected, math.tau)) < 0.15
        assert min(flight.distances_m) > 3.0, "round the hero, never over it"

    def test_keeps_its_side_and_live_set_points_move_smoothly(self):
        def change(t, follower):
            if t == 10.0:
                follower.set_parameters(with_set(set_points__distance_m=9.0, set_points__height_m=2.5))

        flight = Flight(lambda t: (4.0, 3.0), at=change, duration_s=22.0).fly()
        assert flight.distances_m[-1] == pytest.approx(9.0, abs=0.4)
        assert flight.heights_m[-1] == pytest.approx(2.5, abs=0.3)
        assert flight.steps[-1].relative.bearing_rad == pytest.approx(math.atan2(-3.0, -4.0), abs=0.1)

    def test_height_is_what_the_camera_can_see(self):
        parameters = with_set(set_points__height_m=8.0)
        flight = Flight(straight(0.0), parameters=parameters, duration_s=20.0).fly()
        assert flight.heights_m[-1] < 5.0 * math.tan(0.4) + 0.3
        assert "camera's view" in flight.steps[-1].limited_by
        assert flight.in_view_share() > 0.97

    def test_stick_moves_the_set_points_and_is_let_go(self):
        def push(t, follower):
            if 8.0 <= t < 10.0:
                follower.observe_stick(VelocityCommand(-1.0, 0.0, 0.5))
            if t == 10.5:
                follower.observe_stick(VelocityCommand(math.nan, 0.0, 0.0))

        flight = Flight(
            lambda t: (5.0, 0.0), at=push, duration_s=20.0, parameters=with_set(timeouts__stick_s=0.1)
        ).fly()
        assert flight.distances_m[-1] == pytest.approx(7.1, abs=0.4)
        assert flight.heights_m[-1] == pytest.approx(2.55, abs=0.3)

    @pytest.mark.parametrize(("trim", "bounds"), [(Trim(45.0, 28.5), (50.0, 30.0)), (Trim(-60.0, -60.0), (2.0, -1.0))])
    def test_set_points_and_stick_together_stay_within_the_bounds_of_the_set_points(self, trim, bounds):
        """The stick went to the end of the range, and then the parameters did the same."""
        parameters = with_set(set_points__distance_m=50.0, set_points__height_m=30.0, camera__keep_rad=1.2)
        references, where = References(), RelativePosition(20.0, -1.0, 0.0)
        references.engage(where, keep_bearing=False)
        for _ in range(4000):
            references.step(parameters, trim, HeroEstimate(0.0, ORIGIN, ORIGIN, 0.1), where, STEP_S)
        assert (references.distance.value, references.height.value) == pytest.approx(bounds, abs=0.01)

    def test_ramp_on_engaging(self):
        flight = Flight(lambda t: (15.0, 0.0), duration_s=6.0).fly()
        engaged = next(index for index, step in enumerate(flight.steps) if step.state is State.TRACKING)
        early = [step.wanted for step in flight.steps[engaged : engaged + 5]]
        assert all(abs(wanted.forward_m_s) < 0.5 for wanted in early)
        assert max(step.command.forward_m_s for step in flight.steps) > 1.5

    @pytest.mark.parametrize("seed", range(3))
    def test_hidden_for_two_seconds(self, seed):
        flight = Flight(straight(), seed=seed, occluded=((12.0, 14.0),), duration_s=20.0).fly()
        states = [step.state for step in flight.steps]
        assert State.COASTING in states
        back = next(t for t, state in zip(flight.times, states, strict=True) if t > 14.0 and state is State.TRACKING)
        assert back < 15.5
        assert flight.distance_rms_m() <= 0.8

    @pytest.mark.parametrize("side", [1.0, -1.0])
    def test_searches_on_the_side_where_the_hero_left_then_holds(self, side):
        path = lambda t: (5.0, 0.0) if t < 5.0 else (5.0, side * 3.0 * (t - 5.0))  # noqa: E731
        parameters = with_set(search__look_s=1.0, timeouts__coast_s=2.2, timeouts__search_s=8.0, search__action="land")
        flight = Flight(path, occluded=((5.6, 99.0),), parameters=parameters, duration_s=16.0).fly()
        turning = [s.command.yaw_rate_rad_s for s in flight.steps if s.state is State.SEARCHING][80:200]
        assert all(rate * side > 0.0 for rate in turning)
        assert flight.steps[-1].state is State.HOLDING
        assert flight.steps[-1].request == "land"
        assert flight.steps[-1].command == ZERO_COMMAND

    @pytest.mark.parametrize("side", [1.0, -1.0])
    def test_whoever_comes_into_view_in_the_search_is_looked_at(self, side):
        follower = Follower(with_set(estimator__confirm_s=1.5), enabled=True)
        for index in range(round(13.2 / STEP_S)):
            now_s = index * STEP_S
            follower.observe_frame(now_s)
            if now_s < 3.0:
                follower.observe_hero(HeroPosition(now_s, (0.0, 1.5, 5.0 + index * 1e-6)))
            if now_s > 12.0:
                follower.observe_hero(HeroPosition(now_s, (-1.5 * side, 1.5, 4.0 + index * 1e-6)))
            step = follower.step(now_s)
        assert step.state is State.SEARCHING
        assert step.command.yaw_rate_rad_s * side > 0.0

    def test_climb_and_look_at_the_end_of_the_search(self):
        parameters = with_set(search__action="climb", search__look_s=0.5, timeouts__search_s=5.0)
        flight = Flight(straight(0.0), occluded=((4.0, 99.0),), parameters=parameters, duration_s=20.0).fly()
        assert flight.heights_m[-1] == pytest.approx(1.5 + 3.0, abs=0.4)
        assert flight.steps[-1].command == ZERO_COMMAND

    def test_yaw_is_calm_in_a_steady_walk(self):
        assert Flight(straight()).fly().yaw_sign_changes_1_s() < 1.0

    def test_the_same_flight_twice(self):
        first, second = (Flight(straight(), seed=3, duration_s=8.0).fly() for _ in range(2))
        assert [step.command for step in first.steps] == [step.command for step in second.steps]

    def test_without_a_gimbal_the_drone_s_tilt_is_taken_out(self):
        follower = Follower(with_set(camera__stabilised=False), enabled=True)
        pitch = 0.2
        orientation = (0.0, math.sin(pitch / 2), 0.0, math.cos(pitch / 2))
        for index in range(60):
            now_s = index * STEP_S
            follower.observe_vehicle(VehicleState(now_s, (0.0, 0.0, 2.0), orientation))
            level_range, depression = 5.0, 0.25
            seen = depression - pitch
            position = (0.0, level_range * math.sin(seen), level_range * math.cos(seen))
            follower.observe_hero(HeroPosition(now_s, position))
            step = follower.step(now_s)
        assert step.hero.position_odom_m[0] == pytest.approx(5.0 * math.cos(0.25), abs=0.01)
        assert step.hero.position_odom_m[2] == pytest.approx(2.0 - 5.0 * math.sin(0.25), abs=0.01)

    def test_explained(self):
        step = Flight(straight(), duration_s=5.0).fly().steps[-1]
        assert tuple(explain(step)) == COLUMNS
        assert tuple(explain(Follower().step(0.0))) == COLUMNS


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"limits.minimum_distance_m": 6.0}, "limits.minimum_distance_m (6) must be below set_points.distance_m (5)"),
        ({"timeouts.search_s": 1.0}, "timeouts.coast_s (4) must be below timeouts.search_s (1)"),
        ({"timeouts.camera_s": 0.5}, "timeouts.tracking_s (0.6) must be below timeouts.camera_s (0.5)"),
    ],
)
def test_contradictions_are_refused(values, complaint):
    with pytest.raises(UserError, match=complaint.replace("(", r"\(").replace(")", r"\)")):
        with_values(FollowerParameters(), values)
