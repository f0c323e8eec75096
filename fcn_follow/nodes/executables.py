"""The executables of the package, `ros2 run fcn_follow NAME`; a node is imported after its process handles Ctrl-C.

Without a ROS install: `python -m fcn_follow.nodes.executables NAME --ros-args --params-file config/follow.yaml`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import partial
from typing import Any, NoReturn

from fcn_follow.nodes.support.processes import end_with_parent
from fcn_follow.nodes.support.spinning import run_node
from fcn_follow.parameters import walk_parameters

NODES = {
    "segmenter": "fcn_follow.nodes.segmenter:SegmenterNode",
    "follower": "fcn_follow.nodes.follower:FollowerNode",
    "player": "fcn_follow.nodes.player:PlayerNode",
    "simulator": "fcn_follow.nodes.simulator:SimulatorNode",
    "scorer": "fcn_follow.nodes.scorer:ScorerNode",
    "recorder": "fcn_follow.nodes.recorder:RecorderNode",
}
FLEET = {"segmenters": "fcn_follow.nodes.fleet:Fleet"}
"""Several nodes in one process."""
FLYING = ("segmenter", "follower", *FLEET)  # each millisecond of the start counts, and no node ends by itself

PARAMETERS = {
    "segmenter": "fcn_follow.nodes.support.segmenter_parameters:SegmenterParameters",
    "follower": "fcn_follow.nodes.support.follower_parameters:FollowerNodeParameters",
    "player": "fcn_follow.nodes.support.player_parameters:PlayerParameters",
    "simulator": "fcn_follow.nodes.support.simulator_parameters:SimulatorParameters",
    "scorer": "fcn_follow.nodes.scorer:ScorerParameters",
    "recorder": "fcn_follow.nodes.recorder:RecorderParameters",
}
PARAMETERS["segmenters"] = PARAMETERS["segmenter"]


def _run(name: str) -> NoReturn:
    """Run the node, then exit without the clean-up of native libraries, which crashes in about 1 of 20 runs.

    The node has closed what it opened.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_help(name))
        sys.exit(0)
    end_with_parent()

    def make_node() -> Any:
        return _named((NODES | FLEET)[name])()

    exit_code = run_node(make_node, by_events=name in FLYING)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def _help(name: str) -> str:
    """The help of a node: what it does, how to set parameters, and the list of them."""
    lines = [
        f"usage: ros2 run fcn_follow {name} [--ros-args [-p NAME:=VALUE] [--params-file FILE] [-r FROM:=TO] ...]",
        f"\n{DESCRIPTIONS[name]}\n\nParameters:",
    ]
    for parameter, info, default in walk_parameters(_named(PARAMETERS[name])()):
        unit = f" [{info.unit}]" if info.unit else ""
        allowed = f"; {info.allowed}" if info.choices else ""
        lines.append(f"  {parameter} ({json.dumps(default)})\n      {info.description}{unit}{allowed}")
    return "\n".join(lines)


DESCRIPTIONS = {
    "segmenter": "Images in, label mask and hero out.",
    "segmenters": "A segmenter for each namespace on the command line, with one network for all.",
    "follower": "Hero position in, velocity commands out.",
    "player": "Play frames, a video, a bag or a camera as image topics.",
    "simulator": "A drone with a camera in the simulated town.",
    "scorer": "Score published masks against true ones.",
    "recorder": "Record every topic into a bag.",
}
segmenter, segmenters, follower, player, simulator, scorer, recorder = (partial(_run, name) for name in DESCRIPTIONS)
"""The entry points of setup.py."""


def main() -> int:
    """Run the node named by the first argument."""
    if len(sys.argv) < 2 or sys.argv[1] not in NODES | FLEET:
        print(f"error: name a node: {', '.join(NODES | FLEET)}", file=sys.stderr)
        return 2
    return _run(sys.argv.pop(1))


if __name__ == "__main__":
    sys.exit(main())
