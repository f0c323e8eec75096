"""The follower's node as the host of an autopilot's output, which does not import rclpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from fcn_follow.autopilots.output import Quality
from fcn_follow.nodes.support.last_call import LastCall


class NodeHost:
    """Gives an output the node's publishers, subscriptions, timers, time and parameter questions."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def publisher(self, message_type: type[Any], topic: str, quality: Quality) -> Callable[[Any], None]:
        publish: Callable[[Any], None] = self._node.create_publisher(message_type, topic, _profile(quality)).publish
        return publish

    def subscribe(self, message_type: type[Any], topic: str, quality: Quality, callback: Callable[[Any], None]) -> None:
        self._node.create_subscription(message_type, topic, callback, _profile(quality))

    def every(self, period_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        timer = self._node.create_timer(period_s, callback)
        return lambda: self._node.destroy_timer(timer)

    def question(self, node: str, parameter: str, callback: Callable[[str], None]) -> Callable[[], None]:
        service = LastCall(self._node.create_client(GetParameters, f"{node}/get_parameters"))

        def take(future: Any) -> None:
            values = future.result().values if future.exception() is None else ()
            if values and values[0].type == ParameterType.PARAMETER_STRING:
                callback(values[0].string_value)

        def ask() -> None:
            service.ask(GetParameters.Request(names=[parameter]), take)

        return ask

    def now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def _profile(quality: Quality) -> QoSProfile:
    return QoSProfile(
        depth=1,
        reliability=QoSReliabilityPolicy.RELIABLE if quality.reliable else QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if quality.transient_local else QoSDurabilityPolicy.VOLATILE,
    )
