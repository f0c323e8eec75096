"""Which topics of a bag are the camera, the truth, and what was published in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcn_follow.errors import UserError
from fcn_follow.lab.recordings.reading import Bag
from fcn_follow.lab.recordings.storage import Topic

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, POINT = "sensor_msgs/msg/CameraInfo", "geometry_msgs/msg/PointStamped"
IMAGE_TYPES = (IMAGE, COMPRESSED)
NOT_CAMERAS = ("label_mask", "labels_map", "colored_map", "overlay", "depth")
PUBLISHED_MASK, PUBLISHED_CENTROID = "segmentation/label_mask", "hero/centroid"


@dataclass(frozen=True)
class BagTopics:
    """The topics that matter; empty if the bag has none."""

    image: str
    truth: str = ""
    mask: str = ""
    centroid: str = ""
    camera_info: str = ""


def choose_topics(bag: Bag, image: str = "", truth: str = "", *, with_truth: bool = True) -> BagTopics:
    """Find the topics; `image` and `truth` are the user's choice, empty to search for them.

    Without `with_truth` no truth is searched for.

    Raises UserError, listing the topics, if a chosen one is missing, or if none or several can be the camera.
    """
    camera = _chosen(bag, image, IMAGE_TYPES, "image") if image else _camera(bag)
    namespace = camera.removesuffix("/compressed").rpartition("/")[0]
    names = {topic.name for topic in bag.topics if topic.type == CAMERA_INFO}
    camera_info = f"{namespace}/camera_info"
    return BagTopics(
        image=camera,
        truth=(_chosen(bag, truth, (IMAGE,), "truth") if truth else _truth(bag)) if with_truth else "",
        mask=_first(bag, IMAGE, PUBLISHED_MASK),
        centroid=_first(bag, POINT, PUBLISHED_CENTROID),
        camera_info=camera_info if camera_info in names else "",
    )


def _chosen(bag: Bag, name: str, types: Sequence[str], what: str) -> str:
    there = sorted(topic.name for topic in bag.topics if topic.type in types)
    if name not in there:
        raise UserError(f"{bag.path}: has no {what} topic {name}; it has {', '.join(there) or 'no images at all'}")
    return name


def _camera(bag: Bag) -> str:
    """The only image topic, else the only one called image_raw, raw before compressed."""
    images = sorted({t.name for t in bag.topics if t.type in IMAGE_TYPES and not t.name.endswith(NOT_CAMERAS)})
    if not images:
        raise UserError(f"{bag.path}: the bag has no image topic; it has {_listed(bag.topics)}")
    for ending in ("", "image_raw", "image_raw/compressed"):
        matching = [name for name in images if name.endswith(ending)]
        if len(matching) == 1:
            return matching[0]
    raise UserError(f"{bag.path}: the bag has several cameras; choose the image topic: {', '.join(images)}")


def _truth(bag: Bag) -> str:
    """The topic called ground_truth/label_mask, else the only label map; empty if there is none."""
    masks = [t.name for t in bag.topics if t.type == IMAGE and t.name.endswith(("label_mask", "labels_map"))]
    masks = [name for name in masks if not name.endswith(PUBLISHED_MASK)]
    for ending in ("ground_truth/label_mask", ""):
        matching = [name for name in masks if name.endswith(ending)]
        if len(matching) == 1:
            return matching[0]
    if masks:
        raise UserError(f"{bag.path}: the bag has several truths; choose the truth topic: {', '.join(masks)}")
    return ""


def _first(bag: Bag, kind: str, ending: str) -> str:
    return next((topic.name for topic in bag.topics if topic.type == kind and topic.name.endswith(ending)), "")


def _listed(topics: Sequence[Topic]) -> str:
    return ", ".join(f"{topic.name} ({topic.type})" for topic in topics) or "no topics"
