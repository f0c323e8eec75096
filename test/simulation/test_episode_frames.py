"""When frames leave the simulated camera: late by the camera's own latency and the scenario's, or as soon as drawn."""

import dataclasses

import numpy as np
import pytest

from fcn_follow.simulation.episode import CameraSetup, Episode
from fcn_follow.simulation.scenarios import find_scenario

SMALL = CameraSetup(width_px=80, height_px=60)
LIVE = dataclasses.replace(SMALL, latency_s=0.0)


def first_arrival(scenario, camera, shown):
    with Episode(find_scenario(scenario), 0, camera, on_picture=lambda *picture: shown.append(picture)) as episode:
        assert episode.frame_is_due
        while not (frames := episode.advance(episode.now_s + 0.01)):
            assert not episode.frame_is_due or episode.now_s > 0.04
        return episode.now_s, frames[0]


@pytest.mark.parametrize(("scenario", "latency_s"), [("straight", 0.05), ("latency", 0.2)])
def test_in_lockstep_a_frame_is_as_late_as_the_scenario_says(scenario, latency_s):
    shown = []
    arrived_s, frame = first_arrival(scenario, SMALL, shown)
    assert arrived_s - frame.stamp_s == pytest.approx(latency_s)
    assert shown == []


def test_live_a_picture_is_handed_out_before_its_truth_is_drawn():
    shown = []
    arrived_s, frame = first_arrival("straight", LIVE, shown)
    assert arrived_s - frame.stamp_s == pytest.approx(0.01), "the step in which it was taken"
    assert [stamp_s for stamp_s, _ in shown] == [frame.stamp_s]
    assert shown[0][1] is frame.rgb


def test_live_a_late_camera_of_a_scenario_stays_late():
    shown = []
    arrived_s, frame = first_arrival("latency", LIVE, shown)
    assert arrived_s - frame.stamp_s == pytest.approx(0.15)
    assert shown == []


def test_the_truth_drawn_later_is_that_of_the_picture():
    """The labels that are drawn after the picture are those that are drawn with it."""
    shown = []
    _, live = first_arrival("straight", LIVE, shown)
    _, lockstep = first_arrival("straight", SMALL, shown)
    assert np.array_equal(live.rgb, lockstep.rgb)
    assert np.array_equal(live.labels, lockstep.labels)
    assert live.hero_px > 20
