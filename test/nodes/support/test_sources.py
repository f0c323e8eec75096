"""What the player can play: real files of each kind, written here and read back."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_frames import frame, write_frames
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import fill_camera_info, fill_image
from fcn_follow.nodes.support.sources import PlayedFrame, open_source

CAMERA = CameraIntrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)


def play(source: Path | str) -> tuple[list[PlayedFrame], list[str]]:
    reports: list[str] = []
    return list(open_source(str(source)).frames(reports.append)), reports


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_or_zip_of_frames(tmp_path, zipped):
    source = write_frames(tmp_path / "run", 4)
    if zipped:
        source = Path(shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path, "run"))
    frames, reports = play(source)
    assert [round(f.time_s * 15) for f in frames] == [0, 1, 2, 3]
    assert reports == []
    for index, played in enumerate(frames):
        image, labels = frame(index)
        assert np.abs(played.image_rgb.astype(int) - image).mean() < 4  # JPEG
        np.testing.assert_array_equal(played.labels, labels)
        assert played.camera is None


def test_a_truncated_jpeg_is_named_skipped_and_the_rest_played(tmp_path):
    source = write_frames(tmp_path / "run", 4, masks=False)
    damaged = source / "images" / "1_run1cam1_00002.jpeg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    frames, reports = play(source)
    assert [f.image_rgb[0, 0, 1] // 1 - 90 for f in frames] == pytest.approx([0, 1, 3], abs=1)
    assert len(reports) == 1
    assert "1_run1cam1_00002.jpeg: truncated" in reports[0]
    assert all(f.labels is None for f in frames)


def write_video(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (160, 120))
    for index in range(count):
        writer.write(np.ascontiguousarray(frame(4 * index)[0][..., ::-1]))
    writer.release()
    return path


def test_a_video_with_its_own_rate(tmp_path):
    frames, reports = play(write_video(tmp_path / "clip.mp4", 10))
    assert reports == []
    assert [f.time_s for f in frames] == pytest.approx([index / 25 for index in range(10)])
    assert np.abs(frames[7].image_rgb.astype(int) - frame(28)[0]).mean() < 6


def test_a_video_that_is_cut_off_is_reported(tmp_path):
    path = write_video(tmp_path / "clip.mkv", 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    frames, reports = play(path)
    assert 0 < len(frames) < 36
    assert reports == [f"{path}: {len(frames)} of about 40 frames can be read; the file is cut off or damaged"]


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("image_topic", ["/cam/image_raw", "/cam/image_rect"])
def test_a_bag_with_its_own_stamps_camera_and_masks(tmp_path, storage, compressed, image_topic):
    path = tmp_path / "bag"
    image_type = CompressedImage if compressed else Image
    topics = {
        image_topic + ("/compressed" if compressed else ""): image_type,
        "/cam/camera_info": CameraInfo,
        "/ground_truth/label_mask": Image,
    }
    with Writer(path, version=9, storage_plugin=storage) as writer:
        typestore = get_typestore(Stores.ROS2_JAZZY)
        connections = [
            writer.add_connection(topic, f"sensor_msgs/msg/{kind.__name__}", typestore=typestore)
            for topic, kind in topics.items()
        ]
        for index in range(3):
            image, labels = frame(10 * index)
            info, truth, picture = fill_camera_info(CameraInfo(), CAMERA), fill_image(Image(), labels), image_type()
            (info.k if image_topic == "/cam/image_rect" else info.p)[0] = 140.0
            if compressed:
                picture = CompressedImage(format="png", data=cv2.imencode(".png", image[..., ::-1])[1].tobytes())
            else:
                fill_image(picture, image)
            for message in (info, truth, picture):
                message.header.stamp.sec = 100 + index
            for connection, message in zip(connections[::-1], (truth, info, picture), strict=True):
                writer.write(connection, 10**11 + index * 200_000_000, serialize_message(message))
    assert open_source(str(path)).rectified == (image_topic == "/cam/image_rect")
    for source in (path, next(path.glob("*.db3" if storage is StoragePlugin.SQLITE3 else "*.mcap"))):
        frames, reports = play(source)
        assert reports == []
        assert [f.time_s for f in frames] == pytest.approx([0.0, 0.2, 0.4])
        for index, played in enumerate(frames):
            image, labels = frame(10 * index)
            np.testing.assert_array_equal(played.image_rgb, image)
            np.testing.assert_array_equal(played.labels, labels)
            assert played.camera == CAMERA


def test_a_stream_needs_a_driver():
    with pytest.raises(UserError, match=r"rtsp://127\.0\.0\.1/live: streams are not played; start a ROS camera driver"):
        open_source("rtsp://127.0.0.1/live")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("", None, "parameter source is empty"),
        ("nowhere", None, "there is no such folder, zip, video or bag"),
        ("empty", "folder", "no frames found"),
        ("text.zip", b"hello", "not a zip"),
        ("text.mp4", b"hello", "not a video that OpenCV can read"),
        ("text.mcap", b"hello", "not a rosbag2 recording"),
        ("bag/metadata.yaml", b"rosbag2: [", "not a rosbag2 recording"),
    ],
)
def test_what_cannot_be_played_is_reported(tmp_path, name, content, expected):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(UserError, match=expected):
        open_source("" if not name else str(path.parent if name.startswith("bag") else path))


def test_a_folder_above_a_bag_is_refused_with_the_bag_to_give(tmp_path):
    bag = tmp_path / "out" / "bag"
    bag.mkdir(parents=True)
    (bag / "flight_0.mcap").write_bytes(b"")
    with pytest.raises(UserError, match=rf"out: a folder above a recording; give {bag}$"):
        open_source(str(tmp_path / "out"))
