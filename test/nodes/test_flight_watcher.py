"""The runner receives anything that is published: it continues, counts what it cannot use, and reports it safely."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PointStamped, Pose, PoseArray, TwistStamped
from rclpy.serialization import serialize_message
from rich.console import Console
from ros_tools import wait_until
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fcn_follow.images.messages import fill_image
from fcn_follow.lab.scoring.overlap import Overlap
from fcn_follow.nodes.flight_watcher import FlightWatcher
from fcn_follow.runner.follow import plain, status_table

TOPICS = {
    "image_raw": Image,
    "segmentation/label_mask": Image,
    "ground_truth/label_mask": Image,
    "hero/centroid": PointStamped,
    "hero/position": PointStamped,
    "hero/candidates": PoseArray,
    "cmd_vel": TwistStamped,
    "follow/state": KeyValue,
    "follow/debug": DiagnosticArray,
    "/diagnostics": DiagnosticArray,
}


class Records:
    """Takes the place of the recorder."""

    def __init__(self) -> None:
        self.total, self.written = Overlap(), []

    def write(self, record) -> None:
        self.written.append(record)


@pytest.fixture
def flight(ros):
    """The watcher, what it hands over, and a function that publishes on one of its topics."""
    records = Records()
    watcher = FlightWatcher(records)
    node = rclpy.create_node("stranger")
    publishers = {topic: node.create_publisher(kind, topic, 10) for topic, kind in TOPICS.items()}

    def all_found() -> bool:
        return all(publisher.get_subscription_count() for publisher in publishers.values())

    assert wait_until(all_found, lambda: watcher.spin(0.05))
    yield SimpleNamespace(
        watcher=watcher, records=records, publish=lambda topic, message: publishers[topic].publish(message)
    )
    watcher.finish()
    node.destroy_node()


def receive(flight, topic, message, until) -> bool:
    flight.publish(topic, message)
    return wait_until(until, lambda: flight.watcher.spin(0.05))


def status(flight) -> dict[str, str]:
    return flight.watcher.status()


def picture(sec: int = 5, height: int = 4, width: int = 6, channels: int = 3) -> Image:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return fill_image(Image(header=Header(stamp=Time(sec=sec))), np.full(shape, 2, np.uint8))


def broken_step() -> Image:
    image = picture()
    image.step = 1
    return image


def enormous() -> Image:
    image = picture()
    image.width, image.height, image.step = 2**31, 2**31, 0
    return image


def without_text_in_utf8(message: KeyValue) -> bytes:
    return serialize_message(message).replace(b"ABCDEFGH", b"\xff\xfe\xff\xfe\xc0\xc1\xf5\xff")


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("image_raw", broken_step()),
        ("image_raw", enormous()),
        ("image_raw", Image(encoding="[/x]", width=1, height=1)),
        ("image_raw", picture(sec=-5)),
        ("segmentation/label_mask", broken_step()),
        ("ground_truth/label_mask", picture(sec=-5)),
        ("hero/centroid", PointStamped(header=Header(stamp=Time(sec=-5)))),
        ("hero/position", PointStamped(header=Header(stamp=Time(sec=-(2**31))))),
    ],
)
def test_what_cannot_be_used_is_counted_and_the_flight_goes_on(flight, topic, message):
    assert receive(flight, topic, message, lambda: "not usable" in status(flight))
    assert status(flight)["not usable"].startswith("1 messages; the last: ")
    assert receive(flight, "image_raw", picture(), lambda: flight.watcher.frames == 1)


def test_a_digit_points_at_the_person_with_that_number(flight):
    points: list[PointStamped] = []
    segmenter = rclpy.create_node("segmenter")
    heard = segmenter.create_subscription(PointStamped, "hero/point", points.append, 10)
    assert not flight.watcher.has_candidates and "people" not in status(flight)
    flight.watcher.press("1")
    people = [(120.4, 60.0, 1.0), (30.0, 70.0, 7.0), (5.0, 5.0, 12.0)]
    people += [(float("nan"), 5.0, 3.0), (1.0, 2.0, float("nan")), (1.0, 2.0, -1e300), (1.0, float("inf"), 4.0)]
    candidates = PoseArray(header=Header(stamp=Time(sec=5), frame_id="camera"))
    candidates.poses = [Pose(position=Point(x=x, y=y, z=z)) for x, y, z in people]
    assert receive(flight, "hero/candidates", candidates, lambda: flight.watcher.has_candidates)
    assert status(flight)["people"] == "1 at 120, 60; 7 at 30, 70"
    assert "1 to 9: the hero" in str(status_table(flight.watcher).caption)
    assert wait_until(heard.get_publisher_count, lambda: flight.watcher.spin(0.05))
    for key in "372":
        flight.watcher.press(key)
    assert wait_until(lambda: points, lambda: (flight.watcher.spin(0.02), rclpy.spin_once(segmenter, timeout_sec=0.02)))
    (point,) = points
    assert (point.point.x, point.point.y, point.header.frame_id) == (30.0, 70.0, "camera")
    assert receive(flight, "image_raw", picture(), lambda: len(flight.records.written) == 1)
    assert flight.records.written[0].numbers == {1: (120.4, 60.0), 7: (30.0, 70.0)}
    assert receive(flight, "hero/candidates", PoseArray(), lambda: status(flight)["people"] == "nobody")
    assert "not usable" not in status(flight)


def test_a_mask_that_comes_after_its_frame_was_handed_over_makes_no_second_record(flight):
    assert receive(flight, "image_raw", picture(sec=5), lambda: len(flight.records.written) == 1)
    assert receive(flight, "segmentation/label_mask", picture(sec=5, channels=1), lambda: flight.watcher.masks == 1)
    assert receive(flight, "image_raw", picture(sec=6), lambda: len(flight.records.written) == 2)
    assert [record.stamp_s for record in flight.records.written] == [5.0, 6.0]


@pytest.mark.parametrize(
    "numbers", [(float("nan"),) * 3, (float("inf"),) * 3, (-float("inf"), 1e308, float("nan"))], ids=str
)
def test_numbers_that_are_none_go_into_the_record(flight, numbers):
    point = PointStamped(header=Header(stamp=Time(sec=5)))
    point.point.x, point.point.y, point.point.z = numbers
    command = TwistStamped()
    command.twist.linear.x, command.twist.linear.y, command.twist.angular.z = numbers
    flight.publish("cmd_vel", command)
    flight.publish("hero/position", point)
    flight.publish("hero/centroid", point)
    assert receive(flight, "segmentation/label_mask", picture(), lambda: len(flight.records.written) == 1)
    assert all(isinstance(value, str) for value in flight.records.written[0].row())
    assert "not usable" not in status(flight)


@pytest.mark.parametrize("text", ["[/x]", "[bold]a[/bold]", "\x1b[2J\x1b]0;owned\x07", "a\nb\rc", "x" * 100_000])
def test_no_text_does_anything_to_the_terminal(flight, text):
    assert receive(flight, "follow/state", KeyValue(key=text, value=text), lambda: status(flight)["state"] != "-")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    console.print(status_table(flight.watcher))
    console.print(plain(flight.watcher.one_line()))
    shown = screen.getvalue()
    assert "\x1b" not in shown and "\x07" not in shown and "\r" not in shown
    assert len(shown) < 5000
    if text.startswith("["):
        assert f"{text}: {text}" in shown


def test_text_that_is_no_utf_8_is_survived(flight):
    flight.publish("follow/state", without_text_in_utf8(KeyValue(key="ABCDEFGH", value="reason")))
    assert receive(flight, "follow/state", KeyValue(key="tracking"), lambda: status(flight)["state"] == "tracking")


def test_a_recorder_that_fails_does_not_end_the_flight(flight):
    flight.records.write = None
    assert receive(flight, "image_raw", picture(), lambda: "not usable" in status(flight))


def test_command_and_explanation_belong_to_the_mask_whatever_their_own_stamps_say(flight):
    """A command is stamped with the time of its sending, which is no image's."""
    command = TwistStamped(header=Header(stamp=Time(sec=1_000_000)))
    command.twist.linear.x = 1.5
    debug = DiagnosticArray(header=Header(stamp=Time(sec=2_000_000)))
    debug.status = [DiagnosticStatus(values=[KeyValue(key="reason", value="hero seen")])]
    flight.publish("cmd_vel", command)
    assert receive(flight, "follow/debug", debug, lambda: "forward +1.50" in status(flight)["command"])
    flight.publish("image_raw", picture(sec=7))
    assert receive(flight, "segmentation/label_mask", picture(7, channels=1), lambda: len(flight.records.written) == 1)
    (record,) = flight.records.written
    assert record.stamp_s == 7.0
    assert record.command.forward_m_s == 1.5
    assert record.explanation == {"reason": "hero seen"}
