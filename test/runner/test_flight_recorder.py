"""flight.csv and flight.mp4: nothing that comes in, and no full disk, ends the flight."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from ros_tools import node_environment

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.frame_record import FrameRecord
from fcn_follow.runner import flight_recorder
from fcn_follow.runner.flight_recorder import FlightRecorder, draw_panel
from fcn_follow.runner.follow import summary_table

ON_A_FULL_DISK = """
import json, resource, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from fcn_follow.runner.flight_recorder import FlightRecorder, FrameRecord

recorder = FlightRecorder(Path(sys.argv[1]), 10.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
for index in range(400):
    recorder.write(FrameRecord(float(index), noise if index < 20 else None, state="tracking"))
recorder.close()
print(json.dumps(recorder.problems))
"""


def record(index: int, height_px: int = 120, width_px: int = 160, mask: tuple[int, int] | None = None) -> FrameRecord:
    image_rgb = np.full((height_px, width_px, 3), 90, np.uint8)
    return FrameRecord(float(index), image_rgb, np.zeros(mask or (height_px, width_px), np.uint8))


def frames_of(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0


def test_odd_frames_do_not_end_the_film(tmp_path):
    recorder = FlightRecorder(tmp_path, 10.0)
    odd = [record(0, mask=(7, 9)), record(1, mask=(120, 1)), record(2, height_px=1, width_px=20_000)]
    for item in [*odd, *(record(3 + index) for index in range(20))]:
        recorder.write(item)
    recorder.close()
    assert frames_of(tmp_path / "flight.mp4") + recorder.frames_not_drawn == 23
    assert frames_of(tmp_path / "flight.mp4") >= 20
    assert len(list(csv.DictReader((tmp_path / "flight.csv").open()))) == 23


def test_a_frame_that_cannot_be_drawn_is_counted_and_reported(tmp_path, monkeypatch):
    def draw(item: FrameRecord) -> np.ndarray:
        if item.stamp_s == 0:
            raise RuntimeError("no brush")
        return draw_panel(item)

    monkeypatch.setattr(flight_recorder, "draw_panel", draw)
    recorder = FlightRecorder(tmp_path, 10.0)
    for index in range(5):
        recorder.write(record(index))
    recorder.close()
    assert frames_of(tmp_path / "flight.mp4") == 4
    assert recorder.frames_not_drawn == 1
    assert recorder.problems == [f"{tmp_path / 'flight.mp4'} is incomplete: no brush"]


@pytest.mark.parametrize(("height_px", "width_px"), [(1, 20_000), (20_000, 1), (4, 4), (480, 640)])
def test_no_frame_is_enlarged_beyond_measure(height_px, width_px):
    assert draw_panel(record(0, height_px, width_px)).size <= max(3 * 4200 * 4200, 3 * 60 * height_px * width_px)


def test_pictures_that_wait_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(flight_recorder, "MAX_WAITING_BYTES", 1000)
    recorder = FlightRecorder(tmp_path, 10.0)
    recorder.write(record(0))
    recorder.close()
    assert recorder.frames_not_drawn == 1
    table = summary_table(SimpleNamespace(summary=dict), recorder)
    names, values = (list(column.cells) for column in table.columns)
    assert dict(zip(names, values, strict=True))["frames left out of the video"] == "1"


def test_a_full_disk_is_one_line_a_file_and_the_flight_goes_on(tmp_path):
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=node_environment(1), check=False)
    assert done.returncode == 0, done.stderr
    problems = json.loads(done.stdout.splitlines()[-1])
    assert [problem.split(" is incomplete: ")[0] for problem in problems] == [
        str(tmp_path / "flight.csv"), str(tmp_path / "flight.mp4")
    ]  # fmt: skip
    assert all("\n" not in problem for problem in problems)
    assert not (tmp_path / "flight.mp4").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot record to .*file: .*give another --out"):
        FlightRecorder(tmp_path / "file", 10.0)


@pytest.mark.parametrize("part", ["flight.csv.part", "flight.part.mp4", "flight.csv", "flight.mp4"])
def test_no_link_is_followed(tmp_path, part):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / part).symlink_to(victim)
    recorder = FlightRecorder(out, 10.0)
    for index in range(3):
        recorder.write(record(index))
    recorder.close()
    assert victim.read_text() == "precious"
    assert frames_of(out / "flight.mp4") == 3
