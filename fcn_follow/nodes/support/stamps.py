"""Message stamps as numbers."""

from __future__ import annotations

from builtin_interfaces.msg import Time


def nanoseconds(stamp: Time) -> int:
    """Nanoseconds since the epoch, even for stamps that rclpy's Time refuses."""
    total: int = stamp.sec * 1_000_000_000 + stamp.nanosec
    return total
