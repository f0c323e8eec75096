"""The follower flown against a small fake world: how well it keeps its place."""

import pytest
from flight import Flight, running, slalom, straight, turns


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("with_odom", [True, False])
def test_straight_walk(seed, with_odom):
    flight = Flight(straight(), seed=seed, with_odom=with_odom).fly()
    assert flight.distance_rms_m() <= 0.6
    assert flight.in_view_share() >= 0.97


@pytest.mark.parametrize(("path", "max_rms_m"), [(turns(), 1.2), (slalom(), 1.2), (running(), 1.8)])
@pytest.mark.parametrize("latency_s", [0.05, 0.2])
def test_turns_and_running(path, max_rms_m, latency_s):
    flight = Flight(path, latency_s=latency_s).fly()
    assert flight.distance_rms_m() <= max_rms_m
    assert flight.in_view_share() >= 0.97
