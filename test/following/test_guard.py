"""The guard alone: whatever command comes and whoever was seen, what leaves it is finite, limited and hits nobody."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_follow.following.guard import Guard, Heights
from fcn_follow.following.parameters import FollowerParameters, Limits
from fcn_follow.geometry import ZERO_COMMAND, VelocityCommand
from fcn_follow.parameters import with_values

NUMBER = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=False) | st.floats(
    -8.0, 8.0, allow_subnormal=False
)
COMMAND = st.builds(VelocityCommand, NUMBER, NUMBER, NUMBER, NUMBER)
PERSON = st.tuples(
    st.floats(-4.0, 4.0, allow_subnormal=False),
    st.floats(-1.0, 2.0, allow_subnormal=False),
    st.floats(0.3, 8.0, allow_subnormal=False),
)
UNKNOWN = Heights()
AHEAD = VelocityCommand(forward_m_s=6.0)


def with_set(**values):
    return with_values(FollowerParameters(), {name.replace("__", "."): value for name, value in values.items()})


def settled(guard, command, seconds, see=lambda guard, now_s: None, begin_s=0.0, heights=UNKNOWN):
    """What the guard lets pass of a command that is asked for steadily."""
    for index in range(round(seconds / 0.02)):
        now_s = begin_s + index * 0.02
        guard.advance(now_s)
        see(guard, now_s)
        passed = guard.check(command, now_s, 0.02, heights)
    return passed


def towards(command, place_camera_m):
    """The speed of a command towards a place in the level optical frame, in m/s."""
    right, _, forward = place_camera_m
    return (command.forward_m_s * forward - command.left_m_s * right) / math.hypot(forward, right)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(COMMAND, st.lists(PERSON, max_size=5), st.booleans(), st.floats(0.0, 1.0, allow_subnormal=False)),
        min_size=1,
        max_size=20,
    )
)
def test_whatever_comes_is_finite_limited_and_away_from_people(steps):
    guard, limits = Guard(FollowerParameters()), Limits()
    now_s, last = 100.0, ZERO_COMMAND
    for command, people, sees_hero, dt_s in steps:
        now_s += dt_s
        guard.advance(now_s)
        guard.see_people(now_s, people)
        if sees_hero and people:
            guard.see_hero(now_s, people[0])
        guarded = guard.check(command, now_s, dt_s)
        passed = guarded.command
        numbers = (passed.forward_m_s, passed.left_m_s, passed.up_m_s, passed.yaw_rate_rad_s)
        assert all(map(math.isfinite, numbers))
        asked = (command.forward_m_s, command.left_m_s, command.up_m_s, command.yaw_rate_rad_s)
        assert bool(guarded.fault) == (not all(abs(value) <= 1000.0 for value in asked))
        speed = math.hypot(passed.forward_m_s, passed.left_m_s)
        assert speed <= limits.speed_m_s + 1e-6
        assert -limits.down_m_s <= passed.up_m_s <= limits.up_m_s
        assert abs(passed.yaw_rate_rad_s) <= limits.yaw_rate_rad_s
        growth = speed - math.hypot(last.forward_m_s, last.left_m_s)
        assert growth <= limits.acceleration_m_s2 * 0.1 * 1.02 + 1e-6
        for person in people:
            if math.hypot(person[0], person[2]) < limits.minimum_distance_m:
                assert towards(passed, person) <= 1e-6
                assert passed.up_m_s >= 0.0
        last = passed


@pytest.mark.parametrize("kind", ["see_hero", "see_people"])
def test_it_stops_before_anybody_ahead_whatever_is_commanded(kind):
    """A person 10 m ahead; the drone flies what the guard lets pass of full speed, and the camera sees them come."""
    guard, ahead_m, speed, nearest_m = Guard(FollowerParameters()), 10.0, 0.0, 10.0
    for index in range(600):
        now_s = index * 0.02
        guard.advance(now_s)
        if index % 3 == 0:
            place = (0.0, 0.5, ahead_m)
            guard.see_hero(now_s, place) if kind == "see_hero" else guard.see_people(now_s, [place])
        passed = guard.check(AHEAD, now_s, 0.02).command
        speed += (passed.forward_m_s - speed) * 0.02 / 0.3
        ahead_m -= speed * 0.02
        nearest_m = min(nearest_m, ahead_m)
    assert 1.8 <= nearest_m < 2.6
    assert abs(speed) < 0.1


def test_a_hero_who_is_not_seen_any_more_may_have_come_nearer():
    guard = Guard(FollowerParameters())
    settled(guard, ZERO_COMMAND, 0.1, lambda guard, now_s: guard.see_hero(now_s, (0.0, 0.0, 5.0)))
    assert guard.check(AHEAD, 0.1, 0.1).command.forward_m_s > 0.0
    for index in range(200):
        guard.advance(0.1 + index * 0.02)
        guard.check(ZERO_COMMAND, 0.1 + index * 0.02, 0.02)
    assert guard.check(AHEAD, 4.1, 0.02).command.forward_m_s <= 0.0, "after 4 s nobody knows where the hero is"


def test_a_drone_that_comes_nearer_by_its_own_commands_knows_it_without_a_picture():
    guard = Guard(with_set(limits__unseen_speed_m_s=0.0, vehicle__response_s=0.3))
    guard.advance(0.0)
    guard.see_hero(0.0, (0.0, 0.0, 6.0))
    flown_m = 0.0
    for index in range(500):
        now_s = index * 0.02
        pose = guard.advance(now_s)
        flown_m = pose.position_m[0]
        guard.check(AHEAD, now_s, 0.02)
    assert flown_m == pytest.approx(4.0, abs=0.2)


def test_sideways_and_away_are_free():
    guard = Guard(FollowerParameters())

    def near(guard, now_s):
        guard.see_hero(now_s, (0.0, 0.0, 1.0))

    assert settled(guard, VelocityCommand(forward_m_s=-2.0), 1.0, near).command.forward_m_s == pytest.approx(-2.0)
    guard = Guard(FollowerParameters())
    assert settled(guard, VelocityCommand(left_m_s=1.0), 0.5, near).command.left_m_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("place", [(0.085, 0.306, 0.3), (-0.2, 0.3, 0.3), (0.2, 0.0, 0.5)])
@pytest.mark.parametrize("command", [AHEAD, VelocityCommand(3.0, 2.0), VelocityCommand(3.0, -2.0)], ids=str)
def test_nobody_at_arm_s_length_is_slid_past(place, command):
    passed = settled(Guard(FollowerParameters()), command, 1.0, lambda guard, now_s: guard.see_people(now_s, [place]))
    speed_m_s = math.hypot(passed.command.forward_m_s, passed.command.left_m_s)
    assert towards(passed.command, place) <= 0.01 - 0.5 * speed_m_s, "if at all, it flies back"


def test_ceiling_and_floor():
    guard = Guard(FollowerParameters())
    up, down = VelocityCommand(up_m_s=1.0), VelocityCommand(up_m_s=-1.0)
    assert settled(guard, up, 1.0, heights=Heights(10.0, 10.0)).command.up_m_s == 1.0
    at_the_ceiling = guard.check(up, 1.0, 0.02, Heights(30.0, 45.0))
    assert at_the_ceiling.command.up_m_s == 0.0
    assert at_the_ceiling.limited_by == ("guard: height",)
    assert guard.check(up, 1.02, 0.02, Heights(99.0, 99.0)).command.up_m_s == 0.0
    assert settled(guard, down, 1.0, begin_s=2.0, heights=Heights(5.0, 5.0)).command.up_m_s == -1.0
    assert guard.check(down, 3.0, 0.02, Heights(0.0, 1.0)).command.up_m_s == 0.0


def test_without_odometry_the_ceiling_is_above_the_hero_s_feet_or_the_start():
    guard = Guard(FollowerParameters())
    below = (0.0, 31.0 - 0.85, 20.0)  # the middle of the body so far under a level camera: 31 m above the feet
    climb = VelocityCommand(up_m_s=1.0)
    assert settled(guard, climb, 1.0, lambda guard, now_s: guard.see_hero(now_s, below)).command.up_m_s == 0.0
    guard = Guard(FollowerParameters())
    settled(guard, climb, 60.0)
    assert guard.history.newest.position_m[2] == pytest.approx(30.0, abs=0.5)


def test_a_clock_at_ten_times_its_speed_gives_no_more_acceleration():
    guard = Guard(FollowerParameters())
    real_s, steady = 0.0, []
    for index in range(50):
        guard.advance(index * 0.2)
        steady.append(guard.check(AHEAD, index * 0.2, 0.02).command.forward_m_s)
        real_s += 0.02
    assert max(steady) <= Limits().acceleration_m_s2 * real_s * 1.02
    assert steady[-1] == pytest.approx(Limits().acceleration_m_s2 * real_s, rel=0.05)


def test_a_long_pause_does_not_let_the_command_leap():
    guard = Guard(FollowerParameters())
    guard.advance(0.0)
    guard.check(ZERO_COMMAND, 0.0, 0.02)
    guard.advance(0.9)
    assert guard.check(AHEAD, 0.9, 0.9).command.forward_m_s <= Limits().acceleration_m_s2 * 0.1 * 1.02


def test_somebody_who_leaves_the_picture_is_not_forgotten_at_once():
    guard, right = Guard(FollowerParameters()), VelocityCommand(left_m_s=-1.0)
    guard.advance(0.0)
    guard.see_people(0.0, [(1.9, 0.0, 0.3)])
    for index in range(1, 60):
        now_s = index * 0.02
        guard.advance(now_s)
        guard.see_hero(now_s, (0.0, 0.0, 8.0))
        guard.see_people(now_s, [(-4.0, 0.0, 8.0)])
        assert towards(guard.check(right, now_s, 0.02).command, (1.9, 0.0, 0.3)) <= 0.05
    guard = Guard(FollowerParameters())
    guard.advance(0.0)
    guard.see_people(0.0, [(1.9, 0.0, 0.3)])
    passed = settled(guard, right, 2.6, lambda guard, now_s: guard.see_people(now_s, []), begin_s=0.02)
    assert passed.command.left_m_s < 0.0, "but after a while"


@pytest.mark.parametrize(("unseen_s", "free"), [(0.3, False), (0.8, True)])
def test_somebody_who_is_missed_where_the_camera_looks_is_soon_forgotten(unseen_s, free):
    guard = Guard(FollowerParameters())
    guard.advance(0.0)
    guard.see_people(0.0, [(0.0, 0.0, 1.9)])
    passed = settled(guard, AHEAD, unseen_s, lambda guard, now_s: guard.see_people(now_s, []), begin_s=0.02)
    assert (passed.command.forward_m_s > 0.0) is free


def test_who_was_forgotten_does_not_come_back_when_the_drone_flies_past():
    """One false detection 7.5 m ahead; the pictures since show that nobody is there, and the drone passes the place."""
    guard, ahead = Guard(with_set(vehicle__response_s=0.1)), VelocityCommand(forward_m_s=5.0)
    settled(guard, ahead, 3.0)
    guard.see_people(2.98, [(1.3, 0.0, 7.5)])
    passed = []
    for index in range(1, 90):
        now_s = 2.98 + index * 0.02
        guard.advance(now_s)
        guard.see_people(now_s, [])
        passed.append(guard.check(ahead, now_s, 0.02).command.forward_m_s)
    assert min(passed[45:]) > 1.0, "from 0.9 s on it only speeds up again"


def test_a_picture_that_comes_late_does_not_hide_who_was_seen_since():
    guard = Guard(FollowerParameters())
    guard.advance(0.0)
    guard.advance(0.2)
    guard.see_people(0.2, [(0.0, 0.0, 1.9)])
    guard.see_people(0.0, [(0.0, 0.0, 30.0)])
    assert guard.check(AHEAD, 0.2, 0.02).command.forward_m_s <= 0.0


def test_those_who_walk_ahead_leave_no_trail_behind_them():
    """Two people side by side walk away at the speed of the drone; both are seen in each picture."""

    def walk_ahead(guard, now_s):
        guard.see_hero(now_s, (0.5, 0.0, 5.2 + 0.2 * math.sin(40.0 * now_s)))
        guard.see_people(now_s, [(-0.5, 0.0, 5.2 + 0.2 * math.sin(50.0 * now_s))])

    guard = Guard(FollowerParameters())
    assert settled(guard, VelocityCommand(forward_m_s=2.0), 6.0, walk_ahead).command.forward_m_s == pytest.approx(2.0)


def test_limits_that_are_lowered_in_flight_hold_at_once():
    guard = Guard(FollowerParameters())
    settled(guard, VelocityCommand(3.0, 1.0, 1.0, 1.0), 2.0)
    guard.parameters = with_set(limits__speed_m_s=1.0, limits__up_m_s=0.5, limits__yaw_rate_rad_s=0.5)
    guard.advance(2.0)
    passed = guard.check(VelocityCommand(2.9, 1.1, 0.9, 0.9), 2.0, 0.02).command
    assert math.hypot(passed.forward_m_s, passed.left_m_s) <= 1.0 + 1e-6
    assert passed.up_m_s <= 0.5
    assert passed.yaw_rate_rad_s <= 0.5


@pytest.mark.parametrize(("comes_m_s", "least", "most"), [(0.0, 2.8, 3.6), (3.0, 0.5, 1.9), (-3.0, 2.8, 3.6)])
def test_the_room_to_stop_counts_how_far_a_hero_comes_meanwhile(comes_m_s, least, most):
    guard = Guard(with_set(vehicle__response_s=0.3))
    for index in range(60):
        now_s = index * 0.02
        guard.advance(now_s)
        guard.see_hero(now_s, (0.0, 0.5, 5.0 + comes_m_s * (1.18 - now_s)))
        guard.check(ZERO_COMMAND, now_s, 0.02)
    assert least < guard.advise(AHEAD, now_s, UNKNOWN).forward_m_s < most


def test_a_hero_who_jumps_nearer_is_believed_but_for_the_swing_of_a_step():
    """For half a second the hero seems 8 m farther: the line through the detections is still far when they are near."""

    def room_m_s(jump_m):
        guard = Guard(FollowerParameters())
        for index in range(31):
            now_s = index * 0.02
            guard.advance(now_s)
            if index % 2 == 0:
                guard.see_hero(now_s, (0.0, 0.0, 3.0 + (jump_m if 4 <= index < 30 else 0.0)))
        return guard.advise(VelocityCommand(6.0), now_s, UNKNOWN).forward_m_s

    assert 0.0 < room_m_s(0.0) <= room_m_s(8.0) < room_m_s(0.0) + 0.5


def test_somebody_who_was_not_seen_for_a_while_may_be_at_either_edge_of_the_disc():
    guard = Guard(FollowerParameters())
    settled(guard, ZERO_COMMAND, 0.1, lambda guard, now_s: guard.see_hero(now_s, (0.0, 0.0, 2.2)))
    left = VelocityCommand(left_m_s=1.0)
    assert guard.advise(left, 0.1, UNKNOWN).left_m_s == pytest.approx(1.0, abs=0.1)
    for index in range(60):
        guard.advance(0.1 + index * 0.02)
        guard.check(ZERO_COMMAND, 0.1 + index * 0.02, 0.02)
    passed = guard.advise(left, 1.3, UNKNOWN)
    for aside_rad in (math.asin(1.2 / 2.2), -math.asin(1.2 / 2.2)):
        assert passed.forward_m_s * math.cos(aside_rad) + passed.left_m_s * math.sin(aside_rad) < 0.05


def test_a_fringe_of_the_hero_s_blob_is_not_remembered_where_the_hero_was():
    """One frame takes a part of a running hero for somebody else: the drone behind it flies on."""
    guard = Guard(with_set(vehicle__response_s=0.3))
    for index in range(200):
        now_s = index * 0.02
        pose = guard.advance(now_s)
        if index % 3 == 0:
            ahead_m = 6.0 + 3.0 * now_s - pose.position_m[0]
            guard.see_people(now_s, [(0.1, 0.5, ahead_m - 0.3)] if index == 99 else [])
            guard.see_hero(now_s, (0.0, 0.5, ahead_m))
        passed = guard.check(VelocityCommand(forward_m_s=3.0), now_s, 0.02).command
        assert index < 60 or passed.forward_m_s > 2.5, now_s


@pytest.mark.parametrize("tilt_deg", [0.0, 10.0, 20.0])
@pytest.mark.parametrize("true_m", [1.6, 1.9, 3.5])
@pytest.mark.parametrize("kind", ["hero", "people"])
def test_a_camera_without_a_gimbal_does_not_make_people_seem_farther(kind, true_m, tilt_deg):
    """The nose is down; the person is true_m ahead and 3 m below the camera."""
    pitch_rad, below_m = 0.6, 3.0
    guard = Guard(with_set(camera__stabilised=False, camera__pitch_down_rad=pitch_rad, vehicle__response_s=0.3))
    down_rad = pitch_rad + math.radians(tilt_deg)
    forward_m = true_m * math.cos(down_rad) + below_m * math.sin(down_rad)
    place = (0.0, below_m * math.cos(down_rad) - true_m * math.sin(down_rad), forward_m)
    tilt_rad = (0.0, math.radians(tilt_deg))

    def see(guard, now_s):
        if kind == "hero":
            guard.see_hero(now_s, place, tilt_rad)
        else:
            guard.see_people(now_s, [place], tilt_rad)

    passed = settled(guard, VelocityCommand(forward_m_s=2.0), 0.5, see).command
    assert (passed.forward_m_s > 0.0) == (true_m > 2.0)


@pytest.mark.parametrize("tilt_rad", [(0.0, -0.7), (0.0, 0.3), (0.2, 0.1), (0.5, 0.3), (-0.6, 0.4), (0.6, -0.4)])
def test_a_wrong_tilt_does_not_let_the_drone_towards_people(tilt_rad):
    """A person 1.9 m ahead and 2.5 m below a level drone."""
    guard = Guard(with_set(camera__stabilised=False))
    passed = settled(guard, AHEAD, 1.0, lambda guard, now_s: guard.see_hero(now_s, (0.0, 2.5, 1.9), tilt_rad)).command
    assert passed.forward_m_s <= 0.0
