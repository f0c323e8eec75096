"""Set points that move: an orbit round the hero, a dolly, a place in front, smooth and within the limits."""

import itertools
import math

import numpy as np
import pytest
from flight import STEP_S, Flight, straight, turns

from fcn_follow.following.parameters import FollowerParameters, VehicleParameters
from fcn_follow.parameters import with_values


def parameters(**values):
    given = {f"set_points.{name}": value for name, value in values.items()}
    return with_values(FollowerParameters(vehicle=VehicleParameters(0.3)), given)


def bearing_rates_rad_s(flight, begin_s):
    """How fast the drone goes round the hero, by its true places."""
    angles = [
        math.atan2(y - hero_y, x - hero_x)
        for t, (x, y, _) in zip(flight.times, flight.drone_m, strict=True)
        if t >= begin_s
        for hero_x, hero_y in [flight.path(t)]
    ]
    return np.diff(np.unwrap(angles)) / STEP_S


def keeps_its_limits(flight):
    limits = flight.parameters.limits
    commands = [(step.command.forward_m_s, step.command.left_m_s) for step in flight.steps]
    speeds = [math.hypot(*command) for command in commands]
    changes = [math.dist(a, b) / STEP_S for a, b in itertools.pairwise(commands)]
    return max(speeds) <= limits.speed_m_s + 1e-6 and max(changes) <= limits.acceleration_m_s2 + 0.5


@pytest.mark.parametrize("rate_rad_s", [0.3, -0.2])
@pytest.mark.parametrize("path", [lambda _t: (5.0, 0.0), straight(1.0)], ids=["standing", "walking"])
def test_an_orbit_goes_round_the_hero(path, rate_rad_s):
    flight = Flight(path, duration_s=40.0, parameters=parameters(orbit_rad_s=rate_rad_s)).fly()
    assert bearing_rates_rad_s(flight, 10.0).mean() == pytest.approx(rate_rad_s, rel=0.1)
    assert np.sqrt(np.mean((np.array(flight.distances_m[500:]) - 5.0) ** 2)) < 0.5
    assert flight.in_view_share() > 0.99
    assert keeps_its_limits(flight)


def test_an_orbit_begins_turns_round_and_ends_smoothly():
    def change(t, follower):
        for at_s, rate_rad_s in ((8.0, 0.3), (18.0, -0.3), (28.0, 0.0)):
            if t == at_s:
                follower.set_parameters(parameters(orbit_rad_s=rate_rad_s))

    flight = Flight(lambda _t: (5.0, 0.0), at=change, duration_s=38.0, parameters=parameters()).fly()
    assert keeps_its_limits(flight)
    assert abs(bearing_rates_rad_s(flight, 35.0).mean()) < 0.02, "it stays where the orbit ended"
    assert min(flight.distances_m) > 4.0


def test_an_orbit_faster_than_the_limit_is_flown_at_the_limit():
    flight = Flight(lambda _t: (5.0, 0.0), duration_s=30.0, parameters=parameters(orbit_rad_s=1.0)).fly()
    rates = bearing_rates_rad_s(flight, 10.0)
    assert rates.mean() == pytest.approx(0.8 * 2.5 / 5.0, rel=0.1)
    assert keeps_its_limits(flight)


def test_an_orbit_waits_for_a_drone_that_cannot_follow():
    """A set point that went on would come round to the drone's other side, and the drone would turn back."""
    slow = with_values(parameters(orbit_rad_s=0.4), {"limits.speed_m_s": 0.5})
    flight = Flight(lambda _t: (5.0, 0.0), duration_s=60.0, parameters=slow).fly()
    assert bearing_rates_rad_s(flight, 15.0).min() > 0.0
    assert flight.in_view_share() > 0.99


def test_a_dolly_is_as_slow_as_it_is_told():
    def change(t, follower):
        if t == 8.0:
            follower.set_parameters(parameters(distance_m=10.0, dolly_m_s=0.5))

    flight = Flight(lambda _t: (5.0, 0.0), at=change, duration_s=26.0, parameters=parameters()).fly()
    speeds = np.array([math.hypot(*velocity) for velocity in flight.velocities_m_s])[400:1200]
    assert speeds.reshape(-1, 100).mean(1).max() < 0.75, "over 2 s, for the measured distance is noisy"
    assert flight.distances_m[400 + 250] == pytest.approx(7.5, abs=0.7), "5 s later it is on its way"
    assert flight.distances_m[-1] == pytest.approx(10.0, abs=0.5)


def test_in_front_it_leads_the_hero():
    flight = Flight(turns(1.2, 10.0), duration_s=45.0, parameters=parameters(bearing="front")).fly()
    ahead = [
        math.cos(
            math.remainder(
                step.relative.bearing_rad - math.atan2(step.hero.velocity_odom_m_s[1], step.hero.velocity_odom_m_s[0]),
                math.tau,
            )
        )
        for step in flight.steps[600:]
    ]
    assert np.mean(np.array(ahead) > 0.0) > 0.8
    assert min(flight.distances_m) > 2.0
    assert flight.in_view_share() > 0.99
