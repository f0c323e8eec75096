"""The segmenter and the player as processes over real DDS: what they publish, and what they do with bad input."""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from drawn_frames import frame, write_calibration, write_frames, write_weights
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from ros_tools import ROOT, finish, interrupt, parameter_arguments, start, start_node, wait_until
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import fill_camera_info, fill_image, image_to_rgb, intrinsics
from fcn_follow.nodes.support.latest import LatestFrame

CAMERA = CameraIntrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
PLAIN_SUBSCRIBER = """
import json, sys, rclpy
from geometry_msgs.msg import PointStamped, TwistStamped
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("plain_subscriber")
def subscribe(message_type, topic):
    def on_message(m):
        row = [topic, m.header.stamp.sec, m.header.stamp.nanosec, m.header.frame_id]
        row += [m.width, m.height, m.encoding] if message_type is Image else []
        row += [m.twist.linear.x, m.twist.linear.y, m.twist.linear.z, m.twist.angular.z] \\
            if message_type is TwistStamped else []
        print(json.dumps(row), flush=True)
    node.create_subscription(message_type, topic, on_message, 100)
subscribe(Image, "image_raw"); subscribe(Image, "segmentation/label_mask"); subscribe(PointStamped, "hero/centroid")
subscribe(TwistStamped, "cmd_vel")
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""


class Listener:
    """A node of the test that keeps what it hears, by topic."""

    def __init__(self) -> None:
        self.node: Node = rclpy.create_node("listener")
        self.received: dict[str, list[Any]] = {}

    def listen(self, message_type: type, *topics: str) -> None:
        for topic in topics:
            self.received[topic] = []
            self.node.create_subscription(message_type, topic, self.received[topic].append, 10)

    def camera(self) -> tuple[Any, Any]:
        """Publishers of images and camera_info."""
        return self.node.create_publisher(Image, "image_raw", 1), self.node.create_publisher(
            CameraInfo, "camera_info", 1
        )

    def spin(self) -> None:
        rclpy.spin_once(self.node, timeout_sec=0.05)

    def send(self, publisher: Any, message: Any) -> None:
        """Publish once; a message that comes before both sides have found each other is lost, so call it again."""
        publisher.publish(message)
        self.spin()

    def wait(self, condition: Callable[[], Any], timeout_s: float = 40.0) -> bool:
        """Spin until the condition holds, and half a second on: a match that one side sees is not yet one of both."""
        held = wait_until(lambda: bool(condition()), self.spin, timeout_s)
        end_s = time.monotonic() + 0.5
        while time.monotonic() < end_s:
            self.spin()
        return held

    def diagnostics(self, name: str = "segmenter") -> dict[str, str]:
        """The newest status of a node: its values, its level and its message."""
        for array in reversed(self.received["/diagnostics"]):
            for status in array.status:
                if status.name == name:
                    values = {pair.key: pair.value for pair in status.values}
                    return {**values, "level": str(status.level[0]), "message": status.message}
        return {}


@pytest.fixture
def listener(ros) -> Listener:
    listener = Listener()
    listener.listen(DiagnosticArray, "/diagnostics")
    return listener


@pytest.fixture
def hero_weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "everywhere.safetensors", hero_everywhere=True)


def image(stamp_s: int, shape: tuple[int, int] = (120, 160)) -> Image:
    message = fill_image(Image(), frame(0, *shape)[0])
    message.header.stamp.sec = stamp_s
    message.header.frame_id = "front_camera"
    return message


def test_player_segmenter_and_follower_seen_by_a_plain_subscriber(tmp_path, domain_id, hero_weights):
    """Masks and centroids carry their image's stamp and frame; commands are stamped in order; the last one is zero."""
    frames = write_frames(tmp_path / "run", 5)
    subscriber = start([sys.executable, "-c", PLAIN_SUBSCRIBER], domain_id)
    params = ["--params-file", str(ROOT / "config" / "follow.yaml")]
    segmenter = start_node("segmenter", domain_id, *params, *parameter_arguments({"weights": hero_weights}))
    follower = start_node("follower", domain_id, *params, "-p", "start_enabled:=true")
    given = {"source": frames, "rate_hz": 10.0, "loop": True}
    player = start_node("player", domain_id, *params, *parameter_arguments(given))
    lines: list[list[Any]] = []
    assert subscriber.stdout is not None
    for line in subscriber.stdout:
        lines.append(json.loads(line))
        if len(lines) > 400 and sum(row[0] == "segmentation/label_mask" for row in lines) > 15:
            break
    outputs = [interrupt(node) for node in (player, segmenter, follower)]
    time.sleep(0.3)
    lines += [json.loads(line) for line in interrupt(subscriber).splitlines()]

    def stamps(topic: str) -> set[tuple[int, int]]:
        return {(row[1], row[2]) for row in lines if row[0] == topic}

    masks = [row for row in lines if row[0] == "segmentation/label_mask"]
    assert all(row[3:] == ["camera_optical_frame", 160, 120, "mono8"] for row in masks)
    assert stamps("segmentation/label_mask") <= stamps("image_raw")
    assert len(stamps("hero/centroid") - stamps("segmentation/label_mask")) <= 1
    command_stamps = [(row[1], row[2]) for row in lines if row[0] == "cmd_vel"]
    assert command_stamps == sorted(command_stamps)
    commands = [row[4:] for row in lines if row[0] == "cmd_vel"]
    assert any(command != [0, 0, 0, 0] for command in commands)
    assert commands[-1] == [0, 0, 0, 0]
    assert [node.returncode for node in (player, segmenter, follower)] == [0, 0, 0]
    assert not any("Traceback" in output for output in outputs), outputs


