"""Every topic of a flight into a rosbag2 folder (mcap), without ROS' own recorder."""

from __future__ import annotations

import importlib
import threading
import time
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_typestore

from fcn_follow.errors import UserError, shown
from fcn_follow.nodes.support.message_definitions import learn

LOOK_PERIOD_S = 0.5
NOT_RECORDED = ("/parameter_events", "/rosout")


class BagRecorder:
    """Records all topics in a thread of its own; call `close` at the end."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError if `folder` exists already or cannot be made."""
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise UserError(f"cannot record to {folder}: {error}; move it away or give another --out") from error
        self.problems: list[str] = []
        """Why the bag is incomplete, in one sentence; empty if it is complete."""
        self._node = Node("bag_recorder", use_global_arguments=False)  # launch renames every node of a process
        self._connections: dict[str, Any] = {}
        self._unknown: set[str] = set()
        self._node.create_timer(LOOK_PERIOD_S, self._look)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="bag_recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the bag."""
        self._closing.set()
        self._thread.join()
        self._node.destroy_node()
        try:
            self._writer.close()
        except (WriterError, OSError) as error:
            self._note(error)

    def _spin(self) -> None:
        while not self._closing.is_set():
            try:
                self._executor.spin_once(timeout_sec=0.1)
            except (WriterError, OSError) as error:  # a full disk
                self._note(error)
                return
            except Exception as error:  # the other topics are recorded all the same
                self._note(error)

    def _note(self, error: Exception) -> None:
        self.problems = self.problems or [f"the bag is incomplete: {str(error) or type(error).__name__}"]

    def _look(self) -> None:
        """Subscribe to new topics."""
        for topic, kinds in self._node.get_topic_names_and_types():
            kind = kinds[0]
            if topic in self._connections or topic in NOT_RECORDED or kind in self._unknown:
                continue
            if not self._node.count_publishers(topic):
                continue
            try:
                message = _message_class(kind)
                learn(self._types, kind)
            except (ImportError, AttributeError, LookupError, ValueError) as error:
                self._unknown.add(kind)
                reason = f"{type(error).__name__}: {error}"
                self._node.get_logger().warning(f"topics of type {shown(kind)} are not recorded ({reason})")
                continue
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._types)
            latched = any(
                info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                for info in self._node.get_publishers_info_by_topic(topic)
            )
            qos = QoSProfile(
                depth=20,
                reliability=ReliabilityPolicy.RELIABLE,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            )
            self._node.create_subscription(message, topic, self._writing(topic), qos, raw=True)

    def _writing(self, topic: str) -> Any:
        def write(data: bytes) -> None:
            self._writer.write(self._connections[topic], time.time_ns(), data)

        return write


def _message_class(kind: str) -> Any:
    """The class of 'package/msg/Name'. Raises ImportError or AttributeError where the package does not have it."""
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)
