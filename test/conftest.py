"""Fixtures of the tests over real DDS."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Iterator

import pytest
from ros_tools import STARTED, start_node

WORKERS, DOMAINS = 4, 24
"""Of pytest-xdist, more workers than that share domains; and of each worker. `bench chain` takes those above 96."""
NEXT_DOMAIN = itertools.count(random.randrange(DOMAINS))

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


@pytest.fixture(autouse=True, scope="session")
def own_engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tests measure of engines stays out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what goes over DDS: `scripts/test -m dds`, or `-m "not dds and not slow"` for what is quick."""
    for item in items:
        if "domain_id" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.dds)


@pytest.fixture
def domain_id(monkeypatch: pytest.MonkeyPatch) -> int:
    """The next DDS domain of this worker: not one in which the last test's nodes may still be known."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    number = 1 + worker * DOMAINS + next(NEXT_DOMAIN) % DOMAINS
    print(f"ROS_DOMAIN_ID={number}")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


@pytest.fixture
def ros(domain_id: int) -> Iterator[None]:
    """rclpy, initialised in a random domain and shut down afterwards."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    yield
    rclpy.try_shutdown()


@pytest.fixture
def around(ros):
    """What stands around a follower; see follower_rig."""
    from follower_rig import Around

    return Around()


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
