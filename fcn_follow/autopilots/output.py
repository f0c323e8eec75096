"""Where the follower's commands go: one short module for each autopilot, chosen by the parameter `output`."""

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
    """The quality of service of a topic on which the last message alone counts."""

    reliable: bool = True
    transient_local: bool = False


class Host(Protocol):
    """What an output needs of the node in which it works."""

    def publisher(self, message_type: type[Any], topic: str, quality: Quality) -> Callable[[Any], None]:
        """What publishes a message on a relative topic."""

    def every(self, period_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back periodically, until the function that is returned is called."""

    def now_ns(self) -> int:
        """The node's time."""

    def log(self, text: str) -> None:
        """Tell the user."""


class Output(Protocol):
    """One autopilot's way of taking velocities; made with (host, parameters), which may raise UserError."""

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command, stamped now; called at the follower's rate.

        yaw_odom_rad is the drone's yaw, None without odom.
        """

    def fault(self, yaw_odom_rad: float | None) -> str:
        """Why the drone must not be moved now; empty where it may."""

    def close(self) -> None:
        """End what was opened; the last command has been sent."""


def output_topic(parameters: OutputParameters) -> str:
    """The relative topic on which the output publishes commands; empty for one that needs no topic."""
    return TOPICS.get(parameters.output, parameters.mavros.topic if parameters.output == "mavros" else "")


def make_output(host: Host, parameters: OutputParameters) -> Output:
    """The output that the parameters name; its module, and what that imports, is loaded only now."""
    module, class_name = OUTPUTS[parameters.output].split(":")
    output: Output = getattr(importlib.import_module(module), class_name)(host, parameters)
    return output
