"""The layouts of RViz and Foxglove: they can be read, and show topics and fields that the nodes publish."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from diagnostic_msgs.msg import KeyValue
from geometry_msgs.msg import PointStamped, PoseArray, TwistStamped
from nav_msgs.msg import Odometry
from ros_tools import ROOT
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from fcn_follow.following.explanation import COLUMNS
from fcn_follow.following.parameters import FollowerParameters
from fcn_follow.nodes.support.interlock import SIMULATED_CMD_VEL
from fcn_follow.parameters import walk_parameters

RVIZ = yaml.safe_load((ROOT / "config" / "follow.rviz").read_text())["Visualization Manager"]
FOXGLOVE = json.loads((ROOT / "config" / "foxglove_layout.json").read_text())
PUBLISHED = {
    f"/{topic.lstrip('/')}": message
    for path in (ROOT / "fcn_follow").rglob("*.py")
    for message, topic in re.findall(r'(?:create_|host\.)publisher\(\s*(\w+)[^"]*"([\w/]+)"', path.read_text())
}
"""Topic to message name, as the sources create the publishers."""
PUBLISHED[f"/{SIMULATED_CMD_VEL}"] = PUBLISHED["/cmd_vel"]
MESSAGES = {
    "/cmd_vel": TwistStamped,
    f"/{SIMULATED_CMD_VEL}": TwistStamped,
    "/odom": Odometry,
    "/hero/position": PointStamped,
    "/follow/state": KeyValue,
    "/segmentation/state": KeyValue,
}
SHOWN_BY = {
    "Image": Image, "PointStamped": PointStamped, "PoseArray": PoseArray, "Odometry": Odometry,
    "MarkerArray": MarkerArray,
}  # fmt: skip
"""Message of each display of RViz that has a topic."""


def values_of(tree: object, *keys: str) -> list[str]:
    """Every text that stands under one of these keys, at any depth."""
    if isinstance(tree, list):
        return [value for item in tree for value in values_of(item, *keys)]
    if not isinstance(tree, dict):
        return []
    here = [value for key, value in tree.items() if key in keys and isinstance(value, str)]
    return here + [value for item in tree.values() for value in values_of(item, *keys)]


def lines_of(tree: object) -> list[dict]:
    """The paths of all plots."""
    panels = tree["configById"].values()
    return [path for panel in panels for path in panel.get("paths", [])]


def leaves(layout: str | dict) -> list[str]:
    if isinstance(layout, str):
        return [layout]
    return leaves(layout["first"]) + leaves(layout["second"])


def test_rviz_shows_topics_of_the_type_that_the_nodes_publish():
    shown = {d["Topic"]["Value"]: SHOWN_BY[d["Class"].partition("/")[2]] for d in RVIZ["Displays"] if "Topic" in d}
    assert {"/segmentation/overlay", "/hero/position", "/people/positions", "/odom", "/follow/markers"} <= set(shown)
    assert {topic: message.__name__ for topic, message in shown.items()} == {topic: PUBLISHED[topic] for topic in shown}


def test_foxglove_shows_topics_that_the_nodes_publish():
    topics = values_of(FOXGLOVE, "imageTopic", "calibrationTopic", "topicPath", "topicToRender")
    topics += FOXGLOVE["configById"]["3D!above"]["topics"]
    assert {"/segmentation/overlay", "/follow/markers"} <= set(topics) <= set(PUBLISHED)


@pytest.mark.parametrize("path", values_of(FOXGLOVE, "value"))
def test_foxglove_plots_fields_that_the_messages_have(path):
    if not path.startswith("/"):  # a line at the height of a default
        defaults = {name: value for name, _, value in walk_parameters(FollowerParameters())}
        (label,) = (each["label"] for each in lines_of(FOXGLOVE) if each["value"] == path)
        assert abs(float(path)) == defaults[label.removeprefix("-")]
        return
    if found := re.fullmatch(r'/follow/debug\.status\[0\]\.values\[:\]{key=="(\w+)"}\.value', path):
        assert found[1] in COLUMNS
        return
    topic, *fields = path.split(".")
    message = MESSAGES[topic]()
    assert PUBLISHED[topic] == type(message).__name__
    for field in fields:
        message = getattr(message, field)
    assert isinstance(message, float | str)


def test_foxglove_places_every_panel_once():
    assert sorted(leaves(FOXGLOVE["layout"])) == sorted(FOXGLOVE["configById"])
