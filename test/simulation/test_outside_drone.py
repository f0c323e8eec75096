"""A drone that something else flies: placed in the town, tilted, and not believed beyond what a drone can do."""

import dataclasses
import math

import numpy as np
import pytest

from fcn_follow.coordinates import quaternion_xyzw
from fcn_follow.geometry import VehicleState
from fcn_follow.simulation.episode import CameraSetup, Episode
from fcn_follow.simulation.outside_drone import FLYING_M, LEGS_M, OutsideDrone
from fcn_follow.simulation.scenarios import find_scenario

BEGIN_S, PERIOD_S = 1.7e9, 0.04
CAMERA = CameraSetup(width_px=160, height_px=120, stabilised=False, latency_s=0.0)
NORTH_RAD = math.pi / 2


def flat(_x_m, _y_m):
    return 0.1


class Flight:
    """States of a vehicle that the drone takes; its odometry begins anywhere and looks north."""

    def __init__(self, drone=None):
        self.drone = drone or OutsideDrone((10.0, -5.0), 0.0, flat)
        self.now_s = BEGIN_S
        self.place_m = np.array([400.0, 300.0, 0.0])
        self.fault = ""

    def go(self, velocity_m_s=(0.0, 0.0, 0.0), seconds=0.2, roll_rad=0.0, pitch_rad=0.0, **lies):
        for _ in range(round(seconds / PERIOD_S)):
            self.now_s += PERIOD_S
            self.place_m += np.array(velocity_m_s) * PERIOD_S
            attitude = quaternion_xyzw(roll_rad, pitch_rad, NORTH_RAD)
            state = VehicleState(self.now_s, tuple(map(float, self.place_m)), attitude, velocity_m_s, 0.0)
            self.drone.take(dataclasses.replace(state, **lies), self.now_s)
            self.fault = self.drone.move_to(self.now_s)
        return self

    def climbed(self):
        return self.go((0.0, 0.0, 1.0), 2.0).go()


def test_it_stands_at_the_start_until_it_flies_and_then_keeps_its_way():
    flight = Flight()
    assert not flight.drone.is_seen and flight.drone.move_to(BEGIN_S) == "no pose of the vehicle yet"
    flight.go()
    assert flight.fault == "" and flight.drone.is_seen and not flight.drone.is_flying
    assert flight.drone.position_m == pytest.approx([10.0, -5.0, 0.1 + LEGS_M])
    assert flight.drone.yaw_rad == pytest.approx(0.0), "it looks where the scenario's drone looks"
    flight.climbed()
    assert flight.drone.is_flying and flight.place_m[2] > FLYING_M
    flight.go((0.0, 1.5, 0.0), 2.0)  # to the north, which is ahead, and so to the east of the town
    assert flight.fault == ""
    assert flight.drone.position_m == pytest.approx([13.0, -5.0, 2.1 + LEGS_M], abs=1e-3)
    assert flight.drone.velocity_m_s == pytest.approx([1.5, 0.0, 0.0])


def test_a_clock_that_goes_back_is_reported_and_then_believed():
    flight = Flight().climbed()
    flight.now_s -= 60.0
    assert flight.drone.move_to(flight.now_s)
    assert not flight.drone.is_seen
    flight.go(seconds=2.0)
    assert flight.fault == ""
    assert flight.drone.is_seen


def test_between_two_poses_it_moves_on():
    flight = Flight().climbed().go((0.0, 2.0, 0.0), 1.0)
    before = flight.drone.position_m
    assert flight.drone.move_to(flight.now_s + 0.1) == ""
    assert flight.drone.position_m - before == pytest.approx([0.2, 0.0, 0.0])


@pytest.mark.parametrize(
    "lie",
    [
        {"position_odom_m": (math.nan, 0.0, 2.0)},
        {"position_odom_m": (1e300, 0.0, 2.0)},
        {"orientation_odom_xyzw": (0.0, 0.0, 0.0, 0.0)},
        {"orientation_odom_xyzw": (1.0, 0.0, 0.0, 0.0)},
        {"velocity_odom_m_s": (0.0, -1417.0, 0.0)},
        {"stamp_s": BEGIN_S - 100.0},
        {"stamp_s": math.nan},
    ],
    ids=str,
)
def test_a_pose_that_no_drone_has_moves_nothing_and_ends_the_pictures(lie):
    flight = Flight().climbed()
    there = flight.drone.position_m.copy()
    flight.go(seconds=1.0, **lie)
    assert flight.fault and not flight.drone.is_seen
    assert flight.drone.position_m == pytest.approx(there)
    flight.go(seconds=2.0)
    assert flight.fault == "" and flight.drone.is_seen


def test_old_poses_end_the_pictures():
    flight = Flight().climbed()
    assert flight.drone.move_to(flight.now_s + 0.3) == ""
    assert "odometry" in flight.drone.move_to(flight.now_s + 1.0) and not flight.drone.is_seen


def test_after_a_jump_there_are_no_pictures_for_a_while():
    flight = Flight().climbed()
    flight.place_m += np.array([0.0, 8.0, 0.0])
    flight.go()
    assert "jumped" in flight.fault and not flight.drone.is_seen
    flight.go(seconds=2.0)
    assert flight.fault == "" and flight.drone.position_m[0] == pytest.approx(18.0)


def test_outside_the_town_there_are_no_pictures():
    flight = Flight().climbed().go((0.0, 20.0, 0.0), 7.0)
    assert "the vehicle has left the town: it is at 1" in flight.fault
    assert abs(flight.drone.position_m[0]) < 121.0


def first_frame(roll_rad, pitch_rad):
    with Episode(find_scenario("straight"), 0, CAMERA, flown_outside=True) as episode:
        start_m = episode.route.walker.x_m
        assert episode.advance(0.2) == [], "no pictures before the first pose"
        flight = Flight(episode.drone).climbed()
        assert (episode.route.walker.x_m, episode.contact()) == (start_m, ""), "the hero waits"
        flight.go(roll_rad=roll_rad, pitch_rad=pitch_rad)
        frame = episode.advance(0.3)[0]
        assert episode.route.walker.x_m > start_m
        return np.argwhere(frame.labels == 2)


def test_roll_and_pitch_tilt_a_fixed_camera():
    def middle(pixels):
        return (pixels.min(0) + pixels.max(0)) / 2

    def lean(pixels):
        """How far the columns go to the right from head to feet, as a share of the height."""
        rows, columns = (pixels - pixels.mean(0)).T
        return float(np.polyfit(rows, columns, 1)[0])

    level, nose_down, rolled = (first_frame(*tilt) for tilt in ((0.0, 0.0), (0.0, 0.15), (0.35, 0.0)))
    assert middle(nose_down)[0] < middle(level)[0] - 10, "nose down: the hero is higher in the picture"
    assert lean(rolled) - lean(level) == pytest.approx(math.tan(0.35), abs=0.1), "to the right: the hero leans left"
