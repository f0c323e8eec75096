"""Write a rosbag2 recording (mcap or sqlite3) and its messages without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from fcn_follow.errors import UserError
from fcn_follow.files import NewFolder
from fcn_follow.lab.recordings.reading import TYPES
from fcn_follow.lab.recordings.topics import COMPRESSED, IMAGE

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
FRAME_ID = "camera_optical_frame"


class BagWriter(NewFolder):
    """A new bag, for a with statement."""

    def __init__(self, path: Path, storage: str = "mcap", *, zstd: bool = False) -> None:
        if storage not in STORAGES:
            raise UserError(f"storage {storage!r} is not known; it must be one of {', '.join(STORAGES)}")
        super().__init__(path)
        self._connections: dict[str, Connection] = {}
        self._writer = Writer(self.part, version=9, storage_plugin=STORAGES[storage])
        if zstd:
            mode = CompressionMode.STORAGE if storage == "mcap" else CompressionMode.MESSAGE
            self._writer.set_compression(mode, CompressionFormat.ZSTD)
        try:
            self._writer.open()
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from error

    def write(self, topic: str, message: Any, recorded_ns: int) -> None:
        """Add a message, which has a type of rosbags."""
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=TYPES)
        self._writer.write(self._connections[topic], recorded_ns, TYPES.serialize_cdr(message, kind))

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        try:
            self._writer.close()
        except BaseException:
            self.aside.cleanup()
            raise
        super().__exit__(kind, value, trace)


def image_message(pixels: NDArray[np.uint8], stamp_ns: int) -> Any:
    """A sensor_msgs/Image of H x W x 3 (rgb8) or H x W (mono8) pixels."""
    height, width = pixels.shape[:2]
    return TYPES.types[IMAGE](
        header=_header(stamp_ns),
        height=height,
        width=width,
        encoding="mono8" if pixels.ndim == 2 else "rgb8",
        is_bigendian=0,
        step=width * (1 if pixels.ndim == 2 else 3),
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def compressed_message(data: bytes, stamp_ns: int) -> Any:
    """A sensor_msgs/CompressedImage of a JPEG or PNG file's bytes."""
    kind = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    return TYPES.types[COMPRESSED](header=_header(stamp_ns), format=kind, data=np.frombuffer(data, np.uint8))


def _header(stamp_ns: int) -> Any:
    stamp = TYPES.types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return TYPES.types["std_msgs/msg/Header"](stamp=stamp, frame_id=FRAME_ID)
