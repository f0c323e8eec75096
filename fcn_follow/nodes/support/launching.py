"""What the launch files share; nothing here imports launch, which only a ROS install has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fcn_follow.errors import shown
from fcn_follow.share import share_directory

NODE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "weights": {
        "default_value": "",
        "description": "Weights file (.safetensors), or what fcn-follow export makes of it (.onnx, .xml). "
        "Empty: the value of the parameter file.",
    },
    "device": {"default_value": "", "description": "auto, cpu or cuda. Empty: the value of the parameter file."},
    "params_file": {
        "default_value": str(share_directory() / "config" / "follow.yaml"),
        "description": "YAML file with the parameters of all nodes; copy the default one and change it.",
    },
    "log_level": {
        "default_value": "info",
        "choices": ["debug", "info", "warn", "error", "fatal"],
        "description": "Minimum severity of the log messages.",
    },
}
"""What follow.launch.py declares, and gazebo.launch.py passes on to it, with the words of DeclareLaunchArgument."""


def number_of(arguments: Mapping[str, str], name: str) -> float:
    """The number that a launch argument gives. Raises RuntimeError, naming the argument, for anything else."""
    try:
        number = float(arguments[name])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RuntimeError(f"{name}:={shown(arguments[name])} is not allowed; it must be a number")
    return number


def required(name: str, then: Sequence[Any]) -> Callable[[Any, Any], Sequence[Any]]:
    """A handler for the end of a process: the actions `then`, or an exception after a failure.

    An exception is what makes ros2 launch end with exit code 1; a Shutdown action ends it with 0.
    """

    def on_exit(event: Any, _context: Any) -> Sequence[Any]:
        if event.returncode:
            raise RuntimeError(f"the {name} has ended with exit code {event.returncode}")
        return then

    return on_exit