def test_segmenter_publishes_mask_centroid_position_and_overlay(listener, domain_id, hero_weights):
    listener.listen(Image, "segmentation/label_mask", "segmentation/overlay")
    listener.listen(PointStamped, "hero/centroid", "hero/position")
    images, infos = listener.camera()
    segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": hero_weights}))
    assert listener.wait(images.get_subscription_count)
    assert listener.wait(infos.get_subscription_count)

    def send(stamp_s: int) -> None:
        images.publish(image(stamp_s))
        listener.spin()

    # The overlay is made once the segmenter has found out that somebody listens; each topic is matched in its own time.
    topics = ("segmentation/overlay", "segmentation/label_mask", "hero/centroid")
    assert wait_until(lambda: all(listener.received[topic] for topic in topics), lambda: send(7))
    mask, centroid = listener.received["segmentation/label_mask"][0], listener.received["hero/centroid"][0]
    assert mask.header == centroid.header == image(7).header
    assert (mask.encoding, mask.width, mask.height, mask.step) == ("mono8", 160, 120, 160)
    assert (image_to_rgb(mask) == 2).all()
    assert (centroid.point.x, centroid.point.y, centroid.point.z) == (79.5, 59.5, 160 * 120)
    assert listener.received["hero/position"] == []  # without camera_info no position

    infos.publish(fill_camera_info(CameraInfo(), CAMERA))
    assert wait_until(lambda: bool(listener.received["hero/position"]), lambda: send(9))
    position = listener.received["hero/position"][0]
    assert position.header.frame_id == "front_camera"
    assert (position.point.x, position.point.y) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert 0 < position.point.z < 2.2  # fills the image: near
    assert interrupt(segmenter).count("Traceback") == 0
    assert segmenter.returncode == 0


def test_no_hero_is_nan_nan_0_and_no_position(listener, domain_id, tmp_path):
    weights = write_weights(tmp_path / "nowhere.safetensors")
    listener.listen(PointStamped, "hero/centroid", "hero/position")
    images = listener.node.create_publisher(Image, "image_raw", 1)
    segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": weights}))
    assert wait_until(lambda: bool(listener.received["hero/centroid"]), lambda: listener.send(images, image(7)))
    point = listener.received["hero/centroid"][0].point
    assert math.isnan(point.x)
    assert math.isnan(point.y)
    assert point.z == 0.0
    assert listener.received["hero/position"] == []
    interrupt(segmenter)


