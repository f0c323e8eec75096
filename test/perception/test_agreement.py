"""Temporal agreement: what one frame alone shows is not believed where the parameters say so."""

import numpy as np
import pytest

from fcn_follow.errors import UserError
from fcn_follow.perception.agreement import Agreement, AgreementParameters
from fcn_follow.perception.blobs import Blob
from fcn_follow.perception.hero import find_hero

TWO_OF_THREE = AgreementParameters(frames=3, seen=2)


def hero_at(x_px: int, y_px: int = 50) -> Blob:
    labels = np.zeros((100, 200), np.uint8)
    labels[y_px : y_px + 10, x_px : x_px + 4] = 2
    hero = find_hero(labels)
    assert hero is not None
    return hero


def answers(parameters: AgreementParameters, frames: list[tuple[float, Blob | None]]) -> list[bool]:
    agreement = Agreement()
    return [agreement.agreed(hero, stamp_s, parameters) is not None for stamp_s, hero in frames]


def test_by_default_every_frame_is_believed():
    assert answers(AgreementParameters(), [(0.0, hero_at(10)), (0.1, None), (0.2, hero_at(150))]) == [True, False, True]


def test_a_hero_is_believed_from_the_second_frame_on_and_one_miss_is_forgiven():
    frames = [(0.0, hero_at(10)), (0.1, hero_at(13)), (0.2, None), (0.3, hero_at(19)), (0.4, None), (0.5, None)]
    assert answers(TWO_OF_THREE, [*frames, (0.6, hero_at(20))]) == [False, True, False, True, False, False, False]


def test_two_places_far_apart_do_not_agree():
    assert answers(TWO_OF_THREE, [(0.0, hero_at(10)), (0.1, hero_at(150)), (0.2, hero_at(12))]) == [False, False, True]


@pytest.mark.parametrize("second_s", [1.5, -20.0])
def test_what_is_long_ago_or_from_before_the_bag_began_again_does_not_count(second_s):
    assert answers(TWO_OF_THREE, [(0.0, hero_at(10)), (second_s, hero_at(10))]) == [False, False]


def test_more_sightings_than_frames_are_refused():
    with pytest.raises(UserError, match=r"seen is 3 and agreement\.frames 2"):
        AgreementParameters(frames=2, seen=3)
