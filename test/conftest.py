"""Fixtures of the tests over real DDS."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ros_tools import STARTED, start_node

LONGEST = [Path(__file__).parent / name for name in ("autopilots", "runner", "nodes", "lab", "cli")]
"""The folders whose tests take longest: begun last, they would keep one worker busy and the others waiting."""
DOMAINS = range(1, 97)
"""`bench chain` takes those above."""
DOMAINS_OF_A_WORKER = 16
"""A test does not get the domain of the last few tests, whose nodes may still be known in it."""

os.environ["OMP_NUM_THREADS"] = "1"  # threads of PyTorch that wait for a core take it away from the other worker

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs get it, and pass it on
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """End what a failed test has started and not ended."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(autouse=True)
def denormal_numbers_are_kept() -> Iterator[None]:
    """A training in the tests' own process flushes them for good, and Hypothesis refuses to draw floats then."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


NEW_S = 10.0
"""A segment of this age may be another run's that has not locked it yet."""


@pytest.fixture(autouse=True, scope="session")
def no_shared_memory_is_left_behind() -> Iterator[None]:
    """Remove the segments of killed nodes, 35 MB each; Fast DDS holds a lock on the file _el of a living one."""
    folder = Path("/dev/shm")
    before = set(folder.glob("fastrtps_*"))
    yield
    for segment in set(folder.glob("fastrtps_*")) - before:
        lock = segment.with_name(f"{segment.name}_el")
        with contextlib.suppress(OSError), lock.open() as file:
            if time.time() - segment.stat().st_mtime < NEW_S:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            segment.unlink()
            lock.unlink()


@pytest.fixture(autouse=True, scope="session")
def own_engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests measure of engines stays out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest folders first. Mark what goes over DDS: `scripts/test -m dds`, or `-m "not dds and not slow"`."""
    items.sort(key=lambda item: next((n for n, folder in enumerate(LONGEST) if folder in item.path.parents), 99))
    for item in items:
        if "own_domains" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.dds)


@pytest.fixture(scope="session")
def own_domains() -> Iterator[Iterator[int]]:
    """DDS domains that no other run of the tests on this machine uses: each is locked as long as this one runs."""
    folder = Path(tempfile.gettempdir()) / f"fcn_follow_test_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as locks:
        mine: list[int] = []
        for number in random.sample(DOMAINS, len(DOMAINS)):
            file = locks.enter_context((folder / str(number)).open("w"))
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine.append(number)
            if len(mine) == DOMAINS_OF_A_WORKER:
                break
        assert mine, f"every DDS domain is in use by another run of the tests, see {folder}"
        yield itertools.cycle(mine)


@pytest.fixture
def domain_id(own_domains: Iterator[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The next DDS domain of this worker. At the end of the test no node of its process is left in the domain."""
    from rclpy.node import Node

    nodes: list[Node] = []
    make = Node.__init__

    def make_and_remember(self: Node, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        nodes.append(self)

    monkeypatch.setattr(Node, "__init__", make_and_remember)
    number = next(own_domains)
    print(f"ROS_DOMAIN_ID={number}")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    yield number
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def cleanup() -> Iterator[contextlib.ExitStack]:
    """Calls back at the end of the test, the last first, however the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def ros(domain_id: int) -> Iterator[None]:
    """rclpy, initialised in a random domain and shut down afterwards."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    yield
    rclpy.try_shutdown()


@pytest.fixture
def rig(ros):
    """The other end of a follower's topics."""
    from follower_rig import FollowerRig

    return FollowerRig()


@pytest.fixture
def follower(domain_id):
    """Starts a follower that follows at once, with the arguments given, and ends it after the test."""
    processes = []

    def start(*arguments):
        processes.append(start_node("follower", domain_id, "-p", "start_enabled:=true", *arguments))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()
