"""What the nodes report about themselves: /diagnostics and rolling figures."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

OK, WARN, ERROR, STALE = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE)


def diagnostics(node: Node, level: bytes, summary: str, values: Mapping[str, object]) -> DiagnosticArray:
    """A DiagnosticArray with one status of this node, stamped now; `level` is OK, WARN, ERROR or STALE."""
    message = DiagnosticArray()
    message.header.stamp = node.get_clock().now().to_msg()
    pairs = [
        KeyValue(key=key, value=f"{value:.3f}" if isinstance(value, float) else str(value))
        for key, value in values.items()
    ]
    name = node.get_fully_qualified_name().lstrip("/")
    message.status = [DiagnosticStatus(level=level, name=name, message=summary, hardware_id=name, values=pairs)]
    return message


class RollingFigures:
    """The values of the last seconds: their rate, median and 99th percentile. Time is an argument.

    One thread may add values while another asks for the figures.
    """

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._values: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, time_s: float, value: float) -> None:
        """Add a value and drop those older than the window."""
        with self._lock:
            self._values.append((time_s, value))
            self._forget(time_s)

    def rate_hz(self, now_s: float) -> float:
        """Values per second of the window, or of the time since the first value while the window is not yet full."""
        with self._lock:
            self._forget(now_s)
            if len(self._values) < 2:
                return 0.0
            span_s = now_s - self._values[0][0]
            return (len(self._values) - 1) / span_s if span_s > 0 else 0.0

    def percentile(self, percent: float) -> float:
        """A percentile of the window's values; NaN without values."""
        with self._lock:
            values = [value for _, value in self._values]
        return float(np.percentile(values, percent)) if values else math.nan

    def _forget(self, now_s: float) -> None:
        while self._values and now_s - self._values[0][0] > self._window_s:
            self._values.popleft()


def wrong_topic_types(node: Node, expected: Mapping[str, type[Any]]) -> list[str]:
    """One sentence for each topic (resolved name -> message class) that is published with another type."""
    sentences = []
    for topic, message_class in expected.items():
        module = message_class.__module__.split(".")
        wanted = f"{module[0]}/msg/{message_class.__name__}"
        found = {info.topic_type for info in node.get_publishers_info_by_topic(topic)} - {wanted}
        if found:
            sentences.append(f"topic {topic} is published as {', '.join(sorted(found))}; it must be {wanted}")
    return sentences
