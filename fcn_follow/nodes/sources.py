"""What the player plays: folders and zips of frames, videos, rosbag2 recordings, cameras. No ROS install needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import Stores, get_typestore

from fcn_follow.bags.images import MessageError, compressed_to_rgb, image_to_rgb, intrinsics
from fcn_follow.data.frames import FrameError, FrameSet, open_frames
from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics

FRAMES_RATE_HZ = 15.0  # of a folder of frames, which has no stamps of its own
VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg"})
BAG_SUFFIXES = frozenset({".mcap", ".db3"})
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
NOT_CAMERAS = ("label_mask", "overlay", "depth")

Report = Callable[[str], None]


@dataclass(frozen=True)
class PlayedFrame:
    """One frame of a source: HxWx3 RGB, its time since the source's start, and what else the source knows."""

    image_rgb: NDArray[np.uint8]
    time_s: float
    labels: NDArray[np.uint8] | None = None
    camera: CameraIntrinsics | None = None


@dataclass(frozen=True)
class Source:
    """A source that was found and opened: `frames(report)` plays it from its start.

    `report` is told, by name, of each frame that cannot be read; it is skipped. A live source sets its own pace.
    """

    description: str
    frames: Callable[[Report], Iterator[PlayedFrame]]
    live: bool = False


def open_source(source: str) -> Source:
    """Find out what `source` is: a path, or a camera's number or device.

    Raises UserError when there is no such thing, or nothing in it that can be played.
    """
    if not source:
        raise UserError(
            "parameter source is empty; name a folder or zip of frames, a video, a rosbag2 folder or a camera"
        )
    if source.isdecimal() or source.startswith("/dev/video"):
        return _camera(source)
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"{path}: there is no such folder, zip, video or bag")
    folder = path.parent if path.suffix.lower() in BAG_SUFFIXES else path
    if (folder / "metadata.yaml").is_file():
        return _bag(folder)
    if folder != path:
        raise UserError(f"{path}: a bag is played as its folder with a metadata.yaml; there is none beside this file")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(path)
    frames = open_frames(path)
    return Source(f"{len(frames)} frames of {path}", lambda report: _play_frames(frames, report))


def _play_frames(frames: FrameSet, report: Report) -> Iterator[PlayedFrame]:
    for index in range(len(frames)):
        try:
            yield PlayedFrame(frames.image(index), index / FRAMES_RATE_HZ, frames.labels(index))
        except FrameError as error:
            report(f"skipped: {error}")


def _video(path: Path) -> Source:
    capture = cv2.VideoCapture(str(path))
    opened, rate_hz = capture.isOpened(), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    if not opened:
        raise UserError(f"{path}: not a video that OpenCV can read")
    if not (math.isfinite(rate_hz) and 0 < rate_hz < 1000):
        rate_hz = FRAMES_RATE_HZ

    def play(_report: Report) -> Iterator[PlayedFrame]:
        capture = cv2.VideoCapture(str(path))
        index = 0
        try:
            while True:
                there, picture = capture.read()
                if not there:
                    return
                yield PlayedFrame(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), index / rate_hz)
                index += 1
        finally:
            capture.release()

    return Source(f"video {path} at {rate_hz:g} Hz", play)


def _camera(device: str) -> Source:
    def play(_report: Report) -> Iterator[PlayedFrame]:
        capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        try:
            if not capture.isOpened():
                raise UserError(f"camera {device}: cannot be opened; is it plugged in, free, and yours to read?")
            while True:
                there, picture = capture.read()
                if not there:
                    raise UserError(f"camera {device}: gives no more frames; is it still plugged in?")
                yield PlayedFrame(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), 0.0)
        finally:
            capture.release()

    return Source(f"camera {device}", play, live=True)


def _bag(path: Path) -> Source:
    try:
        with _open_bag(path) as bag:
            image_topic = _image_topic(path, [(c.topic, c.msgtype) for c in bag.connections])
            topics = {connection.topic for connection in bag.connections}
    except (AnyReaderError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a rosbag2 recording that can be read ({error})") from error
    namespace = image_topic.removesuffix("/compressed").rpartition("/")[0]
    camera_topic = f"{namespace}/camera_info"
    masks_topic = next((topic for topic in sorted(topics) if topic.endswith("ground_truth/label_mask")), "")

    def play(report: Report) -> Iterator[PlayedFrame]:
        camera: CameraIntrinsics | None = None
        masks: dict[tuple[int, int], NDArray[np.uint8]] = {}
        start_ns: int | None = None
        with _open_bag(path) as bag:
            wanted = [c for c in bag.connections if c.topic in (image_topic, camera_topic, masks_topic)]
            for connection, time_ns, data in bag.messages(connections=wanted):
                try:
                    message: Any = bag.deserialize(data, connection.msgtype)
                    if connection.topic == camera_topic:
                        camera = intrinsics(message)
                    elif connection.topic == masks_topic:
                        masks = {_stamp(message): image_to_rgb(message)[:, :, 0]}
                    else:
                        start_ns = time_ns if start_ns is None else start_ns
                        decode = image_to_rgb if connection.msgtype == IMAGE_TYPES[0] else compressed_to_rgb
                        image_rgb = decode(message)
                        yield PlayedFrame(image_rgb, (time_ns - start_ns) * 1e-9, masks.get(_stamp(message)), camera)
                except (MessageError, AnyReaderError) as error:
                    report(f"skipped: {path}: {connection.topic} at {time_ns} ns: {error}")

    return Source(f"bag {path}, topic {image_topic}", play)


def _open_bag(path: Path) -> AnyReader:
    return AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))


def _stamp(message: Any) -> tuple[int, int]:
    return int(message.header.stamp.sec), int(message.header.stamp.nanosec)


def _image_topic(path: Path, topics: list[tuple[str, str]]) -> str:
    """The camera's topic: the only one that can be, else the only one called image_raw, raw before compressed."""
    images = sorted({t for t, message_type in topics if message_type in IMAGE_TYPES and not t.endswith(NOT_CAMERAS)})
    if not images:
        raise UserError(
            f"{path}: the bag has no image topic; it has {', '.join(sorted(t for t, _ in topics)) or 'none'}"
        )
    for ending in ("", "image_raw", "image_raw/compressed"):
        matching = [topic for topic in images if topic.endswith(ending)]
        if len(matching) == 1:
            return matching[0]
    raise UserError(f"{path}: the bag has several cameras ({', '.join(images)}); record or filter one of them")
