"""Where the follower's commands go: one short module for each autopilot, chosen by the parameter `output`."""

from __future__ import annotations

import importlib
from typing import Protocol

from builtin_interfaces.msg import Time
from rclpy.node import Node

from fcn_follow.geometry import VelocityCommand
from fcn_follow.nodes.follower_parameters import FollowerNodeParameters

OUTPUTS = {
    "cmd_vel": "fcn_follow.nodes.outputs.cmd_vel:CmdVelOutput",
    "mavros": "fcn_follow.nodes.outputs.mavros:MavrosOutput",
    "ardupilot_dds": "fcn_follow.nodes.outputs.ardupilot_dds:ArdupilotDdsOutput",
    "px4": "fcn_follow.nodes.outputs.px4:Px4Output",
    "mavlink": "fcn_follow.nodes.outputs.mavlink:MavlinkOutput",
}


class Output(Protocol):
    """One autopilot's way of taking velocities; made with (node, parameters), which raises UserError if it cannot be.

    topic is where commands are published, so that a second publisher there is noticed; empty for other ways.
    """

    topic: str

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command; called at the follower's rate.

        stamp is that of the image the command rests on, else now; yaw_odom_rad the drone's yaw, None without odom.
        """

    def fault(self, yaw_odom_rad: float | None) -> str:
        """Why the drone must not be moved now; empty where it may."""

    def close(self) -> None:
        """End what was opened; the last command has been sent."""


def make_output(node: Node, parameters: FollowerNodeParameters) -> Output:
    """The output that the parameters name; its module, and what that imports, is loaded only now."""
    module, class_name = OUTPUTS[parameters.output].split(":")
    output: Output = getattr(importlib.import_module(module), class_name)(node, parameters)
    return output
