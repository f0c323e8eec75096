"""Subscribes to every topic of the ROS graph as it appears, in a thread of its own: for recorders and viewers."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_typestore

from fcn_follow.errors import shown
from fcn_follow.nodes.support.message_definitions import learn

LOOK_PERIOD_S = 0.5
LEFT_OUT = ("/parameter_events", "/rosout")


class EveryTopic:
    """Looks for topics every LOOK_PERIOD_S. Call `begin` after the set-up, and `end` at the end.

    `problems` is a sentence on why some topics were not taken; it is empty if all were.
    """

    def __init__(self, name: str, done_with_them: str) -> None:
        """`name` is the node's; `done_with_them` ends the warning about unknown types, for example "recorded"."""
        self.problems: list[str] = []
        self._done_with_them = done_with_them
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._node = Node(name, use_global_arguments=False)  # launch renames every node of a process
        self._known: set[str] = set()
        self._unknown_kinds: set[str] = set()
        self._node.create_timer(LOOK_PERIOD_S, self._look)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)

    def found(self, topic: str, kind: str, message: type[Any]) -> None:
        """Take a new topic of type `kind` (package/msg/Name), whose definition `_types` has."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """End the thread and the node."""
        self._closing.set()
        self._thread.join()
        self._node.destroy_node()

    def subscribe(self, topic: str, message: type[Any], take: Callable[[bytes], None]) -> Any:
        """The subscription to a topic; `take` gets its messages as they are on the wire (CDR)."""
        latched = any(
            info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for info in self._node.get_publishers_info_by_topic(topic)
        )
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        qos = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
        return self._node.create_subscription(message, topic, take, qos, raw=True)

    def _spin(self) -> None:
        while not self._closing.is_set():
            try:
                self._executor.spin_once(timeout_sec=0.1)
            except (OSError, WriterError) as error:  # a full disk
                self._note(error)
                return
            except Exception as error:  # the other topics are taken anyway
                self._note(error)

    def _note(self, error: Exception) -> None:
        self.problems = self.problems or [str(error) or type(error).__name__]

    def _look(self) -> None:
        for topic, kinds in self._node.get_topic_names_and_types():
            kind = kinds[0]
            if topic in self._known or topic in LEFT_OUT or kind in self._unknown_kinds:
                continue
            if not self._node.count_publishers(topic):
                continue
            try:
                message = _message_class(kind)
                learn(self._types, kind)
            except (ImportError, AttributeError, LookupError, ValueError) as error:
                self._unknown_kinds.add(kind)
                reason = f"{type(error).__name__}: {error}"
                self._node.get_logger().warning(
                    f"topics of type {shown(kind)} are not {self._done_with_them} ({reason})"
                )
                continue
            self._known.add(topic)
            self.found(topic, kind, message)


def _message_class(kind: str) -> Any:
    """The class of 'package/msg/Name'. Raises ImportError or AttributeError if the package does not have it."""
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)
