"""Bags that the tests write with rclpy's own serialisation, as a recorder on a drone does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from drawn_frames import frame
from geometry_msgs.msg import PointStamped
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image

from fcn_follow.images.messages import fill_image

MODES = {"raw": None, "file": CompressionMode.FILE, "message": CompressionMode.MESSAGE}
PERIOD_NS = 100_000_000
START_NS = 50 * 10**9
SQLITE3, MCAP = StoragePlugin.SQLITE3, StoragePlugin.MCAP


def stamped(message: Any, nanoseconds: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 10**9)
    return message


def image(pixels: np.ndarray, nanoseconds: int) -> Image:
    return stamped(fill_image(Image(), pixels), nanoseconds)


def png(pixels: np.ndarray, nanoseconds: int) -> CompressedImage:
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    return stamped(CompressedImage(format="png", data=data), nanoseconds)


def point(x: float, y: float, z: float, nanoseconds: int) -> PointStamped:
    message = stamped(PointStamped(), nanoseconds)
    message.point.x, message.point.y, message.point.z = x, y, z
    return message


def write_bag(
    path: Path,
    messages: list[tuple[str, int, Any]],
    storage: StoragePlugin = StoragePlugin.MCAP,
    zstd: CompressionMode | None = None,
    store: Stores = Stores.ROS2_JAZZY,
    version: int = 9,
) -> Path:
    """A bag of (topic, time of recording in ns, rclpy message)."""
    types = get_typestore(store)
    writer = Writer(path, version=version, storage_plugin=storage)
    if zstd is not None:
        writer.set_compression(zstd, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for topic, recorded_ns, message in messages:
            if topic not in connections:
                kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
                connections[topic] = writer.add_connection(topic, kind, typestore=types)
            writer.write(connections[topic], recorded_ns, serialize_message(message))
    return path


def storage_file(path: Path) -> Path:
    """The one file of a bag's folder that is not its metadata."""
    return next(file for file in path.iterdir() if file.name != "metadata.yaml")


def camera_and_truth(count: int) -> list[tuple[str, int, Any]]:
    """Frames with their masks, ten a second, each mask recorded a little after its image."""
    messages: list[tuple[str, int, Any]] = []
    for index in range(count):
        picture, labels = frame(index)
        now_ns = START_NS + index * PERIOD_NS
        messages.append(("/cam/image_raw", now_ns, image(picture, now_ns)))
        messages.append(("/ground_truth/label_mask", now_ns + 1_000_000, image(labels, now_ns)))
    return messages
