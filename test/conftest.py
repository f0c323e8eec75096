"""Fixtures of the tests over real DDS."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest


@pytest.fixture
def domain_id(monkeypatch: pytest.MonkeyPatch) -> int:
    """A random DDS domain, so that tests and other programs do not hear each other."""
    number = random.randint(1, 100)
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
