"""The segmenter over real DDS with an engine of the test: who is where, and when that must not be flown by."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from drawn_frames import write_weights
from geometry_msgs.msg import PointStamped, PoseArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from ros_tools import wait_until
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import fill_camera_info, fill_image, image_to_rgb
from fcn_follow.inference import sharing
from fcn_follow.inference.engine import Answer, EngineSpec
from fcn_follow.nodes import segmenter
from fcn_follow.nodes.fleet import Fleet
from fcn_follow.nodes.support import detections

CAMERA = CameraIntrinsics(192, 128, 150.0, 150.0, 95.5, 63.5)  # twice the network's input of the test
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HERO, OTHER, NOBODY = (255, 0, 0), (0, 0, 255), (0, 255, 0)


class EngineByColour:
    """Red pixels are the hero's, blue ones other people's; it raises, hangs or is slow when the test wants it to."""

    spec, device_name = EngineSpec(), "test"

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answer_s = 0.0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def run(self, images: np.ndarray) -> Answer:
        self.may_answer.wait()
        time.sleep(self.answer_s)
        if self.error:
            raise self.error
        codes = np.where(images[..., 0] > 128, 6, (images[..., 2] > 128).astype(np.uint8)).astype(np.uint8)
        return Answer(codes)


def picture(*people: tuple[tuple[int, int, int], int, int, int, int]) -> np.ndarray:
    """An RGB image of CAMERA with boxes: colour, left, top, width, height."""
    image = np.full((CAMERA.height_px, CAMERA.width_px, 3), NOBODY, np.uint8)
    for colour, left, top, width, height in people:
        image[top : top + height, left : left + width] = colour
    return image


FOLLOWED = (HERO, 80, 20, 20, 80)
PICTURE = picture(FOLLOWED, (OTHER, 140, 40, 16, 40), (HERO, 20, 40, 12, 50))


class World:
    """The segmenter, a camera and all that the segmenter says, by topic."""

    def __init__(self, engine: EngineByColour) -> None:
        self.engine = engine
        self.segmenter = segmenter.SegmenterNode()
        self.node = rclpy.create_node("camera")
        self.executor = SingleThreadedExecutor()
        for node in (self.segmenter, self.node):
            self.executor.add_node(node)
        self.received: dict[str, list[Any]] = {}
        for message_type, topic, qos in (
            (KeyValue, "segmentation/state", LATCHED),
            (PoseArray, "people/positions", 10),
            (PointStamped, "hero/centroid", 10),
            (PointStamped, "hero/position", 10),
            (Image, "segmentation/label_mask", 10),
            (DiagnosticArray, "/diagnostics", 10),
        ):
            self.received[topic] = []
            self.node.create_subscription(message_type, topic, self.received[topic].append, qos)
        self.images = self.node.create_publisher(Image, "image_raw", 1)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", 1)
        self.info = fill_camera_info(CameraInfo(), CAMERA)
        self.rgb = PICTURE
        self.age_s = 0.0

    def spin(self) -> None:
        self.executor.spin_once(timeout_sec=0.02)

    def send(self) -> None:
        """One picture with a new stamp and its camera_info; then hear a little."""
        message = fill_image(Image(), self.rgb)
        message.header.frame_id = "front_camera"
        now_ns = self.node.get_clock().now().nanoseconds
        message.header.stamp = Time(nanoseconds=now_ns - round(self.age_s * 1e9)).to_msg()
        self.infos.publish(self.info)
        self.images.publish(message)
        for _ in range(5):
            self.spin()

    def until(self, condition: Callable[[], Any], step: Callable[[], None] | None = None) -> None:
        assert wait_until(lambda: bool(condition()), step or self.send, 60.0), (self.state(), self.status())

    def state(self) -> tuple[str, str]:
        states = self.received["segmentation/state"]
        return (states[-1].key, states[-1].value) if states else ("", "")

    def status(self) -> dict[str, str]:
        """The newest diagnostics: message, level and values."""
        if not self.received["/diagnostics"]:
            return {"level": "", "message": ""}
        (status,) = self.received["/diagnostics"][-1].status
        return {**{v.key: v.value for v in status.values}, "level": str(status.level[0]), "message": status.message}

    def since(self, topic: str, stamp_ns: int) -> list[Any]:
        """What was received of images stamped then or later; what was on its way before does not count."""
        return [each for each in self.received[topic] if Time.from_msg(each.header.stamp).nanoseconds >= stamp_ns]

    def follows(self) -> None:
        """Send until all is well and the hero in a new image is published."""
        now_ns = self.node.get_clock().now().nanoseconds
        self.until(lambda: self.state() == ("ok", "") and self.since("hero/position", now_ns))

    def publishes_the_mask_alone(self) -> None:
        """Of the images that come from now on."""
        now_ns = self.node.get_clock().now().nanoseconds
        self.until(lambda: len(self.since("segmentation/label_mask", now_ns)) > 2)
        for _ in range(50):
            self.spin()
        for topic in ("hero/centroid", "hero/position", "people/positions"):
            assert self.since(topic, now_ns) == []


@pytest.fixture
def started(domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    """Start the world with these parameters of the segmenter; it is shut down afterwards."""
    worlds: list[World] = []

    def start(*ros_arguments: str, **parameters: object) -> World:
        engine = EngineByColour()
        monkeypatch.setattr(segmenter, "choose_for", lambda *_: SimpleNamespace(engine=engine, reason="test"))
        given = {"weights": write_weights(tmp_path / "any.safetensors"), **parameters}
        arguments = [part for name, value in given.items() for part in ("-p", f"{name.replace('__', '.')}:={value}")]
        rclpy.init(
            args=["--ros-args", *ros_arguments, *arguments],
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        worlds.append(World(engine))
        return worlds[-1]

    yield start
    for world in worlds:
        world.engine.error = None
        world.engine.may_answer.set()
        world.segmenter.stop()
        world.executor.shutdown()
    rclpy.try_shutdown()


def test_people_are_published_with_the_images_header_and_before_the_hero(started):
    world = started()
    sent_ns: dict[type, dict[int, int]] = {PoseArray: {}, PointStamped: {}}  # by the image's stamp

    def note(message: Any, info: dict[str, int]) -> None:
        sent_ns[type(message)][Time.from_msg(message.header.stamp).nanoseconds] = info["source_timestamp"]

    for message_type, topic in ((PoseArray, "people/positions"), (PointStamped, "hero/position")):
        world.node.create_subscription(message_type, topic, note, 10)
    world.follows()
    people_ns, hero_ns = sent_ns.values()
    world.until(lambda: len(people_ns.keys() & hero_ns.keys()) > 2)
    assert all(people_ns[stamp] < hero_ns[stamp] for stamp in people_ns.keys() & hero_ns.keys())
    position = world.received["hero/position"][-1]
    assert wait_until(
        lambda: any(people.header == position.header for people in world.received["people/positions"]), world.spin
    )
    (people,) = (people for people in world.received["people/positions"] if people.header == position.header)
    assert people.header.frame_id == "front_camera"
    # Blobs of 50 and of 40 pixels in height; the boxes of the masks, of half the size, may be a pixel off.
    near, far = people.poses
    assert (near.position.z, far.position.z) == pytest.approx((1.7 * 150 / 50, 1.7 * 150 / 40), rel=0.06)
    assert near.position.x < 0.0 < far.position.x
    assert near.orientation.w == far.orientation.w == 1.0
    assert position.point.z == pytest.approx(1.7 * 150 / 80, rel=0.06)

    world.rgb = picture(FOLLOWED)
    world.until(lambda: world.received["people/positions"] and world.received["people/positions"][-1].poses == [])


@pytest.mark.skipif(detections.vision_msgs is None, reason="vision_msgs comes with a ROS install, or is built")
def test_vision_msgs_carry_the_hero_of_each_frame_and_the_labels_to_whoever_comes_late(started):
    from vision_msgs.msg import Detection2DArray, LabelInfo

    world = started()
    arrays: list[Any] = []
    world.node.create_subscription(Detection2DArray, "hero/detections", arrays.append, 10)
    world.until(lambda: arrays and len(arrays[-1].detections) == 1)
    (seen,) = arrays[-1].detections
    assert seen.header == arrays[-1].header and seen.header.frame_id == "front_camera"
    assert (seen.id, seen.results[0].hypothesis.class_id) == ("hero", "hero")
    assert seen.results[0].hypothesis.score == 0.999999  # every pixel is sure by the test's card
    assert (seen.bbox.size_x, seen.bbox.size_y) == pytest.approx((20, 80), abs=2)
    assert (seen.bbox.center.position.x, seen.bbox.center.position.y) == pytest.approx((89.5, 59.5), abs=1)

    world.rgb = picture()
    world.until(lambda: len(arrays[-1].detections) == 0)
    assert arrays[-1].header.frame_id == "front_camera"
    infos: list[Any] = []
    world.node.create_subscription(LabelInfo, "segmentation/label_info", infos.append, LATCHED)
    world.until(lambda: infos, world.spin)
    assert [each.class_name for each in infos[0].class_map] == ["background", "other people", "hero"]
    assert infos[0].threshold == pytest.approx(0.999999)


def test_a_hero_whom_temporal_agreement_withholds_is_one_of_the_people(started):
    world = started(agreement__frames=10, agreement__seen=10)
    world.rgb = picture(FOLLOWED)
    world.until(lambda: world.received["people/positions"])
    world.until(lambda: world.received["hero/centroid"], world.spin)
    (pose,) = world.received["people/positions"][0].poses
    assert math.isnan(world.received["hero/centroid"][0].point.x)
    assert pose.position.z == pytest.approx(1.7 * 150 / 80, rel=0.06)
    world.until(lambda: world.received["hero/position"])  # agreed upon
    world.until(lambda: world.received["people/positions"][-1].poses == [])


def test_without_camera_info_nobody_is_anywhere(started):
    world = started()
    world.info = CameraInfo()
    world.infos = SimpleNamespace(publish=lambda _: None)
    world.until(lambda: len(world.received["hero/centroid"]) > 2)
    assert world.received["people/positions"] == world.received["hero/position"] == []
    assert world.state() == ("ok", "")


@pytest.mark.parametrize("topic", ["image_raw", "camera_info"])
def test_a_second_source_withholds_the_hero_until_it_is_gone(started, topic):
    world = started()
    world.follows()
    second = world.node.create_publisher(Image if topic == "image_raw" else CameraInfo, topic, 1)
    world.until(lambda: world.state() == ("fault", f"2 publishers on /{topic}; stop all but one"))
    world.publishes_the_mask_alone()
    world.until(lambda: world.status()["message"] == f"2 publishers on /{topic}; stop all but one")
    assert world.status()["level"] == str(DiagnosticStatus.ERROR[0])
    world.node.destroy_publisher(second)
    world.follows()


def test_a_source_of_another_type_is_a_fault(started, domain_id):
    world = started()
    world.node.destroy_publisher(world.infos)
    world.infos = SimpleNamespace(publish=lambda _: None)
    elsewhere = rclpy.Context()  # one participant cannot publish a topic with two types
    rclpy.init(context=elsewhere, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    other = rclpy.create_node("elsewhere", context=elsewhere)
    other.create_publisher(String, "camera_info", 1)
    expected = "topic /camera_info is published as std_msgs/msg/String; it must be sensor_msgs/msg/CameraInfo"
    world.until(lambda: world.state() == ("fault", expected))
    world.publishes_the_mask_alone()
    rclpy.shutdown(context=elsewhere)


@pytest.mark.parametrize(
    ("changed", "frame_id", "expected"),
    [
        ((192, 128, 1e-300, 150.0, 95.5, 63.5), "", "camera_info has fx = 1e-300"),
        ((192, 128, 600.0, 150.0, 95.5, 63.5), "", "camera_info has fx = 600, fy = 150"),
        ((192, 128, 600.0, 600.0, 95.5, 63.5), "", "camera_info changed from fx 150 to 600; restart the segmenter"),
        ((192, 128, 150.0, 150.0, 0.0, 63.5), "", "camera_info changed from cx 95.5 to 0; restart the segmenter"),
        ((192, 128, 150.0, 150.0, 95.5, 63.5), "rear", "camera_info changed from frame '' to 'rear'"),
        ((96, 64, 75.0, 75.0, 47.5, 31.5), "", "camera_info is for 96x64, but the image has 192x128"),
    ],
)
def test_a_camera_info_that_cannot_be_withholds_the_hero_until_it_is_right(started, changed, frame_id, expected):
    world = started()
    world.follows()
    good = world.info
    world.info = fill_camera_info(CameraInfo(header=Header(frame_id=frame_id)), CameraIntrinsics(*changed))
    world.until(lambda: world.state()[0] == "fault" and world.state()[1].startswith(expected))
    world.publishes_the_mask_alone()
    world.info = good
    world.follows()


def test_pictures_of_a_rectified_topic_are_those_of_the_projection_matrix(started):
    world = started("--remap", "image_raw:=/front/image_rect")
    world.info.p[0] = world.info.p[5] = 75.0  # K has 150
    world.follows()
    assert world.received["hero/position"][-1].point.z == pytest.approx(1.7 * 75 / 80, rel=0.06)


def test_camera_info_in_another_frame_than_the_pictures_is_used(started):
    """As AirSim and versions of Gazebo publish it."""
    world = started()
    world.info.header.frame_id = "camera_optical"
    world.follows()


def test_a_network_that_raises_is_counted_and_reported_while_it_lasts(started):
    world = started()
    world.follows()
    world.engine.error = RuntimeError("CUDA error: an illegal memory access was encountered")
    expected = "a frame could not be segmented: RuntimeError: CUDA error: an illegal memory access was encountered"
    world.until(lambda: world.state() == ("fault", expected))
    world.until(lambda: world.status()["message"] == expected)
    assert world.status()["level"] == str(DiagnosticStatus.ERROR[0])
    assert int(world.status()["failures"]) > 0
    world.engine.error = None
    world.follows()
    world.until(lambda: world.status()["message"] != expected)


def test_a_network_that_hangs_is_reported_and_nothing_is_published(started):
    world = started()
    world.follows()
    world.engine.may_answer.clear()
    world.until(lambda: world.state() == ("fault", "the network hangs: it has worked on one frame for more than 2 s"))
    world.until(lambda: world.status()["message"].startswith("the network hangs"))
    assert world.status()["level"] == str(DiagnosticStatus.ERROR[0])
    world.engine.may_answer.set()
    world.follows()


def test_a_slow_network_drops_old_frames_and_is_no_fault(started):
    world = started()
    world.follows()
    world.engine.answer_s = 0.5
    begun_ns = world.node.get_clock().now().nanoseconds
    masks = world.received["segmentation/label_mask"]
    world.until(lambda: len(world.since("segmentation/label_mask", begun_ns)) >= 3)
    world.until(lambda: int(world.status()["dropped"]) > 3 and float(world.status()["perception_median_ms"]) > 400)
    stamps = [Time.from_msg(mask.header.stamp).nanoseconds for mask in masks]
    assert stamps == sorted(stamps)
    assert {state.key for state in world.received["segmentation/state"]} == {"ok"}
    world.engine.answer_s = 0.0
    world.follows()


def test_a_camera_that_changes_its_resolution_in_flight_ranges_by_the_new_one(started):
    world = started()
    world.follows()
    world.rgb = PICTURE[::2, ::2]
    world.info = fill_camera_info(CameraInfo(), CameraIntrinsics(96, 64, 75.0, 75.0, 47.5, 31.5))
    masks = world.received["segmentation/label_mask"]  # empty until the mask behind the hero has come
    world.until(lambda: world.state()[0] == "fault" or any(mask.width == 96 for mask in masks))
    world.follows()
    begun_ns = world.node.get_clock().now().nanoseconds
    world.until(lambda: world.since("hero/position", begun_ns))
    position = world.since("hero/position", begun_ns)[-1].point
    assert position.z == pytest.approx(1.7 * 150 / 80, rel=0.08)


SHARED = """
/**:
  ros__parameters:
    hero: {height_m: 0.85}
    camera: {x_m: 0.1}
/**/segmenter:
  ros__parameters:
    frozen_s: 5.0
