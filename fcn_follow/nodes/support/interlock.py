"""Whether following may begin without being enabled: only if the commands cannot reach a vehicle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from fcn_follow.errors import UserError, suggestion
from fcn_follow.yaml_text import read_yaml

SIMULATED_CMD_VEL = "simulated/cmd_vel"
"""The topic of commands that move a simulated drone or none at all; no vehicle's bridge listens there."""
ENABLE = 'ros2 service call {follower}/enable std_srvs/srv/SetBool "{{data: true}}"'


def commands_stay_on_cmd_vel(params_files: Sequence[Path]) -> bool:
    """Whether the parameter files, in the section of any node, send commands to the topic cmd_vel only.

    Raises UserError for a file that cannot be read.
    """
    return all(output == "cmd_vel" for path in params_files for output in _outputs(_read(path)))


def no_vehicle_hears(params_files: Sequence[Path], source: str = "", cmd_vel: str = "") -> bool:
    """Whether commands by the frames of a source (empty: a simulator's) can go to SIMULATED_CMD_VEL.

    A camera may be a vehicle's, and a user who names a topic (cmd_vel) has something that listens there.
    Raises UserError for a file that cannot be read.
    """
    return not is_camera(source) and cmd_vel == "" and commands_stay_on_cmd_vel(params_files)


def is_camera(source: str) -> bool:
    """Whether a source of the player is a camera, by its number or device, and no recording."""
    return source.isdecimal() or source.startswith("/dev/video")


def require_cmd_vel(params_files: Sequence[Path]) -> None:
    """Raise UserError if a parameter file names an output other than the one that the embedded simulator uses."""
    if not commands_stay_on_cmd_vel(params_files):
        raise UserError("the simulator needs output cmd_vel, and a parameter file names another output; leave it out")


def check_node_names(path: Path, nodes: Collection[str]) -> None:
    """Raise UserError if a parameter file has a section of an unknown node, which ROS would ignore."""
    for key in _named(_read(path)):
        name = key.rsplit("/", 1)[-1]
        if name not in nodes and name not in ("*", "**"):
            raise UserError(f"{path}: there is no node {name[:80]!r}; {suggestion(name, sorted(nodes))}")


def enable_command(namespace: str = "") -> str:
    """The command that enables the follower in this namespace."""
    parts = [part for part in namespace.split("/") if part]
    return ENABLE.format(follower="/" + "/".join([*parts, "follower"]))


def _read(path: Path) -> Any:
    return read_yaml(path, "a parameter file")


def _named(tree: Any) -> Iterator[str]:
    """The keys that hold parameters; namespaces may be above them."""
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if isinstance(value, dict) and "ros__parameters" in value:
            yield str(key)
        else:
            yield from _named(value)


def _outputs(tree: Any) -> Iterator[Any]:
    """The values of every key `output`, at any depth."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "output":
                yield value
            else:
                yield from _outputs(value)
