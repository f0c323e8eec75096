"""scripts/follow's runner as a process: a whole flight with its recording, and how it ends when things go wrong."""

from __future__ import annotations

import csv
import math
import sys
import time
from pathlib import Path

import cv2
import pytest
from drawn_frames import write_frames, write_weights
from ros_tools import REAL_FRAMES, ROOT, finish, interrupt, start
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from fcn_follow.nodes.recording import COLUMNS

WEIGHTS = ROOT / "weights" / "hero_net.safetensors"


def start_runner(domain_id: int, out: Path, *arguments: object):
    command = [sys.executable, "-m", "fcn_follow.nodes.runner", "--out", out, *arguments]
    return start([str(part) for part in command], domain_id)


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "flight.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    return rows


def video_size_and_length(out: Path) -> tuple[tuple[int, int], int]:
    capture = cv2.VideoCapture(str(out / "flight.mp4"))
    frames, shape = 0, (0, 0)
    while True:
        there, picture = capture.read()
        if not there:
            return shape, frames
        shape, frames = picture.shape[:2], frames + 1


def test_a_flight_leaves_a_csv_a_video_and_the_iou(domain_id, tmp_path):
    frames = write_frames(tmp_path / "run", 30)
    weights = write_weights(tmp_path / "everywhere.safetensors", hero_everywhere=True)
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--source", frames, "--rate", "10", "--weights", weights)
    output = finish(runner)
    assert runner.returncode == 0, output
    assert "Traceback" not in output
    rows = rows_of(out)
    assert 20 <= len(rows) <= 30
    stamps = [float(row["stamp_s"]) for row in rows]
    assert stamps == sorted(stamps)
    full = [row for row in rows if row["hero_iou"]]
    assert len(full) > 10
    for row in full:
        # Every pixel is taken for the hero, whose box has 40 x 20 of 120 x 160 pixels.
        assert float(row["hero_iou"]) == pytest.approx(800 / 19200, abs=1e-4)
        assert (float(row["hero_x_px"]), float(row["hero_y_px"]), float(row["hero_area_px"])) == (79.5, 59.5, 19200)
        assert float(row["position_z_m"]) > 0
        assert float(row["age_ms"]) > 0
    assert any(row["state"] == "tracking" for row in rows)
    assert any(row["reason"] == "hero seen" and row["wanted_forward_m_s"] for row in rows)
    assert "0.042 over all pixels; 0.042 mean" in output
    assert "zero" in output.split("last command")[1].splitlines()[0]
    shape, length = video_size_and_length(out)
    assert shape == (480 + 44, 640)
    assert length == len(rows)
    assert sorted(path.name for path in out.iterdir()) == ["flight.csv", "flight.mp4"]


def test_ctrl_c_ends_a_flight_as_it_should(domain_id, tmp_path):
    frames = write_frames(tmp_path / "run", 5, masks=False)
    weights = write_weights(tmp_path / "nowhere.safetensors")
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--source", frames, "--rate", "10", "--loop", "--weights", weights)
    said: list[str] = []
    assert runner.stdout is not None
    for line in runner.stdout:
        said.append(line)
        if "label masks" in line:
            break
    time.sleep(0.5)
    output = "".join(said) + interrupt(runner)
    assert runner.returncode == 0, output
    assert "Traceback" not in output
    assert all(row["hero_area_px"] in ("", "0.0000") for row in rows_of(out))
    assert video_size_and_length(out)[1] > 3


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--weights", "{tmp}/missing.safetensors"], 1, "missing.safetensors: there is no such weights file"),
        (
            ["--weights", "{tmp}/good.safetensors", "--source", "{tmp}/nowhere"],
            1,
            "there is no such folder, zip, video or",
        ),
        (["--params", "{tmp}/nowhere.yaml"], 1, "nowhere.yaml: there is no such parameter file"),
        (["--scenario", "stright"], 1, "there is no scenario 'stright'; did you mean straight?"),
        (["--rate", "-3"], 2, "--rate -3: allowed is 0 to 1000 Hz"),
        (["--spead", "3"], 2, "unrecognized arguments: --spead 3"),
    ],
)
def test_a_mistake_is_one_line_and_a_non_zero_exit(domain_id, tmp_path, arguments, code, expected):
    write_weights(tmp_path / "good.safetensors")
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    runner = start_runner(domain_id, tmp_path / "out", *arguments)
    output = finish(runner)
    assert runner.returncode == code
    assert "Traceback" not in output
    assert expected in output.strip().splitlines()[-1]
    assert not list(tmp_path.glob("out/*"))


def test_without_a_source_the_simulator_flies(domain_id, tmp_path):
    """Nobody is found by these weights, so the drone stays; report, video and bag are there all the same."""
    weights = write_weights(tmp_path / "nowhere.safetensors")
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--weights", weights, "--duration", "4", "--record", "--scenario", "straight")
    output = finish(runner, timeout_s=120)
    assert runner.returncode == 0, output
    assert "Traceback" not in output
    assert len(rows_of(out)) > 5
    page = (out / "flight.html").read_text()
    assert "<svg" in page and "data:video/webm;base64," in page and "closest approach" in page
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with AnyReader([out / "bag"], default_typestore=typestore) as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
        images = [c for c in bag.connections if c.topic == "/image_raw"]
        _, _, data = next(bag.messages(connections=images))
        first = typestore.deserialize_cdr(data, images[0].msgtype)
    assert (first.width, first.height, first.encoding) == (320, 240, "rgb8")
    for topic in ("/image_raw", "/odom", "/cmd_vel", "/segmentation/label_mask", "/ground_truth/hero", "/follow/state"):
        assert counts.get(topic, 0) > 0, (topic, counts)


@pytest.mark.skipif(REAL_FRAMES is None or not WEIGHTS.exists(), reason="needs the real frames and the trained weights")
@pytest.mark.slow
def test_real_frames_at_15_a_second_with_the_trained_weights(domain_id, tmp_path):
    """Whether every frame gets its mask and the hero is found; how fast, the measurement says, not a test."""
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--source", REAL_FRAMES, "--rate", "15", "--duration", "10")
    output = finish(runner, timeout_s=90)
    assert runner.returncode == 0, output
    rows = [row for row in rows_of(out) if row["hero_x_px"]]
    assert len(rows) > 50
    ious = [float(row["hero_iou"]) for row in rows if row["hero_iou"]]
    assert all(math.isfinite(iou) for iou in ious)
    assert "hero IoU" in output
