"""What a real gz-sim 8.14 gave for this project's world: frames with labels, and odometry."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import figures
from ros_tools import GAZEBO_FLIGHT

from fcn_follow.following.odometry import Odometry
from fcn_follow.following.parameters import Timeouts
from fcn_follow.following.reasons import Refusal
from fcn_follow.following.vehicle import vehicle_from_body_twist

FIRST_MESSAGES = (
    (0.02, 13.24, 3.98, 2.5, 0.0, 0.0, 0.9880, 0.1542, -949.7863, -652.0518, 208.5291, 0.0243, 0.0134, 236.0),
    (0.04, 13.24, 3.98, 2.5, 0.0, 0.0, 0.9880, 0.1542, -356.1699, -244.5194, 78.1984, 0.0091, 0.0050, 88.5),
    (0.06, 13.24, 3.98, 2.5, 0.0, 0.0, 0.9880, 0.1542, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
)
"""Time, position, quaternion, twist. OdometryPublisher begins with the velocity from the origin to the start."""


def state_of(row):
    """The state of an odometry message."""
    return vehicle_from_body_twist(row[0], tuple(row[1:4]), tuple(row[4:8]), tuple(row[8:11]), row[13])


def faults_of(odometry, rows):
    """The faults after each message."""
    timeouts, faults = Timeouts(), []
    for row in rows:
        odometry.take(state_of(row), row[0], timeouts, frame_in_use=False)
        faults.append(odometry.fault(row[0], timeouts))
    return faults


def test_the_first_odometry_of_gazebo_is_refused_and_the_next_is_good():
    first, second, third = faults_of(Odometry(), FIRST_MESSAGES)
    assert all(Refusal.SPEED_TOO_HIGH.with_figures(40.0) in fault for fault in (first, second))
    assert third == ""


@pytest.mark.data
@pytest.mark.skipif(GAZEBO_FLIGHT is None, reason="needs the recorded flight in Gazebo")
def test_the_odometry_of_a_whole_flight_is_believed():
    odometry = Odometry()
    rows = np.loadtxt(GAZEBO_FLIGHT / "odom.csv").tolist()
    assert len(rows) > 3000
    assert [fault for fault in faults_of(odometry, rows)[2:] if fault] == []
    assert odometry.refused == 2


@pytest.mark.data
@pytest.mark.skipif(GAZEBO_FLIGHT is None, reason="needs the recorded flight in Gazebo")
def test_the_shipped_weights_find_the_hero_in_gazebos_frames():
    found = figures("score", "--data", GAZEBO_FLIGHT / "frames", "--engine", "openvino")
    near = found["folders"]["following_images"]
    assert near["iou_hero"] > 0.75
    assert (near["true_positives"], near["false_positives"], near["false_negatives"]) == (near["frames"], 0, 0)
