"""Who the hero is: pointed at, followed by place and look, recognised, and never swapped without a question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import BLACK, BLUE, HEIGHT_PX, RED, WHITE, WIDTH_PX, Person, scene

from fcn_follow.perception.appearance import Appearance
from fcn_follow.perception.selection import (
    ASK_S,
    CONFIRM_S,
    LEARN_S,
    NOBODY_CHOSEN,
    PLACE_S,
    POINT_S,
    Choice,
    Selection,
)

RATE_HZ = 20
HERO, OTHER, THIRD = (RED, BLACK), (BLUE, WHITE), (RED, BLUE)


def person(x: float, clothes: tuple, y: float = 150.0) -> Person:
    return (x, y, *clothes)


class Film:
    """Shows frames to a selection at RATE_HZ."""

    def __init__(self, appearance: Appearance | None = None) -> None:
        self.selection = Selection(appearance)
        self.frames = 0

    @property
    def now_s(self) -> float:
        return self.frames / RATE_HZ

    def show(self, *people: Person, light: float = 1.0) -> Choice:
        image, labels = scene(*people, light=light, seed=self.frames)
        choice = self.selection.choose(image, labels, self.now_s, 30)
        self.frames += 1
        assert ((choice.labels > 0) == (labels > 0)).all()
        assert (choice.hero is not None) == bool((choice.labels == 2).any())
        assert not (choice.hero is not None and choice.asks)
        return choice

    def stay(self, people: Sequence[Person], seconds: float) -> list[Choice]:
        return [self.show(*people) for _ in range(round(seconds * RATE_HZ))]


def hero_x(choice: Choice) -> float | None:
    """The middle column of the hero's pixels."""
    columns = np.nonzero(choice.labels == 2)[1]
    return float(columns.mean()) if len(columns) else None


def pointed(x: float = 100, others: Sequence[Person] = (), seconds: float = 1.5) -> Film:
    """A film in which the hero at x has been pointed at and learnt."""
    film = Film()
    film.selection.point(x, 120)
    film.stay([person(x, HERO), *others], seconds)
    return film


def test_without_a_pointing_there_is_no_hero_and_the_user_is_asked():
    film = Film()
    for choice in film.stay([person(100, HERO), person(200, OTHER)], 0.3):
        assert choice.hero is None and choice.asks == NOBODY_CHOSEN
        assert (choice.labels <= 1).all()
        assert [each.number for each in choice.candidates] == [1, 2]


def test_the_one_pointed_at_is_the_hero_from_that_frame_on_and_is_learnt_once():
    film = Film()
    film.selection.point(201, 118)
    choices = film.stay([person(100, HERO), person(200, OTHER)], LEARN_S + 0.5)
    assert choices[0].notice == "the hero is 2 at 200, 120"
    assert all(hero_x(choice) == pytest.approx(199.5) and choice.asks == "" for choice in choices)
    (learnt,) = (choice.learnt for choice in choices if choice.learnt)
    assert learnt.usual > 0.85
    again = Film(learnt).stay([person(100, HERO), person(250, OTHER)], 2 * CONFIRM_S)
    assert hero_x(again[-1]) == pytest.approx(249.5)
    assert {choice.hero for choice in again[:3]} == {None}


@pytest.mark.parametrize("there", [(100, 86), (109, 149), (110, 150), (112, 120)])
def test_a_point_on_the_body_or_right_beside_it_counts(there):
    film = Film()
    film.selection.point(*there)
    assert film.show(person(100, HERO), person(200, OTHER)).notice == "the hero is 1 at 100, 120"


@pytest.mark.parametrize("there", [(150, 120), (0, 0), (-50, 1e9), (float("nan"), 3), (float("inf"), -1e308)])
def test_a_point_on_background_is_refused_with_the_nearest_and_changes_nothing(there):
    film = pointed()
    film.selection.point(*there)
    choice = film.show(person(100, HERO), person(200, OTHER))
    assert choice.notice.startswith("refused: nobody is at ")
    assert "1 at 100, 120" in choice.notice and "2 at 200, 120" in choice.notice
    assert len(choice.notice) < 150
    assert hero_x(choice) == pytest.approx(99.5)
    assert film.show(person(100, HERO), person(200, OTHER)).notice == ""


