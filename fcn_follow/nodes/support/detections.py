"""hero/detections and segmentation/label_info, if vision_msgs is installed (it comes with a ROS install)."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.networks.weights import CLASSES
from fcn_follow.perception.blobs import Blob, Box
from fcn_follow.perception.selection import Choice

try:
    from vision_msgs import msg as vision_msgs
except ImportError:
    vision_msgs = None

HERO_ID = "hero"
"""The id of the object in all messages: there is one hero, whichever person is taken for the hero."""


class NoPublisher:
    """Replaces the publisher if vision_msgs is absent."""

    def publish(self, header: Any, hero: Blob | None, score: float, choice: Choice | None = None) -> None:
        """Do nothing."""


class DetectionPublisher:
    """Publishes the hero's box for each frame, and the names of the labels once, latched."""

    def __init__(self, node: Node, threshold: float) -> None:
        """`threshold` is the least probability of the hero in a hero's pixel."""
        self._publisher = node.create_publisher(vision_msgs.Detection2DArray, "hero/detections", 1)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._info_publisher = node.create_publisher(vision_msgs.LabelInfo, "segmentation/label_info", latched)
        info = vision_msgs.LabelInfo()
        info.header.stamp = node.get_clock().now().to_msg()
        info.class_map = [
            vision_msgs.VisionClass(class_id=number, class_name=name) for number, name in enumerate(CLASSES)
        ]
        info.threshold = threshold
        self._info_publisher.publish(info)

    def publish(self, header: Any, hero: Blob | None, score: float, choice: Choice | None = None) -> None:
        """One Detection2DArray with the image's header: one detection, or none when the hero is not seen.

        `score` is a lower bound of the mean probability of the hero's pixels. With a choice, the score is the
        likeness to the hero at whom the user pointed, and the other candidates follow with their numbers.
        """
        message = vision_msgs.Detection2DArray(header=header)
        if hero is not None:
            message.detections.append(_detection(header, hero.box, HERO_ID, HERO, score))
        for each in choice.candidates if choice else ():
            if choice and (hero is None or each.number != choice.hero):
                likeness = choice.likeness.get(each.number, 0.0)
                message.detections.append(_detection(header, each.box, str(each.number), OTHER_PEOPLE, likeness))
        self._publisher.publish(message)


def _detection(header: Any, box: Box, name: str, label: int, score: float) -> Any:
    detection = vision_msgs.Detection2D(header=header, id=name)
    detection.bbox.center.position.x = (box.left_px + box.right_px - 1) / 2
    detection.bbox.center.position.y = (box.top_px + box.bottom_px - 1) / 2
    detection.bbox.size_x = float(box.width_px)
    detection.bbox.size_y = float(box.height_px)
    hypothesis = vision_msgs.ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = CLASSES[label]
    hypothesis.hypothesis.score = score
    detection.results = [hypothesis]
    return detection


def make_publisher(node: Node, threshold: float) -> DetectionPublisher | NoPublisher:
    """A publisher of detections, or one that does nothing if vision_msgs is absent."""
    return NoPublisher() if vision_msgs is None else DetectionPublisher(node, threshold)
