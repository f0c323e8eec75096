"""The user points at the hero over real DDS: topic, service, file, refusals, and a question that the follower obeys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from drawn_frames import write_weights
from geometry_msgs.msg import PointStamped, PoseArray, TwistStamped
from people import BLACK, BLUE, RED, WHITE, Person, scene
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from ros_tools import wait_until
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import fill_camera_info, fill_image, image_to_rgb
from fcn_follow.inference.engine import Answer, EngineSpec
from fcn_follow.nodes import follower, segmenter
from fcn_follow.perception.selection import NOBODY_CHOSEN, Selection

CAMERA = CameraIntrinsics(192, 128, 150.0, 150.0, 95.5, 63.5)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LEFT: Person = (50, 100, RED, BLACK)
RIGHT: Person = (140, 100, BLUE, WHITE)


class EngineByGrass:
    """Whatever is not grass is a person."""

    spec, device_name = EngineSpec(), "test"

    def run(self, images: np.ndarray) -> Answer:
        away = np.abs(images.astype(int) - (60, 110, 50)).max(axis=-1)
        return Answer((away > 30).astype(np.uint8))


class World:
    """The segmenter and the follower, a camera that shows `people`, and all that they say."""

    def __init__(self) -> None:
        self.segmenter, self.follower = segmenter.SegmenterNode(), follower.FollowerNode()
        self.node = rclpy.create_node("camera")
        self.executor = SingleThreadedExecutor()
        for node in (self.segmenter, self.follower, self.node):
            self.executor.add_node(node)
        self.received: dict[str, list[Any]] = {}
        for message_type, topic, qos in (
            (KeyValue, "segmentation/state", LATCHED),
            (KeyValue, "follow/state", LATCHED),
            (PoseArray, "hero/candidates", 10),
            (PoseArray, "people/positions", 10),
            (PointStamped, "hero/centroid", 10),
            (Image, "segmentation/label_mask", 10),
            (DiagnosticArray, "/diagnostics", 10),
            (TwistStamped, "cmd_vel", 10),
        ):
            self.received[topic] = [message_type()]
            self.node.create_subscription(message_type, topic, self.received[topic].append, qos)
        self.images = self.node.create_publisher(Image, "image_raw", 1)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", 1)
        self.points = self.node.create_publisher(PointStamped, "hero/point", 1)
        self.nearest = self.node.create_client(Trigger, "segmenter/select_nearest")
        self.people: tuple[Person, ...] = (LEFT, RIGHT)
        self.frames = 0

    def send(self) -> None:
        """A frame with a new stamp; then hear a little."""
        self.frames += 1
        message = fill_image(Image(), scene(*self.people, size=(128, 192), seed=self.frames)[0])
        message.header.frame_id, message.header.stamp = "front_camera", self.node.get_clock().now().to_msg()
        self.infos.publish(fill_camera_info(CameraInfo(), CAMERA))
        self.images.publish(message)
        for _ in range(5):
            self.executor.spin_once(timeout_sec=0.01)

    def until(self, condition: Callable[[], Any]) -> None:
        assert wait_until(lambda: bool(condition()), self.send, 60.0), (self.state, self.last("follow/state"))

    def last(self, topic: str) -> Any:
        """The newest message; an empty one before the first."""
        return self.received[topic][-1]

    @property
    def state(self) -> tuple[str, str]:
        state = self.last("segmentation/state")
        return state.key, state.value

    def point(self, x: float, y: float, frame: str = "front_camera") -> None:
        message = PointStamped()
        message.header.frame_id, message.point.x, message.point.y = frame, float(x), float(y)
        self.points.publish(message)

    def asked(self) -> Trigger.Response:
        future = self.nearest.call_async(Trigger.Request())
        self.until(future.done)
        return future.result()

    def follows(self, x_px: float) -> None:
        """Send until the hero is there."""
        self.until(lambda: self.state == ("ok", "") and abs(self.last("hero/centroid").point.x - x_px) < 3)


@pytest.fixture
def started(domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    """Start the world with an appearance file, or without; it is shut down afterwards."""
    worlds: list[World] = []

    def start(appearance_file: Path | str = "", weights: str | None = None) -> World:
        monkeypatch.setattr(segmenter, "choose_for", lambda *_: SimpleNamespace(engine=EngineByGrass(), reason="test"))
        parameters = tmp_path / "mine.yaml"
        weights = str(write_weights(tmp_path / "any.safetensors")) if weights is None else weights
        values = {"weights": weights, "hero": {"selection": "pointed", "appearance_file": str(appearance_file)}}
        sections = {"/**/segmenter": values, "/**/follower": {"start_enabled": True}}
        parameters.write_text(json.dumps({name: {"ros__parameters": of} for name, of in sections.items()}))
        rclpy.init(
            args=["--ros-args", "--params-file", str(parameters)],
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        worlds.append(World())
        return worlds[-1]

    yield start
    for world in worlds:
        world.segmenter.stop()
        world.executor.shutdown()
    rclpy.try_shutdown()


def test_a_pointed_hero_is_looked_for_by_the_weights_for_real_people(started):
    world = started(weights="")

    def reported() -> dict[str, str]:
        return {pair.key: pair.value for status in world.last("/diagnostics").status for pair in status.values}

    world.until(lambda: reported().get("weights") == "people_net.safetensors")


def test_the_follower_holds_and_says_why_until_the_user_points_at_somebody(started, tmp_path):
    path = tmp_path / "heroes" / "mine.json"
    world = started(path)
    world.until(lambda: world.state == ("choosing", NOBODY_CHOSEN) and world.last("hero/candidates").poses)
    held = f"segmenter asks: {NOBODY_CHOSEN}"
    world.until(lambda: (world.last("follow/state").key, world.last("follow/state").value) == ("holding", held))
    assert world.last("hero/centroid").point.z == 0.0
    world.until(lambda: len(world.last("people/positions").poses) == 2)  # these wait for the camera's parameters
    places = [(pose.position.x, pose.position.y, pose.position.z) for pose in world.last("hero/candidates").poses]
    assert places == [pytest.approx((49, 70, 1), abs=2), pytest.approx((139, 70, 2), abs=2)]

    world.point(140, 80)
    world.follows(139)
    world.until(lambda: world.last("follow/state").key == "tracking")
    world.until(lambda: len(world.last("people/positions").poses) == 1)
    mask = image_to_rgb(world.last("segmentation/label_mask"))[..., 0]
    assert set(np.unique(mask[:, :96])) == {0, 1} and set(np.unique(mask[:, 96:])) == {0, 2}
    world.until(path.is_file)

    world.point(50, 70, frame="")  # anew, at the other one
    world.follows(49)
    written = path.read_text()
    world.until(lambda: path.read_text() != written)


def test_a_known_hero_needs_no_pointing(started, tmp_path):
    selection = Selection()
    selection.point(50, 70)
    choices = [selection.choose(*scene(LEFT, size=(128, 192), seed=i), 0.1 * i, 30) for i in range(15)]
    (learnt,) = (choice.learnt for choice in choices if choice.learnt)
    path = tmp_path / "mine.json"
    path.write_text(learnt.to_json())
    world = started(path)
    world.people = (RIGHT, (170, 110, *LEFT[2:]))
    world.follows(169)
    assert path.read_text() == learnt.to_json()


def test_the_one_nearest_to_the_middle_is_chosen_by_a_service(started):
    world = started()
    refused = world.asked()
    assert not refused.success or refused.message.startswith("the hero will be 2 at ")
    world.until(lambda: world.last("hero/candidates").poses)
    world.people = ()
    world.until(lambda: not world.last("hero/candidates").poses)
    answer = world.asked()
    assert (answer.success, answer.message) == (False, "refused: nobody is in the picture")
    world.people = (LEFT, RIGHT)
    world.until(lambda: world.last("hero/candidates").poses)
    answer = world.asked()
    assert answer.success and answer.message.startswith("the hero will be ")
    world.follows(139)


def test_points_that_are_no_pixels_of_a_person_are_refused_with_the_reason(started):
    world = started()
    world.until(lambda: world.last("hero/candidates").poses)
    for x, y, frame, reason in (
        (95, 20, "front_camera", "refused: nobody is at 95, 20; the nearest: "),
        (1.5, 0.2, "map", "refused: the point is in frame 'map', and pixels are in 'front_camera'"),
        (float("nan"), 0.2, "", "refused: the point is not finite"),
    ):
        world.point(x, y, frame)
        world.until(lambda expected=reason: f"{NOBODY_CHOSEN} ({expected}" in world.state[1])
        assert world.state[0] == "choosing"
    world.until(
        lambda: any(
            value.key == "pointing" and value.value == "refused: the point is not finite"
            for status in world.last("/diagnostics").status
            for value in status.values
        )
    )


def test_a_point_chooses_nobody_in_the_pictures_of_a_faulty_source(started):
    world = started()
    world.until(lambda: world.last("hero/candidates").poses)
    second = world.node.create_publisher(Image, "image_raw", 1)
    world.until(lambda: world.state[0] == "fault")
    time.sleep(0.5)  # the last picture is worked on
    world.segmenter._pointing.selection.point(50, 70)
    masks = world.received["segmentation/label_mask"]
    before = len(masks)
    world.until(lambda: len(masks) > before + 2)  # pictures that came with the fault and after the point
    world.node.destroy_publisher(second)
    refused = "refused: the pictures were interrupted after the point at 50, 70; point again"
    world.until(lambda: world.state == ("choosing", f"{NOBODY_CHOSEN} ({refused})"))


def test_a_point_before_an_outage_chooses_nobody_after_it(started):
    world = started()
    world.until(lambda: world.last("hero/candidates").poses)
    time.sleep(0.3)  # the last picture is worked on
    world.segmenter._pointing.selection.point(50, 70)
    time.sleep(1.5)
    world.people = (RIGHT, (LEFT[0], LEFT[1], *RIGHT[2:]))
    refused = "refused: the pictures were interrupted after the point at 50, 70; point again"
    world.until(lambda: world.state == ("choosing", f"{NOBODY_CHOSEN} ({refused})"))
    assert world.last("hero/centroid").point.z == 0.0


def test_twins_end_the_flight_with_a_question(started):
    world = started()
    world.until(lambda: world.last("hero/candidates").poses)
    world.point(50, 70)
    world.follows(49)
    world.until(lambda: world.last("follow/state").key == "tracking")
    world.people = (LEFT, (90, 100, *LEFT[2:]))
    for step in range(20):
        world.people = (LEFT, (90 - 2 * step, 104, *LEFT[2:]))
        world.send()
    world.until(lambda: world.state[0] == "choosing" and "point at the hero" in world.state[1])
    world.until(lambda: world.last("follow/state").key == "holding")
    assert world.last("hero/centroid").point.z == 0.0


@pytest.mark.parametrize(("text", "reason"), [("{", "it is no JSON"), (" " * 70_000, "it is larger than 65536 bytes")])
def test_a_file_that_cannot_be_used_ends_the_start(started, tmp_path, text, reason):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(UserError, match=reason):
        started(path)
