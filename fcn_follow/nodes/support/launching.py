"""What the launch files share; nothing here imports launch, which only a ROS install has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fcn_follow.errors import shown


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
