"""Sources of the player: folders and zips of frames, videos, rosbag2 recordings, cameras. No ROS install needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import MessageError, fitting_camera, image_cameras, is_rectified
from fcn_follow.images.pictures import check_size
from fcn_follow.lab.data.frames import FrameError, FrameSet, open_frames
from fcn_follow.lab.recordings.frame_folders import decoded, true_labels
from fcn_follow.lab.recordings.pairing import Tally
from fcn_follow.lab.recordings.reading import Bag, decode, is_bag, open_bag, refuse_folder_of_bags
from fcn_follow.lab.recordings.topics import choose_topics
from fcn_follow.nodes.support.interlock import is_camera

FRAMES_RATE_HZ = 15.0  # of a folder of frames, which has no stamps
VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg"})
MIN_VIDEO_SHARE = 0.9  # of the frames that a video's header promises; some headers only estimate them

Report = Callable[[str], None]


@dataclass(frozen=True)
class PlayedFrame:
    """One frame of a source: HxWx3 RGB, its time since the source's start, and labels and camera if known.

    `stamp_ns` is that of the recorded image, if the source is a bag; if it is 0, the time of recording.
    """

    image_rgb: NDArray[np.uint8]
    time_s: float
    labels: NDArray[np.uint8] | None = None
    camera: CameraIntrinsics | None = None
    stamp_ns: int | None = None


@dataclass(frozen=True)
class Source:
    """An opened source: `frames(report)` plays it from its start.

    `report` is called for each frame that cannot be read and is skipped. A live source sets its own pace.
    The images are `rectified` if the name of a bag's topic says so.
    """

    description: str
    frames: Callable[[Report], Iterator[PlayedFrame]]
    live: bool = False
    rectified: bool = False


def open_source(source: str, image_topic: str = "") -> Source:
    """Open a path, or a camera by number or device. `image_topic` chooses one in a bag with several.

    Raises UserError if it does not exist or cannot be played.
    """
    if not source:
        raise UserError(
            "parameter source is empty; name a folder or zip of frames, a video, a rosbag2 folder or a camera"
        )
    if is_camera(source):
        return _camera(source)
    if "://" in source:
        raise UserError(
            f"{source}: streams are not played; start a ROS camera driver for it and give the nodes its topic (image:=)"
        )
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"{path}: there is no such folder, zip, video or bag")
    if is_bag(path):
        return _bag(path, image_topic)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(path)
    refuse_folder_of_bags(path)
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
    opened, rate_hz, count = capture.isOpened(), capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    size_px = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    if not opened:
        raise UserError(f"{path}: not a video that OpenCV can read")
    try:
        check_size(*size_px)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not (math.isfinite(rate_hz) and 0 < rate_hz < 1000):
        rate_hz = FRAMES_RATE_HZ

    def play(report: Report) -> Iterator[PlayedFrame]:
        capture = cv2.VideoCapture(str(path))
        index = 0
        try:
            while True:
                there, picture = capture.read()
                if not there:
                    break
                yield PlayedFrame(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), index / rate_hz)
                index += 1
        finally:
            capture.release()
        if index < MIN_VIDEO_SHARE * count:
            report(f"{path}: {index} of about {count:.0f} frames can be read; the file is cut off or damaged")

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


def _bag(path: Path, image_topic: str) -> Source:
    with open_bag(path) as bag:
        topics = replace(choose_topics(bag, image_topic), mask="", centroid="")
        count = bag.count(topics.image)
    rectified = is_rectified(topics.image)

    def play(report: Report) -> Iterator[PlayedFrame]:
        def skip(sentence: str) -> None:
            report(f"skipped: {sentence}")

        with open_bag(path) as bag:
            for sentence in bag.damage:
                report(sentence)
            cameras = _cameras_of_bag(bag, topics.camera_info, rectified, skip) if topics.camera_info else ()
            start_ns: int | None = None
            for moment, image_rgb in decoded(bag, topics, tolerance_ns=0, tally=Tally(), report=skip):
                start_ns = moment.image.recorded_ns if start_ns is None else start_ns
                time_s = (moment.image.recorded_ns - start_ns) * 1e-9
                camera = fitting_camera(cameras, *image_rgb.shape[:2]) or next(iter(cameras), None)
                labels = None
                try:
                    labels = true_labels(moment, topics, image_rgb)
                except MessageError as error:
                    skip(f"{path}: {topics.truth} at stamp {moment.image.stamp_ns} ns: {error}")
                yield PlayedFrame(image_rgb, time_s, labels, camera, moment.image.stamp_ns or moment.time_ns)

    return Source(f"bag {path}, topic {topics.image}, {count} images", play, rectified=rectified)


def _cameras_of_bag(bag: Bag, topic: str, rectified: bool, skip: Report) -> tuple[CameraIntrinsics, ...]:
    """The possible cameras of the images by the first valid camera_info; empty if there is none."""
    for raw in bag.messages([topic], skip):
        try:
            return image_cameras(decode(raw), rectified=rectified)
        except MessageError as error:
            skip(f"{bag.path}: {topic}: {error}")
    return ()
