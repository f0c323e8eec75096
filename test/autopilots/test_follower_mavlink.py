"""MAVLink on loopback: an autopilot of a few lines, which decodes with pymavlink the commands."""

from __future__ import annotations

import socket

import pytest
import rclpy
from geometry_msgs.msg import PointStamped
from pymavlink import mavutil
from ros_tools import finish, interrupt, parameter_arguments, start_node, wait_until

mavlink = mavutil.mavlink
COPTER_GUIDED, COPTER_LOITER = 4, 5
ARMED = mavlink.MAV_MODE_FLAG_SAFETY_ARMED | mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED

ENABLED = ("-p", "start_enabled:=true")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


class Autopilot:
    def __init__(self, port: int) -> None:
        self.link = mavutil.mavlink_connection(f"udpout:127.0.0.1:{port}", source_system=1, source_component=1)
        self.node = rclpy.create_node("camera_side")
        self.hero = self.node.create_publisher(PointStamped, "hero/position", 1)
        self.mode, self.armed = COPTER_LOITER, False
        self.targets = []
        self.heartbeats = []
        self.others = []
        self.ticks = 0

    def live(self) -> None:
        """A twentieth of a second: heartbeat, a hero ahead on the left, and what has come is decoded."""
        self.ticks += 1
        if self.ticks % 4 == 1:
            base = mavlink.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | (ARMED if self.armed else 0)
            self.link.mav.heartbeat_send(
                mavlink.MAV_TYPE_QUADROTOR, mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA, base, self.mode, 4
            )
        message = PointStamped()
        message.header.stamp = self.node.get_clock().now().to_msg()
        message.header.frame_id = "camera_optical_frame"
        message.point.x, message.point.y, message.point.z = -2.0, 1.5, 8.0
        self.hero.publish(message)
        rclpy.spin_once(self.node, timeout_sec=0.05)
        while (message := self.link.recv_match(blocking=False)) is not None:
            kind = message.get_type()
            if kind == "SET_POSITION_TARGET_LOCAL_NED":
                self.targets.append(message)
            elif kind == "HEARTBEAT":
                self.heartbeats.append(message)
            else:
                self.others.append(kind)

    def moved(self) -> bool:
        return bool(self.targets) and any(speeds(self.targets[-1]))


def speeds(target):
    return target.vx, target.vy, target.vz, target.yaw_rate


def mavlink_on(port: int) -> list[str]:
    return parameter_arguments({"output": "mavlink", "mavlink.address": f"udpin:127.0.0.1:{port}"})


def test_flies_only_an_armed_autopilot_in_guided(ros, follower):
    port = free_port()
    process = follower(*mavlink_on(port))
    autopilot = Autopilot(port)
    assert wait_until(lambda: len(autopilot.targets) > 60, autopilot.live)
    assert not any(any(speeds(each)) for each in autopilot.targets), "loitering and not armed"
    autopilot.armed = True
    count = len(autopilot.targets)
    assert wait_until(lambda: len(autopilot.targets) > count + 60, autopilot.live)
    assert not any(any(speeds(each)) for each in autopilot.targets), "armed, but loitering"

    autopilot.mode = COPTER_GUIDED
    assert wait_until(lambda: autopilot.moved() and autopilot.targets[-1].vx > 0.5, autopilot.live)
    target = autopilot.targets[-1]
    assert target.coordinate_frame == mavlink.MAV_FRAME_BODY_NED
    assert target.type_mask == 0b010111000111, "velocity and yaw rate alone"
    assert target.yaw_rate < 0.0, "the hero is on the left, and NED turns clockwise"
    assert target.target_system == 1

    autopilot.mode = COPTER_LOITER
    assert wait_until(lambda: not autopilot.moved(), autopilot.live)
    autopilot.mode = COPTER_GUIDED
    assert wait_until(autopilot.moved, autopilot.live)
    output = interrupt(process)
    wait_until(lambda: not autopilot.moved(), autopilot.live, 3.0)
    assert process.returncode == 0, output
    assert not autopilot.moved()
    assert autopilot.heartbeats
    assert not autopilot.others, "it never arms, never changes the mode, asks for nothing"
    assert "Traceback" not in output


def test_an_autopilot_that_falls_silent_is_a_fault(ros, follower):
    port = free_port()
    process = follower(*mavlink_on(port), *parameter_arguments({"mavlink.heartbeat_timeout_s": 0.5}))
    autopilot = Autopilot(port)
    autopilot.mode, autopilot.armed = COPTER_GUIDED, True
    assert wait_until(autopilot.moved, autopilot.live)

    def without_heartbeat():
        autopilot.ticks = 1
        autopilot.live()

    assert wait_until(lambda: not autopilot.moved(), without_heartbeat)
    assert "no heartbeat from the autopilot" in interrupt(process)


@pytest.mark.parametrize("address", ["tcp:127.0.0.1:1", "/dev/no_such_port"])
def test_an_address_that_cannot_be_opened_is_one_line(domain_id, address):
    process = start_node("follower", domain_id, *ENABLED, "-p", "output:=mavlink", "-p", f"mavlink.address:={address}")
    output = finish(process)
    assert process.returncode == 1
    assert output.count("\n") == 1, output
    assert address in output