"""


@pytest.mark.parametrize("namespace", ["", "/fleet/drone1"])
def test_a_segmenter_in_a_namespace_reads_what_the_nodes_share(started, tmp_path, namespace):
    (tmp_path / "mine.yaml").write_text(SHARED)
    world = started("-r", f"__ns:={namespace or '/'}", "--params-file", str(tmp_path / "mine.yaml"))
    world.follows()
    assert world.images.topic_name == f"{namespace}/image_raw"
    assert world.received["hero/position"][-1].point.z == pytest.approx(0.85 * 150 / 80, rel=0.06)
    world.until(lambda: world.status()["message"] == "segmenting")
    world.node.create_publisher(Image, "image_raw", 1)
    world.until(lambda: world.state() == ("fault", f"2 publishers on {namespace}/image_raw; stop all but one"))


def test_frames_that_cannot_be_decoded_are_an_error_and_silence_is_stale(started):
    world = started(stale_after_s=1.0)
    world.follows()
    good = world.images

    def send_undecodable(message: Image) -> None:
        message.encoding = "rgb9"
        good.publish(message)

    world.images = SimpleNamespace(publish=send_undecodable)
    world.until(lambda: world.state()[1].startswith("frames cannot be decoded: image encoding 'rgb9' is not known"))
    world.until(lambda: world.status()["message"].startswith("frames cannot be decoded: image encoding"))
    assert world.status()["level"] == str(DiagnosticStatus.ERROR[0])
    assert int(world.status()["bad_messages"]) > 0
    world.until(lambda: world.status()["level"] == str(DiagnosticStatus.STALE[0]), world.spin)
    assert world.status()["message"].startswith("no frames on /image_raw for")
    world.images = good
    world.follows()


def change_state(world: World, transition: int) -> bool:
    """As a lifecycle manager does it, by the service."""
    client = world.node.create_client(ChangeState, "segmenter/change_state")
    assert wait_until(client.service_is_ready, world.spin)
    request = ChangeState.Request()
    request.transition.id = transition
    future = client.call_async(request)
    assert wait_until(future.done, world.spin, 30.0)
    return future.result().success


def test_a_lifecycle_manager_configures_activates_deactivates_and_cleans_up(started):
    world = started(autostart="false")
    words = "the segmenter is {}; a lifecycle manager has to activate it"
    world.until(lambda: world.state() == ("fault", words.format("unconfigured")))
    assert world.node.count_publishers("segmentation/label_mask") == 0
    assert not change_state(world, Transition.TRANSITION_ACTIVATE), "it is not configured"
    assert change_state(world, Transition.TRANSITION_CONFIGURE)
    assert not change_state(world, Transition.TRANSITION_CONFIGURE), "it is"
    world.until(lambda: world.status().get("lifecycle") == "inactive" and world.status()["engine"] == "torch")
    assert world.status()["level"] == str(DiagnosticStatus.WARN[0])
    assert world.state() == ("fault", words.format("inactive"))
    assert world.node.count_subscribers("image_raw") == 0
    assert change_state(world, Transition.TRANSITION_ACTIVATE)
    world.follows()
    world.until(lambda: world.status()["lifecycle"] == "active" and world.status()["message"] == "segmenting")

    assert change_state(world, Transition.TRANSITION_DEACTIVATE)
    now_ns = world.node.get_clock().now().nanoseconds
    world.until(lambda: world.state() == ("fault", words.format("inactive")))
    assert world.node.count_subscribers("image_raw") == 0
    assert not any(world.since(topic, now_ns) for topic in ("segmentation/label_mask", "hero/position"))
    assert change_state(world, Transition.TRANSITION_ACTIVATE)
    world.follows()

    assert change_state(world, Transition.TRANSITION_DEACTIVATE)
    assert change_state(world, Transition.TRANSITION_CLEANUP)
    world.until(lambda: "engine" not in world.status() and world.status()["lifecycle"] == "unconfigured")
    holders = [type(each) for each in gc.get_referrers(world.engine)]
    assert segmenter._TimedEngine not in holders, "the engine can be freed"
    assert world.node.count_publishers("segmentation/label_mask") == 0
    assert change_state(world, Transition.TRANSITION_CONFIGURE)
    assert change_state(world, Transition.TRANSITION_ACTIVATE)
    world.follows()
    assert change_state(world, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    world.until(lambda: world.state() == ("fault", words.format("finalized")))


def test_a_configuration_that_fails_is_refused_with_its_reason_and_may_be_tried_again(started, tmp_path, capfd):
    world = started(autostart="false", weights=tmp_path / "later.safetensors")
    assert not change_state(world, Transition.TRANSITION_CONFIGURE)
    assert "a transition was refused" in (text := capfd.readouterr().err) and "later.safetensors" in text
    write_weights(tmp_path / "later.safetensors")
    assert change_state(world, Transition.TRANSITION_CONFIGURE)
    assert change_state(world, Transition.TRANSITION_ACTIVATE)
    world.follows()


def test_a_fleet_has_one_engine_and_a_segmenter_for_each_drone(domain_id, tmp_path, monkeypatch, cleanup):
    engine = EngineByColour()
    opened: list[Any] = []
    choose = lambda *_: opened.append(1) or SimpleNamespace(engine=engine, reason="test")  # noqa: E731
    monkeypatch.setattr(sharing, "choose_for", choose)
    weights = write_weights(tmp_path / "any.safetensors")
    rclpy.init(args=["--ros-args", "-p", f"weights:={weights}"], domain_id=domain_id)
    cleanup.callback(rclpy.try_shutdown)
    for names, expected in (
        ([], "no namespace is given"),
        (["drone1", "/drone1"], "drone1 is named twice"),
        (["1bad/../x"], "namespace 1bad/../x: "),
    ):
        monkeypatch.setattr("sys.argv", ["segmenters", *names])
        with pytest.raises(UserError, match=expected):
            Fleet()
    monkeypatch.setattr("sys.argv", ["segmenters", "drone1", "drone2", "--ros-args", "-p", "frozen_s:=5.0"])
    fleet = Fleet()
    cleanup.callback(fleet.stop)
    assert [node.get_fully_qualified_name() for node in fleet.nodes] == ["/drone1/segmenter", "/drone2/segmenter"]
    assert len(opened) == 1
    camera, executor = rclpy.create_node("cameras"), SingleThreadedExecutor()
    for node in (*fleet.nodes, camera):
        executor.add_node(node)
    cleanup.callback(executor.shutdown)
    heroes: dict[str, list[PointStamped]] = {"drone1": [], "drone2": []}
    images = {}
    for drone, received in heroes.items():
        images[drone] = camera.create_publisher(Image, f"{drone}/image_raw", 1)
        camera.create_subscription(PointStamped, f"{drone}/hero/centroid", received.append, 10)

    def send() -> None:
        for drone, people in (("drone1", [FOLLOWED]), ("drone2", [(HERO, 20, 40, 12, 50)])):
            message = fill_image(Image(), picture(*people))
            message.header.stamp = camera.get_clock().now().to_msg()
            images[drone].publish(message)
        for _ in range(10):
            executor.spin_once(timeout_sec=0.02)

    assert wait_until(lambda: all(len(received) > 2 for received in heroes.values()), send, 30.0)
    assert {received[-1].point.x for received in heroes.values()} == {89.5, 25.5}


def test_a_picture_that_does_not_change_is_reported_and_followed_all_the_same(started):
    world = started(frozen_s=0.5)
    expected = "the picture has not changed for"
    world.until(lambda: world.status()["message"].startswith(expected))
    assert world.status()["message"].endswith(" s although new stamps come")
    assert world.status()["level"] == str(DiagnosticStatus.WARN[0])
    assert float(world.status()["unchanged_s"]) > 0.5
    world.follows()
    level = iter(range(10**9))

    def send_another() -> None:
        world.rgb = PICTURE ^ np.uint8(next(level) % 2)
        world.send()

    world.until(lambda: world.status()["message"] == "segmenting", send_another)
    assert world.status()["level"] == str(DiagnosticStatus.OK[0])


def test_stamps_that_are_not_of_now_are_reported(started):
    world = started(frozen_s=60.0)
    world.age_s = 5.0
    world.until(lambda: world.status()["message"].startswith("stamps: images come 5"))
    assert world.status()["level"] == str(DiagnosticStatus.WARN[0])
    assert int(world.status()["stamps_old"]) > 0
    world.age_s = -30.0
    world.until(lambda: world.status()["message"].endswith(" s before their stamp"))
    world.age_s = 0.0
    world.until(lambda: int(world.status().get("stamps_backwards", 0)) > 0)
    world.until(lambda: world.status()["message"] == "segmenting")


@pytest.mark.parametrize("size_px", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_images_of_any_shape_are_segmented(started, size_px):
    world = started()
    world.rgb = np.full((*size_px, 3), HERO, np.uint8)
    world.until(lambda: world.received["segmentation/label_mask"])
    assert (image_to_rgb(world.received["segmentation/label_mask"][-1])[..., 0] == 2).all()


def test_labels_of_another_shape_are_a_failure_and_the_node_lives_on(started, monkeypatch):
    world = started()
    world.follows()
    answer = world.engine.run
    monkeypatch.setattr(world.engine, "run", lambda images: Answer(answer(images).classes[:, :0]))
    world.until(lambda: world.state()[1].startswith("a frame could not be segmented"))
    monkeypatch.setattr(world.engine, "run", answer)
    world.follows()


def test_stamps_that_rclpy_refuses_are_no_failure(started):
    world = started()
    good = world.images

    def send_before_1970(message: Image) -> None:
        message.header.stamp.sec = -5
        good.publish(message)

    world.images = SimpleNamespace(publish=send_before_1970)
    world.until(lambda: int(world.status().get("stamps_old", 0)) > 0 and world.received["segmentation/label_mask"])
    assert world.status()["failures"] == "0"
