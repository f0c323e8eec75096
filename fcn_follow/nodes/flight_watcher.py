"""Collects what is published about each image of a flight, by the image's stamp, for the runner."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import PointStamped, PoseArray, TwistStamped
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Image

from fcn_follow.geometry import VelocityCommand
from fcn_follow.images.messages import MessageError, image_to_rgb
from fcn_follow.lab.scoring.overlap import Overlap
from fcn_follow.nodes.pilot import Pilot
from fcn_follow.nodes.support.frame_record import FrameRecord
from fcn_follow.nodes.support.status import RollingFigures
from fcn_follow.perception.candidates import MAX_CANDIDATES

COMPLETE_AFTER_S = 1.0  # by then everything about an image has arrived
REMEMBERED_FRAMES = 1000
AGES_KEPT = 100_000
PEOPLE_KEYS = "123456789"
MAX_IMAGE_PX = 4096 * 4096


class Recorder(Protocol):
    """Keeps the records, and sums up how well the hero was found."""

    total: Overlap

    def write(self, record: FrameRecord) -> None:
        """Take the complete record of a frame."""


class FlightWatcher:
    """Subscribes to all topics of a flight and hands complete frame records to the recorder.

    cmd_vel is the topic of the commands.

    No message ends it: unusable messages are counted, and the last reason is kept.
    """

    def __init__(self, recorder: Recorder, cmd_vel: str = "cmd_vel") -> None:
        self._recorder = recorder
        self._node = Node("runner")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self.pilot = Pilot(self._node)
        self.image_topic = self._node.resolve_topic_name("image_raw")
        self._records: dict[int, FrameRecord] = {}
        self._arrivals_s: dict[int, float] = {}
        self._handed_over: deque[int] = deque(maxlen=REMEMBERED_FRAMES)
        self._first_mask_s: float | None = None
        self._last_mask_s = 0.0
        self.masks = 0
        self.frames = 0
        self._ages_s: deque[float] = deque(maxlen=AGES_KEPT)
        self._recent = RollingFigures()
        self._seen = 0
        self._unusable = 0
        self._why_unusable = ""
        self._dropped = "0"
        self._device = ""
        self._state = "-"
        self._reason = ""
        self._command: VelocityCommand | None = None
        self._explanation: dict[str, str] = {}
        self._latest: FrameRecord | None = None
        self._candidates: PoseArray | None = None
        self._points = self._node.create_publisher(PointStamped, "hero/point", 1)
        reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        for topic, message_type, callback in (
            ("image_raw", Image, self._on_image),
            ("ground_truth/label_mask", Image, self._on_truth),
            ("segmentation/label_mask", Image, self._on_mask),
            ("hero/centroid", PointStamped, self._on_centroid),
            ("hero/position", PointStamped, self._on_position),
            ("hero/candidates", PoseArray, self._on_candidates),
            (cmd_vel, TwistStamped, self._on_command),
            ("follow/state", KeyValue, self._on_state),
            ("follow/debug", DiagnosticArray, self._on_debug),
            ("/diagnostics", DiagnosticArray, self._on_diagnostics),
        ):
            self._node.create_subscription(message_type, topic, callback, reliable)

    def spin(self, seconds: float) -> None:
        """Receive messages for about `seconds`."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._survive(partial(self._executor.spin_once, timeout_sec=left_s))
        self._survive(partial(self._hand_over, time.monotonic() - COMPLETE_AFTER_S))

    def finish(self) -> None:
        """Hand over the remaining records."""
        self._survive(partial(self._hand_over, float("inf")))
        self._node.destroy_node()

    def _survive(self, step: Callable[[], None]) -> None:
        """Run one step; an error in it, for example from an impossible message, does not end the flight."""
        try:
            step()
        except Exception as error:
            self._unusable += 1
            self._why_unusable = str(error) or type(error).__name__

    def press(self, key: str) -> None:
        """A digit points at the person with this number; any other key goes to `Pilot`."""
        place = self._places_px().get(int(key)) if key in PEOPLE_KEYS else None
        if place and self._candidates:
            point = PointStamped(header=self._candidates.header)
            point.point.x, point.point.y = place
            self._points.publish(point)
        else:
            self.pilot.press(key)

    @property
    def has_candidates(self) -> bool:
        """Whether the hero is chosen among people with numbers."""
        return self._candidates is not None

    def segmenter_is_ready(self) -> bool:
        """Whether label masks are published."""
        return bool(self._node.count_publishers(self._node.resolve_topic_name("segmentation/label_mask")))

    def foreign_camera(self) -> bool:
        """Whether images are published; before our own camera starts, they come from a foreign one."""
        return bool(self._node.count_publishers(self.image_topic))

    def flight_time_s(self) -> float:
        """The time since the first label mask; 0 before it."""
        return 0.0 if self._first_mask_s is None else time.monotonic() - self._first_mask_s

    def status(self) -> dict[str, str]:
        """The live status in words, in the order of its lines."""
        now_s = time.monotonic()
        iou = self._recorder.total.iou
        lines = {
            "time": f"{self.flight_time_s():.1f} s, {self.masks} label masks of {self.frames} frames",
            "rate": f"{self._recent.rate_hz(now_s):.1f} masks/s on {self._device or '...'}",
            "age of a frame": f"{1e3 * self._recent.percentile(50):.0f} ms median, "
            f"{1e3 * self._recent.percentile(99):.0f} ms 99th percentile",
            "dropped": self._dropped,
            "state": f"{self._state}: {self._reason}" if self._reason else self._state,
            "hero": self._hero_in_words(),
            "command": self._command_in_words(),
        }
        if self._candidates:
            people = (f"{number} at {x:.0f}, {y:.0f}" for number, (x, y) in self._places_px().items())
            lines["people"] = "; ".join(people) or "nobody"
        if self.pilot.words:
            lines["set points"] = self.pilot.words
        if iou is not None:
            lines["hero IoU"] = f"{iou:.3f}"
        return lines | self._unusable_in_words()

    def one_line(self) -> str:
        """The live status for a log file."""
        status = self.status()
        return f"{status['time']}; {status['rate']}; {status['state']}; hero {status['hero']}; {status['command']}"

    def summary(self) -> dict[str, str]:
        """The whole flight in words."""
        span_s = self._last_mask_s - (self._first_mask_s or self._last_mask_s)
        lines = {"frames": f"{self.frames}, of them {self.masks} with a label mask; the hero seen in {self._seen}"}
        if self.masks > 1 and span_s > 0:
            lines["label masks"] = f"{(self.masks - 1) / span_s:.2f} a second"
        if self._ages_s:
            median_ms, p99_ms = 1e3 * np.percentile(self._ages_s, (50, 99))
            lines["age of a frame"] = f"{median_ms:.1f} ms median, {p99_ms:.1f} ms 99th percentile"
        lines["last command"] = self._command_in_words()
        return lines | self._unusable_in_words()

    @property
    def never_saw_the_hero(self) -> bool:
        """Whether pictures were segmented and none showed the hero."""
        return self.masks > 0 and self._seen == 0

    def _record(self, header: Any) -> FrameRecord:
        """The record of the image with this stamp; a discarded one if that image's record has been handed over."""
        key = Time.from_msg(header.stamp).nanoseconds
        if key in self._handed_over:
            return FrameRecord(stamp_s=key * 1e-9)
        if key not in self._records:
            self._records[key] = FrameRecord(stamp_s=key * 1e-9)
            self._arrivals_s[key] = time.monotonic()
        return self._records[key]

    def _hand_over(self, arrived_before_s: float) -> None:
        for key in [key for key, arrival_s in self._arrivals_s.items() if arrival_s < arrived_before_s]:
            del self._arrivals_s[key]
            record = self._records.pop(key)
            if record.image_rgb is not None or record.labels is not None:
                self._handed_over.append(key)
                self._recorder.write(record)

    def _on_image(self, message: Image) -> None:
        self._record(message.header).image_rgb = _pixels(message)
        self.frames += 1

    def _on_truth(self, message: Image) -> None:
        self._record(message.header).truth = _pixels(message)[:, :, 0]

    def _on_mask(self, message: Image) -> None:
        record = self._record(message.header)
        record.labels = _pixels(message)[:, :, 0]
        record.command, record.state, record.explanation = self._command, self._state, self._explanation
        self._latest = record
        self._last_mask_s = time.monotonic()
        if self._first_mask_s is None:
            self._first_mask_s = self._last_mask_s
        self.masks += 1

    def _on_centroid(self, message: PointStamped) -> None:
        record = self._record(message.header)
        record.centroid = (message.point.x, message.point.y, message.point.z)
        record.age_s = (self._node.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds * 1e-9
        self._ages_s.append(record.age_s)
        self._recent.add(time.monotonic(), record.age_s)
        self._seen += message.point.z > 0

    def _on_position(self, message: PointStamped) -> None:
        self._record(message.header).position_m = (message.point.x, message.point.y, message.point.z)

    def _on_candidates(self, message: PoseArray) -> None:
        self._candidates = message
        self._record(message.header).numbers = self._places_px()

    def _places_px(self) -> dict[int, tuple[float, float]]:
        """The newest candidates' places in the picture by number, if the number has one digit."""
        poses = self._candidates.poses[:MAX_CANDIDATES] if self._candidates else []
        places = ((each.position.z, (each.position.x, each.position.y)) for each in poses)
        return {int(n): place for n, place in places if n in range(1, 10) and all(map(math.isfinite, place))}

    def _on_command(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        self._command = VelocityCommand(linear.x, linear.y, linear.z, angular.z)

    def _on_state(self, message: KeyValue) -> None:
        self._state, self._reason = message.key, message.value

    def _on_debug(self, message: DiagnosticArray) -> None:
        self._explanation = {pair.key: pair.value for status in message.status for pair in status.values}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith("segmenter"):
                values = {pair.key: pair.value for pair in status.values}
                self._dropped = values.get("dropped", "0")
                self._device = values.get("device", "")

    def _unusable_in_words(self) -> dict[str, str]:
        return {"not usable": f"{self._unusable} messages; the last: {self._why_unusable}"} if self._unusable else {}

    def _hero_in_words(self) -> str:
        if self._latest is None or self._latest.centroid is None or not self._latest.centroid[2] > 0:
            return "not seen"
        x, y, area = self._latest.centroid
        words = f"at {x:.0f}, {y:.0f} px, {area:.0f} px large"
        if self._latest.position_m is not None:
            words += f", {self._latest.position_m[2]:.1f} m ahead"
        return words

    def _command_in_words(self) -> str:
        if self._command is None:
            return "none"
        c = self._command
        if c == VelocityCommand():
            return "zero"
        speeds = f"forward {c.forward_m_s:+.2f}, left {c.left_m_s:+.2f}, up {c.up_m_s:+.2f} m/s"
        return f"{speeds}, yaw {c.yaw_rate_rad_s:+.2f} rad/s"


def _pixels(message: Image) -> NDArray[np.uint8]:
    """The image H x W x 3. Raises MessageError if it is not an image, or is larger than the runner keeps."""
    if message.width * message.height > MAX_IMAGE_PX:
        raise MessageError(
            f"an image of {message.width}x{message.height}: the runner takes at most {MAX_IMAGE_PX} pixels"
        )
    return image_to_rgb(message)
