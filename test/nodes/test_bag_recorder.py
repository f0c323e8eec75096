"""The bag of a flight: no topic and no full disk ends the recording of the others or the flight."""

from __future__ import annotations

import time

import pytest
import rclpy
from ros_tools import wait_until
from std_msgs.msg import String

from fcn_follow.lab.recordings.reading import open_bag
from fcn_follow.nodes.bag_recorder import BagRecorder


@pytest.fixture
def talk(ros):
    """Publishes on /talk when called."""
    node = rclpy.create_node("talker")
    publisher = node.create_publisher(String, "/talk", 10)
    yield lambda: (publisher.publish(String(data="hello")), time.sleep(0.05))
    node.destroy_node()


def test_types_that_nobody_knows_are_passed_over(talk, tmp_path, monkeypatch):
    strange = [("/a", ["nonsense"]), ("/b", ["os/msg/path"]), ("/c", ["std_msgs/msg/Nothing"]), ("/d", ["a/b/c/d"])]
    recorder = BagRecorder(tmp_path / "bag")
    true_names = recorder._node.get_topic_names_and_types
    monkeypatch.setattr(recorder._node, "get_topic_names_and_types", lambda: [*strange, *true_names()])
    monkeypatch.setattr(recorder._node, "count_publishers", lambda topic: 1)
    written = []
    write = recorder._writer.write
    monkeypatch.setattr(recorder._writer, "write", lambda *message: (written.append(message), write(*message)))
    assert wait_until(lambda: bool(written), talk)
    recorder.close()
    assert recorder.problems == []
    with open_bag(tmp_path / "bag") as bag:
        assert "/talk" in {topic.name for topic in bag.topics}


def test_a_full_disk_is_one_line_at_the_end(talk, tmp_path, monkeypatch):
    recorder = BagRecorder(tmp_path / "bag")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._writer, "write", full)
    assert wait_until(lambda: bool(recorder.problems), talk)
    recorder.close()
    assert recorder.problems == ["the bag is incomplete: [Errno 28] No space left on device"]
