"""A bag played into the live nodes: the same masks and figures as offline, and what was dropped is counted."""

from __future__ import annotations

import csv
import json
import sys

import pytest
from bag_files import camera_and_truth, write_bag
from command_line import figures
from made_weights import write_credulous_weights
from ros_tools import finish, interrupt, parameter_arguments, start, start_node

from fcn_follow.lab.export import export
from fcn_follow.lab.recordings.reading import open_bag
from fcn_follow.networks.weights import load_weights

FRAMES = 30


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_credulous_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory, own_domains, weights):
    """The folder with the bag, the live figures and the record of the nodes; what the scorer printed."""
    tmp_path, domain_id = tmp_path_factory.mktemp("replayed"), next(own_domains)
    write_bag(tmp_path / "bag", camera_and_truth(FRAMES))

    def node(name, use_sim_time=True, **parameters):
        given = {"use_sim_time": str(use_sim_time).lower(), **parameters}
        return start_node(name, domain_id, *parameter_arguments(given))

    recorder = node("recorder", False, out=tmp_path / "record")
    scorer = node("scorer", weights=weights, report=tmp_path / "report")
    segmenter = node("segmenter", weights=weights, engine="torch", precision="fp32", reliability="reliable")
    player = node("player", False, source=tmp_path / "bag", clock="true", wait_for_subscribers=2, speed=2.0,
                  wait_for_mask_subscribers=2, wait_for_subscriber_s=100.0)  # fmt: skip
    assert "played 30 frames, skipped 0" in finish(player, 150)
    interrupt(segmenter)
    printed = interrupt(scorer)
    interrupt(recorder)
    return tmp_path, printed


def test_live_and_offline_figures_agree_exactly(replayed, weights):
    folder, printed = replayed
    live = json.loads((folder / "report" / "live.json").read_text())
    assert live["frames"] + live["dropped"] == FRAMES
    assert live["frames"] > FRAMES // 2
    assert f"live: {live['frames']} of {FRAMES} frames scored, {live['dropped']} dropped" in printed
    assert "final_score" in printed
    record = figures("score-bag", folder / "record", "--weights", weights, "--report", folder / "offline")
    in_flight = record["in_flight"]
    assert in_flight["identical_masks"] == in_flight["frames"] >= live["frames"]
    assert in_flight["published"] == in_flight["offline"]
    if in_flight["frames"] == live["frames"]:
        for key in ("final_score", "folders", "detection"):
            assert in_flight["published"][key] == live[key]
    with (folder / "report" / "live.csv").open() as live_csv, (folder / "offline" / "frames.csv").open() as offline_csv:
        offline = {row["frame"]: row for row in csv.DictReader(offline_csv)}
        rows = list(csv.DictReader(live_csv))
    assert rows
    for row in rows:
        assert offline[row["frame"]]["in_flight_iou_hero"] == row["iou_hero"]
        assert offline[row["frame"]]["same_mask"] == "1"


def test_the_record_has_the_stamps_of_the_bag_and_what_the_nodes_publish(replayed):
    folder, _ = replayed
    with open_bag(folder / "record") as bag:
        topics = {topic.name for topic in bag.topics}
    assert {"/image_raw", "/ground_truth/label_mask", "/segmentation/label_mask", "/hero/centroid", "/clock"} <= topics


def test_the_scorer_takes_exported_weights_and_loads_no_command_line(tmp_path, domain_id, weights):
    exported = tmp_path / "w.onnx"
    export(load_weights(weights), exported)
    scorer = start_node("scorer", domain_id, *parameter_arguments({"weights": exported}))
    assert scorer.stdout is not None
    assert "ready: waiting for true and published masks" in scorer.stdout.readline()
    interrupt(scorer)
    assert scorer.returncode == 0
    code = "import sys, fcn_follow.nodes.scorer; print('typer' in sys.modules or 'fcn_follow.cli' in sys.modules)"
    assert finish(start([sys.executable, "-c", code], domain_id)).strip() == "False"
