"""hero/detections and segmentation/label_info against vision_msgs where it is installed, and its definitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from people import BLACK, BLUE, HEIGHT_PX, RED, WHITE, WIDTH_PX, scene
from std_msgs.msg import Header

from fcn_follow.nodes.support import detections
from fcn_follow.perception.blobs import Blob, Box
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.selection import Selection


@dataclass(slots=True)
class Point2D:
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Pose2D:
    position: Point2D = field(default_factory=Point2D)
    theta: float = 0.0


@dataclass(slots=True)
class BoundingBox2D:
    center: Pose2D = field(default_factory=Pose2D)
    size_x: float = 0.0
    size_y: float = 0.0


@dataclass(slots=True)
class ObjectHypothesis:
    class_id: str = ""
    score: float = 0.0


@dataclass(slots=True)
class ObjectHypothesisWithPose:
    hypothesis: ObjectHypothesis = field(default_factory=ObjectHypothesis)
    pose: Any = None


@dataclass(slots=True)
class Detection2D:
    header: Header = field(default_factory=Header)
    results: list[ObjectHypothesisWithPose] = field(default_factory=list)
    bbox: BoundingBox2D = field(default_factory=BoundingBox2D)
    id: str = ""


@dataclass(slots=True)
class Detection2DArray:
    header: Header = field(default_factory=Header)
    detections: list[Detection2D] = field(default_factory=list)


@dataclass(slots=True)
class VisionClass:
    class_id: int = 0
    class_name: str = ""


@dataclass(slots=True)
class LabelInfo:
    header: Header = field(default_factory=Header)
    class_map: list[VisionClass] = field(default_factory=list)
    threshold: float = 0.0


STAND_IN = SimpleNamespace(
    Detection2D=Detection2D,
    Detection2DArray=Detection2DArray,
    LabelInfo=LabelInfo,
    ObjectHypothesisWithPose=ObjectHypothesisWithPose,
    VisionClass=VisionClass,
)


class FakeNode:
    """Takes the place of a node: vision_msgs' messages cannot be sent where it is not installed."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Any]] = {}

    def create_publisher(self, _message_type: type, topic: str, _qos: object) -> SimpleNamespace:
        self.sent[topic] = []
        return SimpleNamespace(publish=self.sent[topic].append)

    def get_clock(self) -> SimpleNamespace:
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: Header().stamp))


@pytest.mark.parametrize("installed", [True, False])
def test_the_hero_is_one_detection_with_the_images_header(monkeypatch, installed):
    if not installed:
        monkeypatch.setattr(detections, "vision_msgs", STAND_IN)
    elif detections.vision_msgs is None:
        pytest.skip("vision_msgs comes with a ROS install")
    node = FakeNode()
    publisher = detections.make_publisher(node, 0.5)
    header = Header(frame_id="camera")
    publisher.publish(header, Blob(2, (14.0, 29.5), 150, Box(10, 20, 19, 40)), 0.75)
    publisher.publish(header, None, 0.0)
    seen, unseen = node.sent["hero/detections"]
    assert seen.header == unseen.header == header
    assert len(unseen.detections) == 0
    (detection,) = seen.detections
    assert detection.header == header
    assert (detection.bbox.center.position.x, detection.bbox.center.position.y) == (14.0, 29.5)
    assert (detection.bbox.size_x, detection.bbox.size_y) == (9.0, 20.0)
    hypothesis = detection.results[0].hypothesis
    assert (detection.id, hypothesis.class_id, hypothesis.score) == ("hero", "hero", 0.75)
    (info,) = node.sent["segmentation/label_info"]
    named = [(each.class_id, each.class_name) for each in info.class_map]
    assert named == [(0, "background"), (1, "other people"), (2, "hero")]
    assert info.threshold == 0.5


def test_without_vision_msgs_nothing_is_published(monkeypatch):
    monkeypatch.setattr(detections, "vision_msgs", None)
    node = FakeNode()
    detections.make_publisher(node, 0.5).publish(Header(), None, 0.0)
    assert node.sent == {}


def test_candidates_of_whom_one_is_chosen_follow_with_their_numbers_and_likeness(monkeypatch):
    monkeypatch.setattr(detections, "vision_msgs", STAND_IN)
    node = FakeNode()
    publisher = detections.make_publisher(node, 0.5)
    selection = Selection()
    people = ((50, 100, RED, BLACK), (140, 100, BLUE, WHITE))
    choice = selection.choose(*scene(*people, size=(128, 192)), 0.0, 30)
    publisher.publish(Header(), None, 0.0, choice)
    selection.point(140, 70)
    choice = selection.choose(*scene(*people, size=(128, 192)), 0.1, 30)
    publisher.publish(Header(), find_hero(choice.labels), choice.hero_likeness, choice)
    nobody, chosen = node.sent["hero/detections"]
    assert [each.id for each in nobody.detections] == ["1", "2"]
    assert {each.results[0].hypothesis.score for each in nobody.detections} == {0.0}
    hero, other = chosen.detections
    assert (hero.id, other.id) == ("hero", "1")
    assert hero.results[0].hypothesis.score == pytest.approx(1.0)
    assert other.results[0].hypothesis.class_id == "other people"
    assert other.results[0].hypothesis.score < 0.2
    assert (other.bbox.size_x, other.bbox.size_y) == (WIDTH_PX, HEIGHT_PX)
