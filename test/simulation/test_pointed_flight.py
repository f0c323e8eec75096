"""Lockstep flights after a hero of any outfit at whom the user points."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ros_tools import ROOT

from fcn_follow.errors import UserError
from fcn_follow.perception.selection import NOBODY_CHOSEN
from fcn_follow.simulation.episode import CameraSetup, Episode
from fcn_follow.simulation.figures import SWAP_FRAMES, figures
from fcn_follow.simulation.flight import ASKING, FlightLog, fly
from fcn_follow.simulation.outfits import HERO, POINTED_HEROES, Cast, pointed_cast
from fcn_follow.simulation.scenarios import find_scenario
from fcn_follow.simulation.suite import EyesSpec, Task, run

WEIGHTS = ROOT / "weights" / "hero_net.safetensors"


def test_ten_heroes_have_two_lookalikes_each_and_none_is_the_trained_hero():
    assert len({outfit.top + outfit.bottom for outfit in POINTED_HEROES}) == len(POINTED_HEROES) == 10
    for seed in range(20):
        cast = pointed_cast(seed)
        assert cast.hero != HERO and cast.hero == POINTED_HEROES[seed % 10]
        in_top, in_trousers = cast.crowd
        assert in_top.top == cast.hero.top and in_trousers.bottom == cast.hero.bottom
        assert cast.hero not in cast.crowd


TASK = Task("lookalike", 1, EyesSpec(WEIGHTS, pointed=True), duration_s=1.6)


@pytest.fixture(scope="module")
def log() -> FlightLog:
    return run(TASK)


def test_the_one_pointed_at_is_followed_through_lookalikes_and_every_flight_is_the_same(log):
    seen = [look for look in log.looks if look.seen]
    assert len(seen) > 20
    assert all(look.on_hero and not look.on_other for look in seen)
    assert log.moments[-1].state == "tracking"
    found = figures(log)
    assert (found.swaps, found.right_person) == (0, 1.0)
    again = run(dataclasses.replace(TASK, duration_s=0.5))
    assert again.looks == log.looks[: len(again.looks)]
    assert [m.command for m in again.moments] == [m.command for m in log.moments[: len(again.moments)]]


def test_while_nobody_is_chosen_the_drone_holds_and_says_why():
    camera = CameraSetup()
    eyes = EyesSpec(WEIGHTS, pointed=True).open(camera)
    eyes._pointing = None  # a user who does not point
    log = fly(find_scenario("straight"), 2, eyes, camera, duration_s=0.6, cast=pointed_cast(2))
    reasons = {moment.reason for moment in log.moments[10:]}
    assert reasons == {f"{ASKING}{NOBODY_CHOSEN}"}
    assert {moment.state for moment in log.moments[10:]} == {"holding"}
    assert not any(dataclasses.astuple(moment.command)[i] for moment in log.moments for i in range(4))
    assert figures(log).asking > 0.8


def test_somebody_else_for_hero_in_enough_frames_is_a_swap(log):
    looks = [dataclasses.replace(look, on_other=index >= 2) for index, look in enumerate(log.looks)]
    for frames, swaps in ((SWAP_FRAMES, 1), (SWAP_FRAMES - 1, 0)):
        assert figures(dataclasses.replace(log, looks=looks[: 2 + frames])).swaps == swaps


def test_the_cast_of_a_flight_does_not_change_who_walks_where():
    scenario = find_scenario("lookalike")
    with Episode(scenario, 3) as plain, Episode(scenario, 3, cast=Cast(POINTED_HEROES[0])) as dressed:
        first, second = plain.advance(0.2)[0], dressed.advance(0.2)[0]
        assert [(w.x_m, w.y_m) for w in plain.other_walkers] == [(w.x_m, w.y_m) for w in dressed.other_walkers]
    hero = first.labels == 2
    assert hero.any() and (first.rgb[hero] != second.rgb[hero]).any()
    assert np.abs(first.rgb[~hero].astype(int) - second.rgb[~hero]).mean() < 1.0


def test_true_positions_leave_nothing_to_point_at():
    from fcn_follow.cli.fly import one

    with pytest.raises(UserError, match="leave out --pointed"):
        one(true_positions=True, pointed=True)
