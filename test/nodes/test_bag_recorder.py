"""The bag of a flight: no topic and no full disk ends the recording of the others or the flight."""

from __future__ import annotations

import time

import pytest
import rclpy
from ros_tools import interrupt, start_node, wait_until
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

from fcn_follow.errors import UserError
from fcn_follow.lab.recordings.reading import open_bag
from fcn_follow.nodes.bag_recorder import BagRecorder
from fcn_follow.nodes.support import every_topic


@pytest.fixture
def talk(ros):
    """Publishes on /talk when called."""
    node = rclpy.create_node("talker")
    publisher = node.create_publisher(String, "/talk", 10)
    yield lambda: (publisher.publish(String(data="hello")), time.sleep(0.05))
    node.destroy_node()


def test_types_that_nobody_knows_are_passed_over_with_one_warning_each(talk, tmp_path, monkeypatch, capfd):
    strange = [("/a", ["nonsense"]), ("/b", ["os/msg/path"]), ("/c", ["std_msgs/msg/Nothing"]), ("/d", ["a/b/c/d"])]
    recorder = BagRecorder(tmp_path / "bag")
    true_names = recorder._node.get_topic_names_and_types
    monkeypatch.setattr(recorder._node, "get_topic_names_and_types", lambda: [*strange, *true_names()])
    monkeypatch.setattr(recorder._node, "count_publishers", lambda topic: 1)
    written = []
    write = recorder._writer.write
    monkeypatch.setattr(recorder._writer, "write", lambda *message: (written.append(message), write(*message)))
    assert wait_until(lambda: len(written) > 2 / 0.05, talk)  # two seconds: some looks at the topics
    recorder.close()
    assert recorder.problems == []
    warnings = [line for line in capfd.readouterr().err.splitlines() if "are not recorded" in line]
    assert [kind for _, (kind,) in strange if sum(f"'{kind}'" in line for line in warnings) == 1] == [
        kind for _, (kind,) in strange
    ]
    with open_bag(tmp_path / "bag") as bag:
        assert "/talk" in {topic.name for topic in bag.topics}


def test_types_that_rosbags_does_not_know_are_recorded_by_the_definitions_of_the_installed_packages(
    ros, tmp_path, monkeypatch
):
    """As vision_msgs and px4_msgs: here rosbags knows no type at all."""
    monkeypatch.setattr(every_topic, "get_typestore", lambda _: get_typestore(Stores.EMPTY))
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(CameraInfo, "/camera_info", 10)
    recorder = BagRecorder(tmp_path / "bag")
    assert wait_until(
        lambda: publisher.get_subscription_count() > 0,
        lambda: time.sleep(0.05),
    )
    for width in range(1, 30):
        publisher.publish(CameraInfo(width=width))
        time.sleep(0.01)
    time.sleep(0.5)
    recorder.close()
    node.destroy_node()
    assert recorder.problems == []
    with AnyReader([tmp_path / "bag"]) as reader:  # by the definitions in the bag itself
        (connection,) = (each for each in reader.connections if each.topic == "/camera_info")
        messages = [
            reader.deserialize(data, "sensor_msgs/msg/CameraInfo") for _, _, data in reader.messages([connection])
        ]
    assert {message.width for message in messages} <= set(range(1, 30))
    assert len(messages) > 20
    assert "MSG: sensor_msgs/RegionOfInterest" in connection.msgdef.data


def test_the_recorders_own_node_keeps_its_name_where_launch_renames_all_nodes_of_a_process(ros, domain_id, tmp_path):
    node = rclpy.create_node("onlooker")
    process = start_node("recorder", domain_id, "-r", "__node:=recorder", "-p", f"out:={tmp_path / 'bag'}")
    names = lambda: sorted(node.get_node_names())  # noqa: E731
    assert wait_until(lambda: len(names()) == 3, lambda: rclpy.spin_once(node, timeout_sec=0.05))
    assert names() == ["bag_recorder", "onlooker", "recorder"]
    interrupt(process)
    assert process.returncode == 0


def test_a_bag_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(UserError, match=r"bag exists already.*; move it away or give another --out"):
        BagRecorder(tmp_path / "bag")


def test_a_full_disk_is_one_line_at_the_end(talk, tmp_path, monkeypatch):
    recorder = BagRecorder(tmp_path / "bag")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._writer, "write", full)
    assert wait_until(lambda: bool(recorder.problems), talk)
    recorder.close()
    assert recorder.problems == ["the bag is incomplete: [Errno 28] No space left on device"]
