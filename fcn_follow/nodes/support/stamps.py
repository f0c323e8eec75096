"""The stamps of messages as numbers."""

from __future__ import annotations

from builtin_interfaces.msg import Time


def nanoseconds(stamp: Time) -> int:
    """Nanoseconds since the epoch, also of stamps that rclpy's Time refuses."""
    total: int = stamp.sec * 1_000_000_000 + stamp.nanosec
    return total
