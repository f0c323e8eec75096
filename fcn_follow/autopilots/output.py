"""The outputs of the follower: one module for each autopilot, chosen by the parameter `output`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from builtin_interfaces.msg import Time

from fcn_follow.autopilots.parameters import OutputParameters
from fcn_follow.geometry import VelocityCommand

OUTPUTS = {
    "cmd_vel": "fcn_follow.autopilots.cmd_vel:CmdVelOutput",
    "mavros": "fcn_follow.autopilots.mavros:MavrosOutput",
    "ardupilot_dds": "fcn_follow.autopilots.ardupilot_dds:ArdupilotDdsOutput",
    "px4": "fcn_follow.autopilots.px4:Px4Output",
    "mavlink": "fcn_follow.autopilots.mavlink:MavlinkOutput",
}
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

    def every(self, period_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back periodically; returns a function that ends this."""

    def now_ns(self) -> int:
        """The node's time in nanoseconds."""

    def log(self, text: str) -> None:
        """Log a text for the user."""


class Output(Protocol):
    """The connection to one kind of autopilot; its constructor (host, parameters) may raise UserError."""

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command at the follower's rate; yaw_odom_rad is the drone's yaw, None without odom."""

    def fault(self, yaw_odom_rad: float | None) -> str:
        """Why the drone must not move now, or an empty text."""

    def close(self) -> None:
        """Close the connection, after the last command."""


def output_topic(parameters: OutputParameters) -> str:
    """The relative topic of the commands; empty for an output without a topic."""
    return TOPICS.get(parameters.output, parameters.mavros.topic if parameters.output == "mavros" else "")


def make_output(host: Host, parameters: OutputParameters) -> Output:
    """The output that the parameters name. Its module is imported only here: it may need other packages."""
    module, class_name = OUTPUTS[parameters.output].split(":")
    output: Output = getattr(importlib.import_module(module), class_name)(host, parameters)
    return output
