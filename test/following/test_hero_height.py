"""The correction of the hero's height by the ground under its feet."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fcn_follow.following.hero_height import HeroHeight

HEIGHT_M, BOUND = 1.7, 0.12


def measured(
    true_m: float, camera_m: float = 3.0, pitch_error_rad: float = 0.0, step_m: float = 0.0, frames: int = 600
) -> HeroHeight:
    """A hero seen for 30 s at 20 Hz: walking at 5 m distance after an approach from 9 m, swinging with each step."""
    height, rng = HeroHeight(), np.random.default_rng(1)
    for index in range(frames):
        true_distance_m = max(5.0, 9.0 - 0.1 * index)
        swing = 1.0 + 0.04 * math.sin(index * 0.05 * 12.0) + rng.normal(0.0, 0.01)
        share = HEIGHT_M / true_m * swing
        feet_m = camera_m * (1.0 - share) + share * (step_m + pitch_error_rad * true_distance_m)
        height.see(index * 0.05, camera_m, feet_m, share * true_distance_m, BOUND)
    return height


@pytest.mark.parametrize("true_m", [1.5, 1.6, 1.7, 1.8, 1.9])
def test_most_of_a_wrong_height_is_corrected(true_m):
    wrong = true_m / HEIGHT_M
    assert abs(measured(true_m).share / wrong - 1.0) <= 0.45 * abs(wrong - 1.0) + 0.01


def test_higher_up_more_of_it_is_known():
    assert measured(1.85, camera_m=8.0).share > measured(1.85, camera_m=2.0).share + 0.01


@pytest.mark.parametrize("true_m", [0.9, 1.35, 2.1, 3.0])
def test_the_correction_is_bounded(true_m):
    share = measured(true_m).share
    assert 1.0 - BOUND <= share <= 1.0 + BOUND
    assert (share - 1.0) * (true_m - HEIGHT_M) >= 0.0


@pytest.mark.parametrize("pitch_error_rad", [-0.2, 0.2])
def test_a_pitch_that_is_wrong_by_more_than_a_height_can_be_changes_nothing(pitch_error_rad):
    height = measured(HEIGHT_M, pitch_error_rad=pitch_error_rad)
    assert height.share == 1.0
    assert not height.report(HEIGHT_M)


def test_a_hill_on_the_way_changes_nothing():
    height = measured(HEIGHT_M, frames=200)
    for index in range(200, 600):
        height.see(index * 0.05, 3.0, 0.01 * (index - 200), 5.0, BOUND)
    assert height.share == pytest.approx(1.0, abs=0.02)


def test_the_distance_changes_slowly_and_the_user_is_told():
    before = measured(1.9, frames=55)
    assert before.share == 1.0
    assert not before.report(HEIGHT_M)
    later = measured(1.9, frames=90)
    assert 1.0 < later.share < 1.06
    assert "1.8" in measured(1.9).report(HEIGHT_M)
    assert "hero.height_m" in measured(1.9).report(HEIGHT_M)


def test_a_hero_who_is_too_near_or_far_apart_in_time_tells_nothing():
    height = HeroHeight()
    for index in range(100):
        height.see(index * 0.05, 3.0, 0.5, 1.0, BOUND)
    assert height.share == 1.0
    height.see(1e6, 3.0, 0.3, 5.0, BOUND)
    height.see(-math.inf, 3.0, 0.3, 5.0, BOUND)
    assert height.share == 1.0
