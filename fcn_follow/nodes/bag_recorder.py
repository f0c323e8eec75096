"""Records every topic of a flight into a rosbag2 folder (mcap), without ROS' own recorder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.every_topic import EveryTopic


class BagRecorder(EveryTopic):
    """Records all topics in a thread of its own; call `close` at the end."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError if `folder` exists already or cannot be made."""
        try:
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise UserError(f"cannot record to {folder}: {error}; move it away or give another --out") from error
        super().__init__("bag_recorder", "recorded")
        self.begin()

    def close(self) -> None:
        """Finish the bag."""
        self.end()
        try:
            self._writer.close()
        except (WriterError, OSError) as error:
            self._note(error)

    def found(self, topic: str, kind: str, message: type[Any]) -> None:
        connection = self._writer.add_connection(topic, kind, typestore=self._types)
        self.subscribe(topic, message, lambda data: self._writer.write(connection, time.time_ns(), data))

    def _note(self, error: Exception) -> None:
        self.problems = self.problems or [f"the bag is incomplete: {str(error) or type(error).__name__}"]