def test_a_point_waits_for_somebody_and_is_refused_after_five_seconds_without():
    film = Film()
    film.selection.point(100, 120)
    film.stay([], POINT_S - 1.0)
    assert film.show(person(100, HERO)).notice == "the hero is 1 at 100, 120"
    film = Film()
    film.selection.point(100, 120)
    notices = [choice.notice for choice in film.stay([], POINT_S + 1.0) if choice.notice]
    assert notices == ["refused: nobody has been in the picture for 5 s since the point at 100, 120"]
    assert film.show(person(100, HERO)).hero is None


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a frame with nobody"])
@pytest.mark.parametrize("outage_s", [1.5, 300.0, -0.5, -500.0, None])
def test_a_point_before_an_outage_does_not_choose_whom_the_next_frame_shows_there(outage_s, waits):
    """None: the segmenter was deactivated, or its camera was at fault."""
    film = Film()
    film.frames = 600 * RATE_HZ
    film.stay([person(100, HERO)], 0.2)
    film.selection.point(100, 120)
    if waits:
        film.show()
    if outage_s is None:
        film.selection.forget_place()
        film.selection.forget_place()
    film.frames += round((outage_s or 300.0) * RATE_HZ)
    choice = film.show(person(100, OTHER))
    assert choice.notice == "refused: the pictures were interrupted after the point at 100, 120; point again"
    assert choice.hero is None and choice.asks == NOBODY_CHOSEN
    assert film.show(person(100, OTHER)).notice == ""
    film.selection.point(100, 120)
    assert film.show(person(100, OTHER)).notice.startswith("the hero is ")


def test_a_point_counts_after_frames_that_are_late_by_less_than_a_second():
    film = Film()
    film.show(person(100, HERO))
    film.selection.point(100, 120)
    film.frames += round(0.8 * RATE_HZ)
    assert film.show(person(100, HERO)).notice.startswith("the hero is ")


def test_a_hero_is_not_recognised_by_one_frame_before_an_outage_and_one_after_it():
    film = Film(pointed().selection.appearance)
    assert film.show(person(100, HERO)).hero is None
    film.frames += round(1.2 * RATE_HZ)
    assert film.show(person(100, HERO)).hero is None
    assert film.stay([person(100, HERO)], CONFIRM_S + 0.1)[-1].hero is not None


def test_a_second_pointing_changes_the_hero_at_once():
    film = pointed(others=[person(200, OTHER)])
    film.selection.point(200, 120)
    for choice in film.stay([person(100, HERO), person(200, OTHER)], LEARN_S + 0.5):
        assert hero_x(choice) == pytest.approx(199.5)


def test_the_hero_is_followed_past_somebody_who_crosses_in_front():
    film = pointed(others=[person(250, OTHER)])
    for step in range(100):
        choice = film.show(person(100 + step, HERO), person(250 - 2 * step, OTHER, y=155))
        x = hero_x(choice)
        assert x is None or x == pytest.approx(99.5 + step, abs=WIDTH_PX), step
    assert hero_x(choice) == pytest.approx(198.5, abs=1)


def test_a_hero_who_was_hidden_is_recognised_elsewhere_and_nobody_else_is():
    film = pointed(others=[person(200, OTHER)])
    for choice in film.stay([person(200, OTHER), person(260, THIRD)], 5.0):
        assert choice.hero is None and choice.asks == ""
    film.stay([person(200, OTHER), person(60, HERO), person(260, THIRD)], 2 * CONFIRM_S)
    assert hero_x(film.show(person(200, OTHER), person(60, HERO), person(260, THIRD))) == pytest.approx(59.5)


def test_of_twins_nobody_is_recognised_and_the_user_is_asked_until_a_pointing():
    film = pointed()
    film.stay([], PLACE_S + 0.5)
    twins = [person(60, HERO), person(250, HERO)]
    choices = film.stay(twins, ASK_S + 0.5)
    assert {choice.hero for choice in choices} == {None}
    assert choices[-1].asks == "people 2 and 3 both look like the hero; point at the hero"
    # One of them leaves: the other may be anybody.
    choices = film.stay(twins[1:], 5.0)
    assert {choice.hero for choice in choices} == {None}
    assert "point at the hero" in choices[-1].asks
    film.selection.point(250, 120)
    assert hero_x(film.show(*twins)) == pytest.approx(249.5)


def test_a_twin_who_was_seen_beside_the_hero_is_not_taken_for_a_hero_who_is_gone():
    film = pointed(others=[person(250, HERO)])
    choices = film.stay([person(250, HERO)], PLACE_S + ASK_S + 2.0)
    assert {choice.hero for choice in choices} == {None}
    assert "so does a person seen before" in choices[-1].asks


