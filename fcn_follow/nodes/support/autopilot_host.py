"""The follower's node as the host of an autopilot's output, which does not import rclpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from fcn_follow.autopilots.output import Quality


class NodeHost:
    """Publishers, timers, time and log of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def publisher(self, message_type: type[Any], topic: str, quality: Quality) -> Callable[[Any], None]:
        profile = QoSProfile(
            depth=1,
            reliability=QoSReliabilityPolicy.RELIABLE if quality.reliable else QoSReliabilityPolicy.BEST_EFFORT,
            durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if quality.transient_local else QoSDurabilityPolicy.VOLATILE,
        )
        publish: Callable[[Any], None] = self._node.create_publisher(message_type, topic, profile).publish
        return publish

    def every(self, period_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        timer = self._node.create_timer(period_s, callback)
        return lambda: self._node.destroy_timer(timer)

    def now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def log(self, text: str) -> None:
        self._node.get_logger().info(text)
