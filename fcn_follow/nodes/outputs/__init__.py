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
TOPICS = {"cmd_vel": "cmd_vel", "ardupilot_dds": "ap/cmd_vel", "px4": "fmu/in/trajectory_setpoint", "mavlink": ""}


class Output(Protocol):
    """One autopilot's way of taking velocities; made with (node, parameters), which may raise UserError."""

    def send(self, command: VelocityCommand, stamp: Time, yaw_odom_rad: float | None) -> None:
        """Send one command, stamped now; called at the follower's rate.

        yaw_odom_rad is the drone's yaw, None without odom.
        """

    def fault(self, yaw_odom_rad: float | None) -> str:
        """Why the drone must not be moved now; empty where it may."""

    def close(self) -> None:
        """End what was opened; the last command has been sent."""


def output_topic(parameters: FollowerNodeParameters) -> str:
    """The relative topic on which the output publishes commands; empty for one that needs no topic."""
    return TOPICS.get(parameters.output, parameters.mavros.topic if parameters.output == "mavros" else "")


def make_output(node: Node, parameters: FollowerNodeParameters) -> Output:
    """The output that the parameters name; its module, and what that imports, is loaded only now."""
    module, class_name = OUTPUTS[parameters.output].split(":")
    output: Output = getattr(importlib.import_module(module), class_name)(node, parameters)
    return output
