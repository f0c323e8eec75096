"""`fcn-follow calibrate`, `score` and what they read, as commands: what they write, and what they report."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from command_line import fcn_follow, invoke
from frame_folders import write_frames
from ros_tools import ROOT

from fcn_follow.networks.weights import load_weights


@pytest.fixture
def data(tmp_path):
    """Two runs of 24 frames, a third of them without a hero, and a split that calls the second misspelt."""
    for run in ("1_run1", "1_run2"):
        write_frames(tmp_path / "frames", 24, run=run)
    (tmp_path / "split.yaml").write_text("choosing_runs: [1_run1]\njudging_runs: [1_run22]\n")
    shutil.copy(ROOT / "weights" / "hero_net.safetensors", tmp_path / "mine.safetensors")
    return tmp_path


def test_a_new_level_takes_the_figures_of_the_old_one_out_of_the_card(data):
    weights = data / "mine.safetensors"
    assert load_weights(weights).card.scores["final_score"] > 0
    printed, notes = invoke(
        "calibrate", "--weights", weights, "--data", data / "frames", "--split", data / "split.yaml"
    )
    assert "* chosen" in printed
    assert f"level written into {weights}: " in notes
    assert f"instead of 0.845535; curve: {data / 'mine.calibration.png'}" in notes
    assert "removed from the card, as figures of the earlier level: far_iou, final_score" in notes.replace(
        "false_alarms_per_1000, ", ""
    ).replace("far_iou, final_iou, ", "far_iou, ")
    assert "only 8 frames without a hero chose the level" in notes
    card = load_weights(weights).card
    assert card.scores and all(name.startswith("choosing_") for name in card.scores)
    assert (data / "mine.calibration.png").stat().st_size > 1000


def test_a_run_that_no_frame_has_is_reported(data):
    weights, split = data / "mine.safetensors", data / "split.yaml"
    split.write_text("choosing_runs: [1_run1]\njudging_runs: [1_run2, 1_run3]\n")
    _, notes = invoke("score", "--weights", weights, "--data", data / "frames", "--split", split)
    assert f"{split}: no frame belongs to 1_run3; the data has the runs 1_run1, 1_run2" in notes


def test_few_frames_have_no_interval(data):
    weights = data / "mine.safetensors"
    printed, _ = invoke("score", "--weights", weights, "--data", data / "frames")
    assert "too few frames for an interval" in printed
    as_json, _ = invoke("score", "--weights", weights, "--data", data / "frames", "--json")
    assert 0 <= json.loads(as_json)["final_score"] <= 1


def test_depth_pictures_are_no_frames(data):
    """16-bit pictures, which OpenCV would make 8-bit ones of without a word."""
    folder = data / "depth"
    folder.mkdir()
    cv2.imwrite(str(folder / "cam1_00001.png"), np.full((8, 8), 3000, np.uint16))
    refused = fcn_follow("frames-to-bag", folder, data / "bag")
    assert refused.returncode == 1
    assert "cam1_00001.png: 16 bits a channel, as in depth/; frames and masks have 8" in refused.stderr
    assert not (data / "bag").exists()


def test_a_training_s_held_out_share_is_calibrated_on(data):
    """The last share of each run, as in the training; half of them show the hero."""
    weights = data / "mine.safetensors"
    _, notes = invoke("calibrate", "--weights", weights, "--data", data / "frames", "--held-out-share", "0.5")
    assert f"level written into {weights}" in notes
    assert "instead of 0.8455" in notes
    assert load_weights(weights).card.scores["choosing_final_score"] >= 0


def test_too_few_heroes_choose_no_level(data):
    weights = data / "mine.safetensors"
    before = weights.read_bytes()
    finished = fcn_follow("calibrate", "--weights", weights, "--data", data / "frames", "--held-out-share", "0.1")
    assert finished.returncode == 1
    assert "of the frames that choose show a hero; at least 10 are needed" in " ".join(finished.stderr.split())
    assert weights.read_bytes() == before
