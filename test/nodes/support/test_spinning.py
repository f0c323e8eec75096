"""A node as a process: how it ends."""

from __future__ import annotations

import signal
import sys

import pytest
import rclpy
from geometry_msgs.msg import Twist
from rclpy.executors import SingleThreadedExecutor
from ros_tools import finish, interrupt, start, wait_until

from fcn_follow.nodes.support.spinning import make_executor

SCRIPT = """
import sys
from fcn_follow.errors import UserError
from fcn_follow.nodes.support.spinning import Finished, run_node

def make():
    from geometry_msgs.msg import Twist
    from rclpy.node import Node

    class Mover(Node):
        def __init__(self):
            super().__init__("mover")
            self.cmd = self.create_publisher(Twist, "cmd_vel", 10)
            self.create_timer(0.05, self.tick)
            self.ticks = 0
            if "{end}" == "user": raise UserError("the cable is out; plug it in")

        def tick(self):
            self.ticks += 1
            if "{end}" == "done" and self.ticks > 3: raise Finished
            if "{end}" == "bug" and self.ticks > 3: raise ValueError("a bug")
            self.publish(1.0)

        def publish(self, speed):
            message = Twist()
            message.linear.x = speed
            self.cmd.publish(message)

        def stop(self):
            self.publish(0.0)
            print("stopped", flush=True)

    return Mover()

sys.exit(run_node(make, by_events={by_events}))
"""


def start_mover(end: str, domain_id: int, *arguments: str, by_events: bool = False):
    script = SCRIPT.replace("{end}", end).replace("{by_events}", str(by_events))
    return start([sys.executable, "-c", script, *arguments], domain_id)


@pytest.mark.parametrize(("ends", "by_events"), [("on ctrl-c", False), ("on ctrl-c", True), ("with its parent", False)])
def test_the_last_command_is_zero(ends, by_events, ros, domain_id):
    node = rclpy.create_node("listener")
    speeds: list[float] = []
    node.create_subscription(Twist, "cmd_vel", lambda message: speeds.append(message.linear.x), 10)
    process = start_mover("never", domain_id, by_events=by_events)
    assert wait_until(lambda: len(speeds) > 5, lambda: rclpy.spin_once(node, timeout_sec=0.1))
    if ends == "on ctrl-c":
        output = interrupt(process)
    else:
        process.send_signal(signal.SIGTERM)  # what end_with_parent asks the kernel for
        output = finish(process)
    wait_until(lambda: speeds[-1] == 0.0, lambda: rclpy.spin_once(node, timeout_sec=0.1), timeout_s=5)
    assert process.returncode == 0
    assert output.splitlines() == ["stopped"]
    assert speeds[-1] == 0.0
    assert 1.0 in speeds


def test_finished_ends_with_zero(domain_id):
    process = start_mover("done", domain_id)
    assert finish(process).splitlines() == ["stopped"]
    assert process.returncode == 0


def test_a_user_error_is_one_line(domain_id):
    process = start_mover("user", domain_id)
    assert finish(process).splitlines() == ["error: the cable is out; plug it in"]
    assert process.returncode == 1


@pytest.mark.parametrize("by_events", [False, True])
def test_a_bug_stops_the_node_too(domain_id, by_events):
    process = start_mover("bug", domain_id, by_events=by_events)
    output = finish(process)
    assert "stopped" in output
    assert "ValueError: a bug" in output
    assert process.returncode == 1


def test_an_older_rclpy_has_the_executor_without_events(monkeypatch, ros):
    assert not isinstance(make_executor(), SingleThreadedExecutor)
    monkeypatch.setitem(sys.modules, "rclpy.experimental.events_executor", None)
    assert isinstance(make_executor(), SingleThreadedExecutor)


def test_bad_ros_arguments_are_one_line(domain_id):
    process = start_mover("never", domain_id, "--ros-args", "--params-file", "/nowhere/follow.yaml")
    output = finish(process)
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "/nowhere/follow.yaml" in output