def test_a_twin_who_vanishes_beside_the_hero_leaves_a_question():
    film = pointed()
    for step in range(40):  # the twin comes and stands before the hero
        film.show(person(100, HERO), person(180 - 2 * step, HERO, y=156))
    choices = film.stay([person(100, HERO, y=156)], ASK_S + 1.0)
    assert {choice.hero for choice in choices} == {None}
    assert choices[-1].asks


@pytest.mark.parametrize("seed", range(5))
def test_in_a_crowd_of_twins_who_walk_to_and_fro_the_hero_is_never_swapped_and_asked_for(seed):
    rng = np.random.default_rng(seed)
    film = Film()
    film.selection.point(100, 120)
    places, goals = np.array([100.0, 40, 180, 240, 290]), rng.uniform(20, 300, 5)
    asked = False
    for _ in range(200):
        choice = film.show(*(person(x, HERO) for x in places))
        asked |= bool(choice.asks)
        assert choice.hero is None or hero_x(choice) == pytest.approx(places[0], abs=WIDTH_PX)
        places += np.clip(goals - places, -3, 3)
        goals = np.where(np.abs(goals - places) < 3, rng.uniform(20, 300, 5), goals)
    assert asked


def test_the_look_follows_the_light_slowly():
    film = pointed(others=[person(250, OTHER)])
    people = [person(100, HERO), person(250, OTHER)]
    for step in range(200):
        choice = film.show(*people, light=1.0 - 0.4 * step / 200)
        assert hero_x(choice) == pytest.approx(99.5), step


def test_what_is_learnt_is_frozen_while_there_is_doubt():
    film = pointed()
    film.stay([], PLACE_S + 0.5)
    before = film.selection._model
    film.stay([person(60, HERO), person(250, HERO)], 2.0)
    assert film.selection._model is before


def test_stamps_that_go_back_end_the_track_but_not_the_memory():
    film = pointed(others=[person(200, OTHER)])
    film.frames = 0
    assert film.show(person(200, OTHER), person(60, HERO)).hero is None
    film.stay([person(200, OTHER), person(60, HERO)], 2 * CONFIRM_S)
    assert hero_x(film.show(person(200, OTHER), person(60, HERO))) == pytest.approx(59.5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 300), st.integers(70, 230), st.booleans()), max_size=4), st.data())
def test_nobody_in_other_clothes_ever_becomes_the_hero(others, data):
    """Whatever appears and vanishes around, the hero is right or missing."""
    film = pointed()
    hero_at = [100.0, 150.0]
    for _ in range(data.draw(st.integers(5, 25))):
        hero_at[0] += data.draw(st.integers(-6, 6))
        there = data.draw(st.booleans())
        crowd = [(x, y, *(OTHER if blue else (WHITE, WHITE))) for x, y, blue in others if data.draw(st.booleans())]
        choice = film.show(*crowd, *([(hero_at[0], hero_at[1], *HERO)] if there else []))
        if choice.hero is not None:
            assert there
            assert hero_x(choice) == pytest.approx(hero_at[0], abs=WIDTH_PX)


def test_one_of_whom_only_the_legs_were_seen_at_first_is_followed_as_a_whole():
    """Taken for legs alone, the hero would seem twice as far away."""
    film = Film()
    film.selection.point(100, 140)
    for frame in range(60):
        image, labels = scene(person(100, HERO), person(220, OTHER), seed=frame)
        if frame < 10:
            labels[: 150 - HEIGHT_PX // 2, :150] = 0
        choice = film.selection.choose(image, labels, frame / RATE_HZ, 30)
        if frame > 30 and choice.hero is not None:
            rows = np.nonzero((choice.labels == 2).any(axis=1))[0]
            assert np.ptp(rows) + 1 == HEIGHT_PX
    assert choice.hero is not None


@pytest.mark.parametrize("horizon_px", [60.0, float("nan")])
def test_somebody_behind_who_touches_the_hero_does_not_make_the_hero_taller(horizon_px):
    film = pointed()
    for frame in range(40):
        image, labels = scene((100, 150 - 24, *OTHER), person(100, HERO), seed=frame)
        choice = film.selection.choose(image, labels, film.now_s + frame / RATE_HZ, 30, horizon_px)
        rows = np.nonzero((choice.labels == 2).any(axis=1))[0]
        assert choice.hero is not None and np.ptp(rows) + 1 <= 1.2 * HEIGHT_PX
