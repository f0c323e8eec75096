"""The recording of a flight: a CSV with a row for each frame, and a video of frame, overlay and command."""

from __future__ import annotations

import csv
import queue
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.files import folder_beside
from fcn_follow.lab.scoring.overlap import Overlap
from fcn_follow.nodes.support.frame_record import COLUMNS, FrameRecord, components
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.overlay import draw_overlay

STRIP_HEIGHT_PX = 44
MIN_SIDE_PX = 480
MAX_ENLARGED_SIDE_PX = 4096
MAX_WAITING_BYTES = 256_000_000  # of images that wait to be drawn


def draw_panel(record: FrameRecord) -> NDArray[np.uint8]:
    """The frame with its overlay, enlarged where it is small, above a strip with position, state and command."""
    assert record.image_rgb is not None
    labels = record.labels
    if labels is None or labels.shape != record.image_rgb.shape[:2]:
        labels = np.zeros(record.image_rgb.shape[:2], np.uint8)
    factor = max(1, min(-(-MIN_SIDE_PX // min(labels.shape)), MAX_ENLARGED_SIDE_PX // max(labels.shape)))
    image_rgb, labels = (a.repeat(factor, axis=0).repeat(factor, axis=1) for a in (record.image_rgb, labels))
    seen = record.centroid is not None and record.centroid[2] > 0
    numbers = {number: (factor * x, factor * y) for number, (x, y) in record.numbers.items()}
    picture = draw_overlay(image_rgb, labels, find_hero(labels) if seen else None, numbers)
    strip = np.zeros((STRIP_HEIGHT_PX, picture.shape[1], 3), np.uint8)
    where = "hero not seen"
    if seen and record.position_m is not None:
        x, y, z = record.position_m
        where = f"hero {x:+.1f} right {-y:+.1f} up {z:.1f} ahead m"
    age = "" if record.age_s is None else f"   age {1e3 * record.age_s:.0f} ms"
    _write(strip, f"{record.state or 'no follower'}   {where}{age}", 17)
    if record.command is not None:
        forward, left, up, yaw_rate = components(record.command)
        _write(strip, f"cmd  forward {forward:+.2f}  left {left:+.2f}  up {up:+.2f} m/s  yaw {yaw_rate:+.2f} rad/s", 36)
    panel: NDArray[np.uint8] = np.concatenate([picture, strip])
    return panel[: panel.shape[0] // 2 * 2, : panel.shape[1] // 2 * 2]


def _write(strip: NDArray[np.uint8], text: str, y_px: int) -> None:
    scale = min(0.45, 0.45 * strip.shape[1] / 512)
    cv2.putText(strip, text, (6, y_px), cv2.FONT_HERSHEY_SIMPLEX, scale, (235, 235, 235), 1, cv2.LINE_AA)


class FlightRecorder:
    """Writes flight.csv and a video during the flight, in a private folder; `close` moves them to their names.

    A file that cannot be written is reported in `problems`, never by an exception: the flight continues. The video is
    MPEG-4, which a thread encodes in 1 ms per frame; VP8, the other available codec, would take a third of a core from
    the network. A rate of 0 makes no video.
    """

    def __init__(self, folder: Path, video_rate_hz: float) -> None:
        """Raises UserError if the folder cannot be written."""
        self.csv_path = folder / "flight.csv"
        self.video_path = folder / "flight.mp4"
        self.total = Overlap()
        self.frame_ious: list[float] = []
        self.frames_not_drawn = 0
        self._problems: dict[str, str] = {}
        self._rows = 0
        self._rate_hz = video_rate_hz
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = folder_beside(self.csv_path)
            self._csv_part = Path(self._folder.name) / self.csv_path.name
            self._video_part = Path(self._folder.name) / self.video_path.name
            self._file = self._csv_part.open("w", newline="", encoding="utf-8", errors="replace")
        except OSError as error:
            raise UserError(f"cannot record to {folder}: {error.strerror or error}; give another --out") from error
        self._csv = csv.writer(self._file)
        self._csv.writerow(COLUMNS)
        self._video: Any = None
        self._size = (0, 0)
        self._queue: queue.Queue[FrameRecord | None] = queue.Queue(maxsize=30)
        self._thread = threading.Thread(target=self._draw_all, name="recorder", daemon=True)
        self._thread.start()

    @property
    def problems(self) -> list[str]:
        """The incomplete files, each with the first reason."""
        return [f"{path} is incomplete: {reason}" for path, reason in self._problems.items()]

    def write(self, record: FrameRecord) -> None:
        """Add the record of a frame; its image is left out where drawing cannot keep up."""
        self._rows += 1
        measured = record.hero_overlap()
        if measured is not None:
            self.total += measured
            if measured.iou is not None:
                self.frame_ious.append(measured.iou)
        try:
            self._csv.writerow(record.row())
        except OSError as error:
            self._note(self.csv_path, error)
        if record.image_rgb is None or self._rate_hz <= 0:
            return
        if self._queue.full() or (self._queue.qsize() + 1) * record.image_rgb.nbytes > MAX_WAITING_BYTES:
            self.frames_not_drawn += 1
        else:
            self._queue.put_nowait(record)

    def _note(self, path: Path, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._problems.setdefault(str(path), " ".join(reason.split()))

    def _draw_all(self) -> None:
        while (record := self._queue.get()) is not None:
            try:
                self._draw(record)
            except Exception as error:  # one bad frame does not end the video
                self.frames_not_drawn += 1
                self._note(self.video_path, error)

    def _draw(self, record: FrameRecord) -> None:
        panel = cv2.cvtColor(draw_panel(record), cv2.COLOR_RGB2BGR)
        if self._video is None:
            self._size = (panel.shape[1], panel.shape[0])
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            video = cv2.VideoWriter(str(self._video_part), codec, self._rate_hz, self._size)
            if not video.isOpened():
                raise OSError(f"MPEG-4 cannot be written in {self._size[0]}x{self._size[1]}")
            self._video = video
        if (panel.shape[1], panel.shape[0]) != self._size:
            panel = cv2.resize(panel, self._size)
        self._video.write(panel)

    def close(self) -> None:
        """Finish both files and move them to their names; a flight without a frame leaves no file."""
        self._queue.put(None)
        self._thread.join()
        try:
            self._file.close()
        except OSError as error:
            self._note(self.csv_path, error)
        if self._rows:
            self._keep(self._csv_part, self.csv_path)
        if self._video is not None:
            self._video.release()
            if cv2.VideoCapture(str(self._video_part)).isOpened():  # OpenCV does not report a full disk
                self._keep(self._video_part, self.video_path)
            else:
                self._note(self.video_path, OSError("it could not be written (is the disk full?)"))
        self._folder.cleanup()

    def _keep(self, part: Path, path: Path) -> None:
        try:
            part.replace(path)
        except OSError as error:
            self._note(path, error)
