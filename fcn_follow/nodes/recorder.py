"""The recorder node: every topic into a rosbag2 (mcap), also where there is no recorder of ROS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from fcn_follow.errors import UserError
from fcn_follow.nodes.bag_recorder import BagRecorder
from fcn_follow.nodes.support.parameters import declare_parameters
from fcn_follow.parameters import parameter


@dataclass(frozen=True)
class RecorderParameters:
    """The recorder's parameters; all are fixed at start."""

    out: str = parameter("", "The new bag")


class RecorderNode(Node):  # type: ignore[misc]
    """Records until it is stopped."""

    def __init__(self) -> None:
        super().__init__("recorder")
        out = declare_parameters(self, RecorderParameters()).out
        if not out:
            raise UserError("parameter out is empty; name the new bag")
        self._bag = BagRecorder(Path(out).expanduser())
        self.get_logger().info(f"ready: recording to {out}")

    def stop(self) -> None:
        """Finish the bag."""
        self._bag.close()
        for problem in self._bag.problems:
            self.get_logger().error(problem)
