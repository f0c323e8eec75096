"""score-bag: the same digits as score on a folder, the masks of a flight, every output, every loss counted."""

from __future__ import annotations

import csv
import html.parser
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_files import PERIOD_NS, START_NS, camera_and_truth, image, point, write_bag
from command_line import fcn_follow, figures, invoke
from drawn_frames import frame
from frame_folders import write_frames
from made_weights import write_credulous_weights
from rosbags.rosbag2 import StoragePlugin

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import EngineSpec, open_engine
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.export import export
from fcn_follow.lab.scoring.bag import BagFrame, Published, score_bag
from fcn_follow.lab.scoring.overlap import overlaps
from fcn_follow.lab.scoring.prefetch import prefetch
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import ModelCard, load_weights, save_weights
from fcn_follow.perception.segmenter import Segmenter

SCORE_KEYS = ("final_score", "final_iou", "weight", "folders", "detection")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_credulous_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


def plain_segmenter(weights):
    """What the segmenter node runs with engine torch in fp32, as score-bag does without options."""
    loaded = load_weights(weights)
    return Segmenter(loaded, open_engine(EngineSpec(), loaded))


def flight(weights, count=12, published=lambda index: index % 3 != 0):
    """Camera and truth, and what a segmenter with these weights publishes of some of the frames 40 ms later."""
    segmenter = plain_segmenter(weights)
    messages = camera_and_truth(count)
    for index in filter(published, range(count)):
        now_ns = START_NS + index * PERIOD_NS
        pixels = np.asarray(messages[2 * index][2].data, np.uint8).reshape(120, 160, 3)
        later_ns = now_ns + 40_000_000
        messages.append(("/segmentation/label_mask", later_ns, image(segmenter.segment(pixels), now_ns)))
        messages.append(("/hero/centroid", later_ns, point(39.5, 79.5 + index, 800.0, now_ns)))
    return sorted(messages, key=lambda item: item[1])


@pytest.mark.parametrize("options", [(), ("--raw", "--storage", "sqlite3")])
def test_a_bag_of_frames_scores_to_the_same_digits_as_the_folder(tmp_path, weights, options):
    folder = write_frames(tmp_path / "town", 20)
    invoke("frames-to-bag", folder, tmp_path / "bag", *options)
    of_folder = figures("score", "--weights", weights, "--data", folder, "--engine", "torch")
    of_bag = figures("score-bag", tmp_path / "bag", "--weights", weights)
    assert {key: of_bag[key] for key in of_folder} == of_folder
    assert of_bag["images"] == 20
    assert of_bag["complete"] is True
    assert of_bag["in_flight"] is None


def test_masks_of_a_flight_agree_exactly_with_the_same_weights_here(tmp_path, weights):
    bag = write_bag(tmp_path / "bag", flight(weights))
    score = figures("score-bag", bag, "--weights", weights)
    in_flight = score["in_flight"]
    assert in_flight["frames"] == in_flight["identical_masks"] == 8
    assert in_flight["published"] == in_flight["offline"]
    assert in_flight["latency_ms_median"] == pytest.approx(40.0)
    assert score["not_scored"]["images_without"]["/segmentation/label_mask"] == 4  # the frames that the flight dropped
    centroids = score["in_flight_centroids"]
    assert centroids["recall"] == 1.0
    assert centroids["centroid_error_px_median"] == pytest.approx(np.median([1, 2, 4, 5, 7, 8, 10, 11]))


def test_an_exported_file_is_scored_as_the_node_flies_it(tmp_path, weights):
    (exported,) = export(load_weights(weights), tmp_path / "w.onnx")
    score = figures("score-bag", write_bag(tmp_path / "bag", flight(weights, 4)), "--weights", exported)
    assert (score["weights"], score["engine"]) == ("w.onnx", "openvino fp32 on cpu")
    assert score["in_flight"]["frames"] == 2
    assert score["in_flight"]["published"]["detection"]["iou"] == pytest.approx(
        score["in_flight"]["offline"]["detection"]["iou"], abs=1e-3
    )


