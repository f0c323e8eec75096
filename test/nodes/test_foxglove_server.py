"""A viewer of the test's own at the other end of the websocket: what it is offered, and what it gets."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.serialization import deserialize_message
from ros_tools import wait_until
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from fcn_follow.errors import UserError
from fcn_follow.nodes.foxglove_server import FoxgloveServer

pytest.importorskip("foxglove", reason="foxglove-sdk is an optional package: pip install foxglove-sdk")
from websockets.sync.client import connect

MESSAGE_DATA = 1  # the first byte of a binary message of the protocol


class Viewer:
    """A client of the protocol foxglove.sdk.v1: JSON in text messages; data as opcode, subscription, time, payload."""

    def __init__(self, url: str) -> None:
        self.socket = connect(url, subprotocols=["foxglove.sdk.v1"])
        self.server = json.loads(self.socket.recv(timeout=5.0))
        self.channels: dict[str, dict] = {}
        self.data: dict[int, list[bytes]] = {}

    def receive(self, timeout_s: float = 0.05) -> None:
        try:
            message = self.socket.recv(timeout=timeout_s)
        except TimeoutError:
            return
        if isinstance(message, str):
            for channel in json.loads(message).get("channels", []):
                self.channels[channel["topic"]] = channel
        elif message[0] == MESSAGE_DATA:
            subscription, _time_ns = struct.unpack_from("<IQ", message, 1)
            self.data.setdefault(subscription, []).append(message[13:])

    def show(self, topic: str) -> list[bytes]:
        """Subscribe to a topic; the list fills while `receive` is called."""
        channel = self.channels[topic]["id"]
        self.data[channel] = []
        subscriptions = [{"id": channel, "channelId": channel}]
        self.socket.send(json.dumps({"op": "subscribe", "subscriptions": subscriptions}))
        return self.data[channel]

    def hide(self, topic: str) -> None:
        ids = [self.channels[topic]["id"]]
        self.socket.send(json.dumps({"op": "unsubscribe", "subscriptionIds": ids}))


@pytest.fixture
def server(ros) -> Iterator[FoxgloveServer]:
    server = FoxgloveServer(network=False, port=0)
    yield server
    server.close()


def test_a_viewer_gets_the_topics_that_it_shows_as_they_are_and_only_those(server):
    node = rclpy.create_node("talker")
    spoken = node.create_publisher(String, "/talk", 10)
    markers = node.create_publisher(MarkerArray, "/follow/markers", 10)
    viewer = Viewer(server.url)
    assert viewer.server["op"] == "serverInfo"
    assert wait_until(lambda: {"/talk", "/follow/markers"} <= set(viewer.channels), viewer.receive)
    channel = viewer.channels["/follow/markers"]
    assert (channel["encoding"], channel["schemaEncoding"]) == ("cdr", "ros2msg")
    assert channel["schemaName"] == "visualization_msgs/msg/MarkerArray"
    assert "MSG: geometry_msgs/Pose" in channel["schema"], "the viewer needs the definitions of all parts"
    assert spoken.get_subscription_count() == markers.get_subscription_count() == 0, "nobody shows them yet"

    received = viewer.show("/talk")

    def talk() -> None:
        spoken.publish(String(data="hello"))
        viewer.receive()

    assert wait_until(lambda: bool(received), talk)
    assert deserialize_message(received[0], String) == String(data="hello")
    assert markers.get_subscription_count() == 0
    viewer.hide("/talk")
    assert wait_until(lambda: spoken.get_subscription_count() == 0, lambda: time.sleep(0.05))
    node.destroy_node()


def test_a_port_in_use_and_a_missing_package_are_for_people(server, monkeypatch):
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(UserError, match=f"--foxglove cannot listen on port {port}: .*in use"):
        FoxgloveServer(network=False, port=port)
    monkeypatch.setitem(sys.modules, "foxglove", None)
    with pytest.raises(UserError, match="pip install foxglove-sdk"):
        FoxgloveServer(network=False, port=0)
