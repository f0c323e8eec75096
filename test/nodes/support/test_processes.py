"""Node processes end with the one that started them, however that one ends."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from ros_tools import finish, is_alive, start, start_node, wait_until

from fcn_follow.nodes.support import processes
from fcn_follow.nodes.support.processes import PARENT_VARIABLE

BY_THE_RUNNER = """
import time
from fcn_follow.nodes.support.processes import start_node

node = start_node("follower", [], {})
while not any("commands go to" in line for line in node.last_lines):
    time.sleep(0.1)
print(node.process.pid, flush=True)
time.sleep(1000)
"""
BY_HAND = """
import subprocess, sys, time

command = [sys.executable, "-m", "fcn_follow.nodes.executables", "follower"]
node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
while "commands go to" not in node.stdout.readline():
    pass
print(node.pid, flush=True)
time.sleep(1000)
"""


SPECIFIC = """
/**/follower:
  ros__parameters: {rate_hz: 20.0}
"""
GENERAL = """
/**:
  ros__parameters: {hero: {height_m: 1.5}, use_sim_time: false}
"""


@pytest.mark.parametrize("text", [SPECIFIC + GENERAL, GENERAL + SPECIFIC])
def test_values_override_parameter_files_in_any_order(domain_id, tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    node = processes.start_node("follower", [tmp_path / "mine.yaml"], {"rate_hz": 40.0, "camera_frame": "50"})
    started = wait_until(lambda: any("at 40 Hz" in line for line in node.last_lines), lambda: time.sleep(0.05))
    node.interrupt()
    node.wait(20.0)
    assert started, node.last_lines


def node_of_a_killed_parent(script: str, domain_id: int) -> int:
    """The pid of a running follower whose parent has just been killed."""
    parent = start([sys.executable, "-c", script], domain_id)
    assert parent.stdout is not None
    node = int(parent.stdout.readline())
    assert is_alive(node)
    parent.kill()
    parent.wait()
    return node


def test_a_node_ends_when_its_runner_is_killed(domain_id):
    node = node_of_a_killed_parent(BY_THE_RUNNER, domain_id)
    assert wait_until(lambda: not is_alive(node), lambda: time.sleep(0.05))


def test_a_node_that_was_started_by_hand_outlives_its_parent(domain_id):
    node = node_of_a_killed_parent(BY_HAND, domain_id)
    time.sleep(1.0)
    assert is_alive(node)
    os.kill(node, signal.SIGTERM)
    assert wait_until(lambda: not is_alive(node), lambda: time.sleep(0.05))


def test_a_node_whose_runner_has_died_already_does_not_start(domain_id, monkeypatch):
    monkeypatch.setenv(PARENT_VARIABLE, "1")
    node = start_node("follower", domain_id)
    assert "commands go to" not in finish(node)
    assert node.returncode == 1