def test_a_changed_mask_of_a_flight_is_noticed(tmp_path, weights):
    messages = flight(weights, 4, lambda index: True)
    changed = next(item for item in messages if item[0] == "/segmentation/label_mask")[2]
    changed.data[0] = (changed.data[0] + 1) % 3
    score = figures("score-bag", write_bag(tmp_path / "bag", messages), "--weights", weights)
    assert (score["in_flight"]["frames"], score["in_flight"]["identical_masks"]) == (4, 3)


def test_report_csv_video_and_table(tmp_path, weights):
    bag = write_bag(tmp_path / "bag", flight(weights))
    out, _ = invoke(
        "score-bag", bag, "--weights", weights, "--report", tmp_path / "report", "--video", tmp_path / "flight.webm"
    )
    assert "8 of these 8 masks are the same here" in out
    assert "12 of 12 images scored" in out
    with (tmp_path / "report" / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == [f"{50 + index // 10}.{index % 10}00000000" for index in range(12)]
    assert [row["latency_ms"] for row in rows[:3]] == ["", "40.000", "40.000"]
    assert {row["same_mask"] for row in rows} == {"", "1"}
    saved = json.loads((tmp_path / "report" / "figures.json").read_text())
    assert np.mean([float(row["iou_hero"]) for row in rows]) == pytest.approx(
        saved["folders"]["following_images"]["iou_hero"], abs=1e-6
    )
    page = (tmp_path / "report" / "report.html").read_text()
    tags: list[str] = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.feed(page)
    assert tags.count("svg") == 1
    assert tags.count("img") == 12
    assert not [word for word in ("http://", "https://") if f'src="{word}' in page or f"src='{word}" in page]
    assert cv2.imread(str(tmp_path / "report" / "report.png")).std() > 10
    capture = cv2.VideoCapture(str(tmp_path / "flight.webm"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.1)
    assert capture.read()[1].shape == (120, 320, 3)


def test_what_was_lost_is_counted_and_the_rest_scored(tmp_path, weights):
    messages = camera_and_truth(6)
    messages[0][2].data = messages[0][2].data[:-1]
    messages[3] = (messages[3][0], messages[3][1], image(np.zeros((60, 80), np.uint8), START_NS + PERIOD_NS))
    del messages[5]
    bag = write_bag(tmp_path / "bag", messages)
    out, err = invoke("score-bag", bag, "--weights", weights, "--json")
    score = json.loads(out)
    assert score["detection"]["frames"] == 3
    assert score["images"] == 6
    assert score["not_scored"]["images_lost"] == 0
    assert score["not_scored"]["images_without_truth"] == 1
    assert len(score["skipped"]) == score["not_scored"]["unreadable"] == 2
    assert "mask of 80x60 for an image of 160x120" in err
    assert "height * step" in err


def test_without_a_truth_the_error_names_the_option(tmp_path, weights):
    messages = camera_and_truth(2)
    refused = fcn_follow("score-bag", write_bag(tmp_path / "bag", messages[::2]), "--weights", weights)
    assert refused.returncode == 1 and "no true masks; choose their topic with --truth-topic" in refused.stderr
    for item in messages[1::2]:
        item[2].header.stamp.nanosec += 3_000_000
    late = write_bag(tmp_path / "late", messages)
    refused = fcn_follow("score-bag", late, "--weights", weights)
    assert refused.returncode == 1
    assert "no image could be scored: 2 on /cam/image_raw, 2 of them without a mask" in refused.stderr
    assert figures("score-bag", late, "--weights", weights, "--tolerance", "0.003")["detection"]["frames"] == 2


def test_ctrl_c_gives_the_figures_so_far(tmp_path):
    weights = tmp_path / "slow.safetensors"  # with frames that take long enough to be stopped
    save_weights(weights, build_network("fcn_001").eval(), ModelCard("fcn_001", 256, 256))
    bag = write_bag(tmp_path / "bag", [
        (topic, time_ns + turn * 100 * PERIOD_NS, message)
        for turn in range(10) for topic, time_ns, message in _shifted(camera_and_truth(100), turn * 100 * PERIOD_NS)
    ])  # fmt: skip
    command = [sys.executable, "-m", "fcn_follow", "score-bag", bag, "--weights", weights, "--json"]
    command += ["--report", tmp_path]
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "FORCE_COLOR": "1", "COLUMNS": "100"},
    )  # fmt: skip
    seen = ""
    end_s = time.monotonic() + 60
    while "/1000" not in seen.replace(" 0/1000", "") and time.monotonic() < end_s:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=150)  # a busy machine takes its time to end the workers
    assert process.returncode == 0, err
    score = json.loads(out)
    assert score["complete"] is False
    assert 0 < score["detection"]["frames"] < 1000
    assert "interrupted: the figures cover the first" in err
    assert "Interrupted" in (tmp_path / "report.html").read_text()


