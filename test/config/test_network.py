"""The two profiles of Fast DDS: who hears the nodes, whether large images flow, how soon the dead are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from ros_tools import LOOPBACK, ROOT, start, udp_addresses, wait_until

from fcn_follow.share import dds_environment

VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
FRAMES = 120
SENDER = """
import sys, rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

rclpy.init()
node = rclpy.create_node("sender")
qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(Image, "image_raw", qos)
received = []
node.create_subscription(Header, "received", lambda header: received.append(header.stamp.sec), 10)
while not (publisher.get_subscription_count() and node.count_publishers("received")):
    rclpy.spin_once(node, timeout_sec=0.05)
print("found", flush=True)
index = 0
while index <= {frames}:
    image = Image(height=480, width=640, encoding="rgb8", step=1920)
    image.header.stamp.sec = index
    image.data.frombytes(bytes(640 * 480 * 3))
    publisher.publish(image)
    for _ in range(20):  # a frame that is lost is not sent again, but a busy machine gets its time
        rclpy.spin_once(node, timeout_sec=0.05)
        if index in received:
            break
    index += index in received or index > 0  # the first one is sent until both have found each other
print(len(set(received)) - 1, flush=True)
while True:
    rclpy.spin_once(node, timeout_sec=0.1)
"""
RECEIVER = """
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

rclpy.init()
node = rclpy.create_node("receiver")
publisher = node.create_publisher(Header, "received", 10)
qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
node.create_subscription(Image, "image_raw", lambda image: publisher.publish(image.header), qos)
found = False
while True:
    rclpy.spin_once(node, timeout_sec=0.02)
    if found != bool(node.count_publishers("image_raw")):
        found = not found
        print("found" if found else "lost", flush=True)
"""


@pytest.fixture(params=[False, True], ids=["this machine", "network"])
def network(request, monkeypatch) -> bool:
    """The environment of both kinds; the processes that a test starts get it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    for name, value in dds_environment(network=request.param).items():
        monkeypatch.setenv(name, value)
    return request.param


def start_pair(domain_id: int) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    profile = os.environ[VARIABLE]
    command = ["env", f"{VARIABLE}={profile}", sys.executable, "-c"]
    receiver = start([*command, RECEIVER], domain_id)
    sender = start([*command, SENDER.replace("{frames}", str(FRAMES))], domain_id)
    assert line_of(sender) == line_of(receiver) == "found"
    return sender, receiver


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_every_large_image_arrives_and_only_the_network_profile_listens_to_it(network, domain_id):
    sender, receiver = start_pair(domain_id)
    assert int(line_of(sender)) == FRAMES
    addresses = udp_addresses(sender.pid) | udp_addresses(receiver.pid)
    assert (addresses == {LOOPBACK}) is not network


def test_what_was_killed_is_soon_gone(network, domain_id):
    """After Fast DDS' own 20 seconds a new segmenter would have been one of two for too long."""
    sender, receiver = start_pair(domain_id)
    sender.kill()
    killed_s = time.monotonic()
    assert line_of(receiver) == "lost"
    assert time.monotonic() - killed_s < 10


@pytest.mark.parametrize("setting", ["ROS_LOCALHOST_ONLY=1", "ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET", f"{VARIABLE}=x"])
def test_no_setting_of_the_user_opens_the_loopback(setting, monkeypatch, domain_id):
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    environment = dds_environment(network=False)
    command = ["env", *(f"{key}={text}" for key, text in environment.items()), sys.executable, "-c", RECEIVER]
    pair = [start(command, domain_id) for _ in range(2)]
    assert wait_until(lambda: all(udp_addresses(process.pid) for process in pair), lambda: time.sleep(0.1))
    time.sleep(1.0)
    assert udp_addresses(pair[0].pid) | udp_addresses(pair[1].pid) == {LOOPBACK}


def test_a_profile_of_the_user_stays_on_the_network(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/my/profile.xml")
    assert dds_environment(network=True) == {}
    assert dds_environment(network=False)[VARIABLE] == str(ROOT / "config" / "fastdds_this_machine.xml")
