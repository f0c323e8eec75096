"""The recorder node: records every topic into a rosbag2 (mcap), even without ROS' own recorder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.nodes.bag_recorder import BagRecorder
from fcn_follow.nodes.support.parameters import ParameterNode
from fcn_follow.parameters import fixed_parameter


@dataclass(frozen=True)
class RecorderParameters:
    """The recorder's parameters."""

    out: str = fixed_parameter("", "folder of the new bag")


class RecorderNode(ParameterNode):
    """Records until it is stopped."""

    def __init__(self) -> None:
        super().__init__("recorder")
        out = self.declare(RecorderParameters()).out
        if not out:
            raise UserError("parameter out is empty; name the new bag")
        self._bag = BagRecorder(Path(out).expanduser())
        self.get_logger().info(f"ready: recording to {out}")

    def stop(self) -> None:
        """Finish the bag."""
        self._bag.close()
        for problem in self._bag.problems:
            self.get_logger().error(problem)