def test_with_agreement_the_first_frame_alone_shows_no_hero_and_the_second_does(listener, domain_id, hero_weights):
    listener.listen(Image, "segmentation/label_mask")
    listener.listen(PointStamped, "hero/centroid")
    images = listener.node.create_publisher(Image, "image_raw", 1)
    given = {"weights": hero_weights, "agreement.frames": 2, "agreement.seen": 2}
    segmenter = start_node("segmenter", domain_id, *parameter_arguments(given))
    assert listener.wait(images.get_subscription_count)

    def send(stamp_s: int) -> None:
        images.publish(image(stamp_s))
        listener.spin()

    def seen(second: int) -> set[bool]:
        """Whether the first frames of the pairs (0), or the last (1), showed a hero."""
        received = listener.received["hero/centroid"]
        return {not math.isnan(each.point.x) for each in received if each.header.stamp.sec % 10 == second}

    # Pairs of frames a second apart, nine seconds between two pairs; some may come too early or be dropped.
    stamps_s = (10 * pair + second for pair in itertools.count(1) for second in (0, 1))
    assert wait_until(
        lambda: bool(listener.received["segmentation/label_mask"]) and bool(seen(0)) and True in seen(1),
        lambda: send(next(stamps_s)),
    )
    assert seen(0) == {False}
    assert (image_to_rgb(listener.received["segmentation/label_mask"][0]) == 2).all()
    assert interrupt(segmenter).count("Traceback") == 0


def test_a_segmenter_that_was_killed_and_started_again_goes_on(listener, domain_id, hero_weights):
    listener.listen(KeyValue, "segmentation/state")
    listener.listen(PointStamped, "hero/position")
    images, infos = listener.camera()

    def send() -> None:
        infos.publish(fill_camera_info(CameraInfo(), CAMERA))
        images.publish(image(7))
        listener.spin()

    for _ in range(2):
        segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": hero_weights}))
        assert wait_until(lambda: all(listener.received.values()), send)
        assert {state.key for state in listener.received["segmentation/state"]} == {"ok"}
        segmenter.kill()
        segmenter.communicate()
        listener.wait(lambda: False, timeout_s=0.5)  # what is on its way still
        for received in listener.received.values():
            received.clear()


def test_bad_messages_are_dropped_counted_and_reported_and_the_node_goes_on(listener, domain_id, hero_weights):
    listener.listen(Image, "segmentation/label_mask")
    listener.listen(PointStamped, "hero/centroid", "hero/position")
    images, infos = listener.camera()
    given = {"weights": hero_weights, "stale_after_s": 0.5}
    segmenter = start_node("segmenter", domain_id, *parameter_arguments(given))
    assert listener.wait(lambda: images.get_subscription_count() and infos.get_subscription_count())
    uncalibrated = fill_camera_info(CameraInfo(), CAMERA)
    uncalibrated.k[0] = 0.0
    infos.publish(uncalibrated)

    def send(picture: Image, info: CameraInfo) -> None:
        infos.publish(info)
        images.publish(picture)
        listener.spin()

    short, empty, unknown = image(1), image(2), image(3)
    short.data = short.data[:-1]
    empty.width = 0
    unknown.encoding = "rgb9"

    def bad_messages():
        return int(listener.diagnostics().get("bad_messages", 0))

    for bad in (short, empty, unknown):
        known = bad_messages()
        for _ in range(10):  # best effort: a message may be lost
            infos.publish(uncalibrated)
            images.publish(bad)
            if listener.wait(lambda n=known: bad_messages() > n, timeout_s=3.0):
                break
        assert bad_messages() > known
    assert wait_until(lambda: bool(listener.received["segmentation/label_mask"]), lambda: send(image(4), uncalibrated))
    listener.wait(lambda: False, timeout_s=0.5)
    assert listener.received["hero/centroid"] == listener.received["hero/position"] == []  # fx = 0
    calibrated = fill_camera_info(CameraInfo(), CAMERA)
    assert wait_until(lambda: bool(listener.received["hero/position"]), lambda: send(image(5), calibrated))
    assert {m.header.stamp.sec for m in listener.received["hero/centroid"]} == {5}
    assert listener.wait(lambda: listener.diagnostics()["message"].startswith("no frames on /image_raw for"))
    assert listener.diagnostics()["level"] == "3"  # stale
    output = interrupt(segmenter)
    assert "camera_info has fx = 0" in output
    assert "image data has 57599 bytes; height * step is 57600" in output
    assert "Traceback" not in output