def _shifted(messages, nanoseconds):
    for _, _, message in messages:
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp.sec * 10**9 + stamp.nanosec + nanoseconds, 10**9)
    return messages


def test_centroids_against_the_true_hero_by_hand():
    labels = np.zeros((20, 20), np.uint8)
    labels[5:10, 5:10] = 2
    card = ModelCard("fcn_001", 20, 20)
    probabilities = np.eye(3)[labels]

    def finding(x, y, area, truth):
        mask = (truth[..., None] == np.arange(3)).astype(np.uint8)
        looked = BagFrame(
            "1", np.zeros((20, 20, 3), np.uint8), mask, None, 1, None, truth, Published(None, (x, y, area))
        )
        return next(score_bag([(looked, probabilities)], card, None))[2].centroid

    near = finding(7, 10.0 - 0.5, 9, labels)
    assert (near.found, near.right, near.centroid_error_px) == (True, True, 2.5)
    wide = finding(15, 7, 9, labels)
    assert (wide.found, wide.right, wide.centroid_error_px) == (True, False, None)
    assert not finding(float("nan"), float("nan"), 0, labels).found
    assert finding(3, 3, 5, np.zeros_like(labels)).right is False


def test_overlaps_of_each_class_counted_by_hand():
    truth = np.array([[0, 1, 2, 2]], np.uint8)
    predicted = np.array([[0, 2, 2, 0]], np.uint8)
    assert [(o.intersection_px, o.union_px) for o in overlaps(predicted, truth)] == [(1, 2), (0, 1), (1, 3)]


def test_reading_ahead_keeps_order_and_passes_errors_on():
    made = []

    def items():
        for index in range(5):
            made.append(index)
            yield index
        raise UserError("the end is missing")

    got = []
    with pytest.raises(UserError, match="the end is missing"):
        got.extend(iter(prefetch(items(), 2)))
    assert made == [0, 1, 2, 3, 4]
    early = prefetch(iter(range(10**9)), 2)
    assert next(early) == 0
    early.close()


@pytest.mark.parametrize("names", ["stamp", "index"])
def test_labelled_frames_are_a_training_folder_and_come_back_as_the_truth(tmp_path, weights, names):
    bag = write_bag(tmp_path / "bag", camera_and_truth(6)[::2])
    invoke("label", bag, tmp_path / "frames", "--weights", weights, "--every", "2")
    frames = open_frames(tmp_path / "frames")
    assert len(frames) == 3
    segmenter = plain_segmenter(weights)
    for index in range(3):
        np.testing.assert_array_equal(frames.image(index), frame(2 * index)[0])
        np.testing.assert_array_equal(frames.labels(index), segmenter.segment(frame(2 * index)[0]))
    truth = tmp_path / "frames"
    if names == "index":
        truth = tmp_path / "corrected"
        truth.mkdir()
        for index, file in enumerate(sorted((tmp_path / "frames" / "masks").iterdir())):
            (truth / f"mask_{2 * index}.png").write_bytes(file.read_bytes())
    score = figures("score-bag", bag, "--weights", weights, "--truth", truth)
    assert score["detection"]["frames"] == 3
    assert score["detection"]["iou"]["background"] > 0.9  # but for the network's size
    assert score["not_scored"]["images_without_truth"] == 3


