"""hero/detections and segmentation/label_info, if vision_msgs is installed (it comes with a ROS install)."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from fcn_follow.networks.weights import CLASSES
from fcn_follow.perception.blobs import Blob

try:
    from vision_msgs import msg as vision_msgs
except ImportError:
    vision_msgs = None


class NoPublisher:
    """Replaces the publisher if vision_msgs is absent."""

    def publish(self, header: Any, hero: Blob | None) -> None:
        """Do nothing."""


class DetectionPublisher:
    """Publishes the hero's box for each frame, and the names of the labels once, latched."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(vision_msgs.Detection2DArray, "hero/detections", 1)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._info_publisher = node.create_publisher(vision_msgs.LabelInfo, "segmentation/label_info", latched)
        info = vision_msgs.LabelInfo()
        info.header.stamp = node.get_clock().now().to_msg()
        info.class_map = [
            vision_msgs.VisionClass(class_id=number, class_name=name) for number, name in enumerate(CLASSES)
        ]
        self._info_publisher.publish(info)

    def publish(self, header: Any, hero: Blob | None) -> None:
        """One Detection2DArray with the image's header: one detection, or none when the hero is not seen."""
        message = vision_msgs.Detection2DArray(header=header)
        if hero is not None:
            detection = vision_msgs.Detection2D(header=header)
            box = hero.box
            detection.bbox.center.position.x = (box.left_px + box.right_px - 1) / 2
            detection.bbox.center.position.y = (box.top_px + box.bottom_px - 1) / 2
            detection.bbox.size_x = float(box.right_px - box.left_px)
            detection.bbox.size_y = float(box.bottom_px - box.top_px)
            hypothesis = vision_msgs.ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = "hero"
            hypothesis.hypothesis.score = 1.0
            detection.results = [hypothesis]
            message.detections = [detection]
        self._publisher.publish(message)


def make_publisher(node: Node) -> DetectionPublisher | NoPublisher:
    """A publisher of detections, or one that does nothing if vision_msgs is absent."""
    return NoPublisher() if vision_msgs is None else DetectionPublisher(node)