def test_a_flood_of_bad_messages_is_reported_once_a_second_at_most(listener, domain_id, hero_weights):
    images = listener.node.create_publisher(Image, "image_raw", 10)
    segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": hero_weights}))
    assert listener.wait(images.get_subscription_count)
    bad = image(1)
    bad.encoding = "rgb9"
    started_s = time.monotonic()
    while time.monotonic() < started_s + 3.0:
        listener.send(images, bad)
    lines = 1 + (time.monotonic() - started_s)
    output = interrupt(segmenter)
    assert 1 <= output.count("'rgb9' is not known") <= lines + 1


def test_a_topic_of_another_type_is_named(listener, domain_id, hero_weights):
    listener.node.create_publisher(String, "image_raw", 1)
    segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": hero_weights}))
    expected = "topic /image_raw is published as std_msgs/msg/String; it must be sensor_msgs/msg/Image"
    assert listener.wait(lambda: listener.diagnostics().get("message") == expected)
    assert expected in interrupt(segmenter)


def test_compressed_images_are_found_by_themselves(listener, domain_id, hero_weights):
    listener.listen(Image, "segmentation/label_mask")
    import cv2

    jpeg = cv2.imencode(".jpg", frame(0)[0])[1].tobytes()
    images = listener.node.create_publisher(CompressedImage, "front/image/compressed", 1)
    given = parameter_arguments({"weights": hero_weights})
    segmenter = start_node("segmenter", domain_id, *given, "-r", "image_raw:=front/image")
    message = CompressedImage(format="jpeg", data=jpeg)
    masks = listener.received["segmentation/label_mask"]
    assert wait_until(lambda: bool(masks), lambda: listener.send(images, message))
    mask = listener.received["segmentation/label_mask"][0]
    assert (mask.width, mask.height) == (160, 120)
    interrupt(segmenter)


def test_the_player_skips_a_damaged_frame_counts_it_and_ends(listener, domain_id, tmp_path):
    frames = write_frames(tmp_path / "run", 6)
    damaged = frames / "images" / "1_run1cam1_00003.jpeg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    listener.listen(Image, "image_raw", "ground_truth/label_mask")
    listener.listen(CameraInfo, "camera_info")
    given = {"source": frames, "rate_hz": 20.0, "horizontal_fov_deg": 90.0}
    player = start_node("player", domain_id, *parameter_arguments(given))
    assert listener.wait(lambda: player.poll() is not None)
    listener.wait(lambda: len(listener.received["image_raw"]) == 5, timeout_s=2)
    output = finish(player)
    assert player.returncode == 0
    assert "1_run1cam1_00003.jpeg: truncated" in output
    assert "played 5 frames, skipped 1" in output
    images, infos = listener.received["image_raw"], listener.received["camera_info"]
    assert len(images) == 5
    assert [m.header for m in images] == [m.header for m in infos]
    assert [m.header for m in images] == [m.header for m in listener.received["ground_truth/label_mask"]]
    assert infos[0].k[0] == pytest.approx(80.0)  # 160 pixels over 90 degrees
    np.testing.assert_array_equal(image_to_rgb(listener.received["ground_truth/label_mask"][0])[..., 0], frame(0)[1])