def test_masks_with_numbers_of_other_images_are_refused(tmp_path, weights):
    bag = write_bag(tmp_path / "bag", camera_and_truth(4))
    invoke("bag-to-frames", bag, tmp_path / "frames")
    for index, file in enumerate(sorted((tmp_path / "frames" / "masks").iterdir())):
        file.rename(file.with_name(f"mask_{2 * index:04d}.png"))
    refused = fcn_follow("score-bag", bag, "--weights", weights, "--truth", tmp_path / "frames")
    assert refused.returncode == 1
    assert "mask_0006.png: the bag has 4 images, and a mask's number must be the index" in " ".join(
        refused.stderr.split()
    )


def test_frames_without_stamps_are_labelled_and_score_as_those_with(tmp_path, weights):
    messages = camera_and_truth(4)
    with_stamps = write_bag(tmp_path / "bag", messages)
    for _, _, message in messages:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    without = write_bag(tmp_path / "without", messages)
    _, reported = invoke("label", without, tmp_path / "frames", "--weights", weights)
    assert "4 images of /cam/image_raw have a stamp that is 0 or repeated" in " ".join(reported.split())
    score = figures("score-bag", without, "--weights", weights, "--truth", tmp_path / "frames")
    assert sum(folder["frames"] for folder in score["folders"].values()) == 4
    keys = ("final_score", "detection")
    expected, scored = (figures("score-bag", path, "--weights", weights) for path in (with_stamps, without))
    assert [scored[key] for key in keys] == [expected[key] for key in keys]


def test_damage_in_the_middle_of_a_bag_is_scored_up_to_there(tmp_path, weights):
    bag = write_bag(tmp_path / "bag", camera_and_truth(30), StoragePlugin.SQLITE3)
    file = bag / "bag.db3"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 70_000] = bytes(70_000)
    file.write_bytes(data)
    score = figures("score-bag", bag, "--weights", weights)
    lost = score["not_scored"]["images_lost"]
    assert score["images"] + lost == 30 or "of 60 messages are lost" in " ".join(score["skipped"])
    assert score["skipped"]
    assert 5 < score["detection"]["frames"] < 30


def test_many_bags_are_scored_as_each_alone_and_a_damaged_one_is_named(tmp_path, weights):
    bags = [write_bag(tmp_path / name, flight(weights, count)) for name, count in (("a", 6), ("b", 9))]
    (tmp_path / "c.mcap").write_bytes(b"no bag")
    arguments = ("--weights", weights, "--out", tmp_path / "out", "--processes", 1)
    done = fcn_follow("score-bags", *bags, tmp_path / "c.mcap", *arguments)
    assert done.returncode == 1, "one could not be scored"
    with (tmp_path / "out" / "bags.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["bag"]).name for row in rows] == ["a", "b", "c.mcap"]
    alone = [figures("score-bag", bag, "--weights", weights) for bag in bags]
    assert [float(row["final_score"]) for row in rows[:2]] == [score["final_score"] for score in alone]
    assert [row["frames"] for row in rows[:2]] == ["6", "9"] and "c.mcap" in rows[2]["problem"]

    journal = tmp_path / "out" / "bags.jsonl"
    before = journal.read_text().splitlines()
    resumed = fcn_follow("score-bags", bags[1], bags[0], *arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert journal.read_text().splitlines() == before, "nothing was scored again"
