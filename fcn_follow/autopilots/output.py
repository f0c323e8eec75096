"""The outputs of the follower: one module for each autopilot, chosen by the parameter `output`."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from builtin_interfaces.msg import Time

from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.geometry import VehicleState, VelocityCommand

OUTPUTS = {
    "cmd_vel": "fcn_follow.autopilots.cmd_vel:CmdVelOutput",
    "mavros": "fcn_follow.autopilots.mavros:MavrosOutput",
    "ardupilot_dds": "fcn_follow.autopilots.ardupilot_dds:ArdupilotDdsOutput",
    "px4": "fcn_follow.autopilots.px4:Px4Output",
    "mavlink": "fcn_follow.autopilots.mavlink:MavlinkOutput",
}
MAX_SILENCE_S = 5.0
"""Vehicles repeat their report at 1 Hz or more; in this time nobody disarms, moves and arms one."""
TOPICS = {"cmd_vel": "cmd_vel", "ardupilot_dds": "ap/cmd_vel", "px4": "fmu/in/trajectory_setpoint", "mavlink": ""}


@dataclass(frozen=True)
class Quality:
    """The quality of service of a topic with a queue of one message."""

    reliable: bool = True
    transient_local: bool = False


class Host(Protocol):
    """What an output needs from its node."""

    def publisher(self, message_type: type[Any], topic: str, quality: Quality) -> Callable[[Any], None]:
        """A function that publishes a message on a relative topic."""

    def subscribe(self, message_type: type[Any], topic: str, quality: Quality, callback: Callable[[Any], None]) -> None:
        """Call back with each message on a relative topic."""

    def every(self, period_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back periodically; returns a function that ends this."""

    def question(self, node: str, parameter: str, callback: Callable[[str], None]) -> Callable[[], None]:
        """A function that asks another node for a text parameter; only the last question gets an answer, if any."""

    def now_ns(self) -> int:
        """The node's time in nanoseconds, in any thread."""


class Arming:
    """Whether the vehicle reports that it is armed; None while that is not known.

    A vehicle that does not repeat its report (repeats=False) reports changes only, and its silence means nothing.
    """

    def __init__(self, repeats: bool = True) -> None:
        self.is_armed: bool | None = None
        self._repeats = repeats
        self._unknown = "unknown"
        self._disarming = ""
        self._heard_s = -math.inf

    @property
    def words(self) -> str:
        """What the diagnostics show."""
        return self._unknown if self.is_armed is None else str(self.is_armed)

    @property
    def fault(self) -> str:
        """That the vehicle says that it is not armed, or an empty text."""
        return "the autopilot is not armed" if self.is_armed is False else ""

    @property
    def silence_s(self) -> float:
        """The time since the last report, that of a suspended machine included; 0 where silence means nothing."""
        if self.is_armed is None or not self._repeats:
            return 0.0
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self._heard_s

    def take(self, is_armed: bool) -> None:
        """Take a message of the vehicle."""
        silence_s = self.silence_s
        if self.is_armed and not is_armed:
            self._disarming = "disarming"
        elif self.is_armed and silence_s > MAX_SILENCE_S:
            self._disarming = f"a silence of {silence_s:.0f} s, in which the vehicle may have been disarmed and armed"
        self.is_armed, self._heard_s = is_armed, time.clock_gettime(time.CLOCK_BOOTTIME)

    def listen(
        self, host: Host, package: str, name: str, topic: str, quality: Quality, take: Callable[[Any], None]
    ) -> None:
        """Take the messages of a topic, where the package of their type is installed."""
        try:
            message_type = getattr(importlib.import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            self._unknown = f"unknown: {package} is not installed"
        else:
            host.subscribe(message_type, topic, quality, take)

    def take_disarming(self) -> str:
        """The disarming since the last call, or the silence that may have hidden one, in words; empty without one."""
        disarming, self._disarming = self._disarming, ""
        return disarming


class Output:
    """The connection to one kind of autopilot; its constructor (host, parameters) may raise UserError.

    The follower calls `send` or `idle` at its rate: `send` while it flies the drone and, with zero, a few times after
    that, at least until the vehicle is heard again; `idle` otherwise. In an autopilot's own modes
    a velocity, even zero, would cancel a take-off or a flight to a place.
    """

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command; yaw_odom_rad is the drone's yaw, None without odometry."""
        raise NotImplementedError

    def idle(self, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send what the vehicle needs while it is not following; by default nothing."""

    def fault(self, yaw_odom_rad: float | None) -> str:
        """Why the drone must not be flown now, or an empty text."""
        return ""

    def take_disarming(self) -> str:
        """The disarming since the last call, certain or possible, in words, if the autopilot reports it; else empty."""
        return ""

    def has_heard_since(self, steady_s: float) -> bool:
        """Whether the vehicle was heard since a time of time.monotonic(); True if it cannot be heard."""
        return True

    def take_poses(self) -> Sequence[VehicleState]:
        """The drone's states that the autopilot has sent since the last call, oldest first."""
        return ()

    def announce(self, text: str, is_warning: bool) -> None:
        """Show a text to the pilot, if the autopilot can."""

    def status(self) -> dict[str, str | float]:
        """What /diagnostics shows of the autopilot."""
        return {}

    def close(self) -> None:
        """Close the connection, after the last command."""


def output_topic(parameters: OutputParameters) -> str:
    """The relative topic of the commands; empty for an output without a topic."""
    return TOPICS.get(parameters.output, parameters.mavros.topic if parameters.output == "mavros" else "")


def make_output(host: Host, parameters: OutputParameters) -> Output:
    """The output that the parameters name; imports its module only now, because it may need other packages."""
    module, class_name = OUTPUTS[parameters.output].split(":")
    output: Output = getattr(importlib.import_module(module), class_name)(host, parameters)
    return output