def test_the_player_takes_the_cameras_calibration_and_refuses_one_of_another_size(listener, domain_id, tmp_path):
    frames = write_frames(tmp_path / "run", 3)
    calibration = tmp_path / "camera.yaml"
    content = write_calibration(calibration, CAMERA).read_text()
    listener.listen(CameraInfo, "camera_info")
    listener.listen(Image, "image_raw")  # the player waits for it
    given = parameter_arguments({"source": frames, "rate_hz": 20.0, "calibration": calibration})
    player = start_node("player", domain_id, *given)
    assert listener.wait(lambda: len(listener.received["camera_info"]) == 3 and player.poll() is not None)
    assert [intrinsics(message) for message in listener.received["camera_info"]] == [CAMERA] * 3
    calibration.write_text(content.replace("image_width: 160", "image_width: 320"))
    player = start_node("player", domain_id, *given)
    assert listener.wait(lambda: player.poll() is not None)
    assert "camera.yaml: the calibration is of images of 320x120, the frames are of 160x120" in finish(player)
    assert player.returncode == 1


def weights_files(folder: Path) -> dict[str, Path]:
    """Weights that must be refused, by what is wrong with them."""
    good = write_weights(folder / "good.safetensors")
    data = good.read_bytes()
    (folder / "truncated.safetensors").write_bytes(data[: len(data) // 2])
    (folder / "text.safetensors").write_text("hello")
    renamed = data.replace(b'\\"network\\": \\"hero_net\\"', b'\\"network\\": \\"fcn_001\\" ')
    assert renamed != data
    (folder / "other.safetensors").write_bytes(renamed)
    return {name: folder / f"{name}.safetensors" for name in ("missing", "truncated", "text", "other")}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("segmenter", {"weights": "missing"}, "missing.safetensors: there is no such weights file"),
        ("segmenter", {"weights": "truncated"}, "truncated.safetensors: not a safetensors file, or a truncated one"),
        ("segmenter", {"weights": "text"}, "text.safetensors: not a safetensors file"),
        ("segmenter", {"weights": "other"}, "other.safetensors"),
        ("segmenter", {"precission": "fp32"}, "unknown parameter precission; did you mean precision?"),
        ("segmenter", {"hero.height_m": 9.0}, "9.0 is not allowed; it must be 0.3 to 2.5 m"),
        ("player", {"source": "/nowhere"}, "/nowhere: there is no such folder, zip, video or bag"),
        ("player", {"rate_hz": -1.0}, "rate_hz: -1.0 is not allowed; it must be 0 to 1000 Hz"),
    ],
)
def test_a_mistake_at_start_is_one_line_and_exit_code_1(domain_id, tmp_path, name, given, expected):
    files = weights_files(tmp_path)
    given = {key: files.get(value, value) if key == "weights" else value for key, value in given.items()}
    node = start_node(name, domain_id, *parameter_arguments(given))
    output = finish(node)
    assert node.returncode == 1
    assert expected in output
    assert len(output.strip().splitlines()) == 1


def test_a_newer_frame_replaces_the_waiting_one():
    latest = LatestFrame()
    for number in (1, 2, 3):
        latest.put(number)
    assert latest.take() == 3
    assert latest.dropped == 2
    latest.put(4)
    latest.close()
    assert latest.take() is None


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_memory_does_not_grow(domain_id, tmp_path, hero_weights):
    """Three minutes at 30 Hz, about 5,000 frames: a leak of one mask a frame alone would be 90 MB."""
    frames = write_frames(tmp_path / "run", 20)
    segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": hero_weights}))
    follower = start_node("follower", domain_id, "-p", "start_enabled:=true")
    given = {"source": frames, "rate_hz": 30.0, "loop": True}
    player = start_node("player", domain_id, *parameter_arguments(given))
    nodes = (segmenter, follower, player)
    time.sleep(40)
    before = [psutil.Process(node.pid).memory_info().rss for node in nodes]
    time.sleep(180)
    growth_mb = [(psutil.Process(n.pid).memory_info().rss - b) / 1e6 for n, b in zip(nodes, before, strict=True)]
    for node in nodes:
        interrupt(node)
    assert all(growth < 10 for growth in growth_mb), growth_mb
