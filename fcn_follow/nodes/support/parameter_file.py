"""config/follow.yaml, written from the parameter dataclasses: `fcn-follow parameters`."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterator

from fcn_follow.nodes.support.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.support.player_parameters import PlayerParameters
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.simulator_parameters import SimulatorParameters
from fcn_follow.parameters import ParameterInfo, ParameterValue, walk_parameters
from fcn_follow.shared_parameters import SHARED_NAMES, SharedParameters

HEAD = """\
# Parameters of fcn_follow, with their defaults: what follow.launch.py and scripts/follow give to every node. Made by
# `fcn-follow parameters`. An unknown name or an impossible value is refused at start; `ros2 param describe NODE NAME`
# shows description, unit and range. What is marked "at start" cannot change while the node runs.
"""
SHARED_COMMENT = "For all nodes that need them. Keep this section last: -p overrides only the sections before it."
SECTIONS = {
    "/**/segmenter": SegmenterParameters(),
    "/**/player": PlayerParameters(),
    "/**/simulator": SimulatorParameters(),
    "/**/follower": FollowerNodeParameters(),
}
WIDTH = 120
COMMENT_COLUMN = 34
_PLAIN_TEXT = re.compile(r"[a-z][a-z0-9_/]*")


def follow_yaml() -> str:
    """The content of config/follow.yaml."""
    sections = [_section(name, parameters, SHARED_NAMES) for name, parameters in SECTIONS.items()]
    sections.append(_section("/**", SharedParameters(), frozenset(), SHARED_COMMENT))
    return "\n".join([HEAD, *(line for section in sections for line in (*section, ""))])


def _section(name: str, parameters: object, left_out: frozenset[str], comment: str = "") -> Iterator[str]:
    if comment:
        yield f"# {comment}"
    own = [info for name, info, _ in walk_parameters(parameters) if name not in left_out]
    at_start = all(info.read_only for info in own)
    if at_start:
        yield "# All of these are set at start."
    yield f"{name}:"
    yield "  ros__parameters:"
    yield from _lines(parameters, "", left_out, "    ", mark=not at_start)


def _lines(parameters: object, prefix: str, left_out: frozenset[str], indent: str, mark: bool) -> Iterator[str]:
    for item in dataclasses.fields(parameters):  # type: ignore[arg-type]
        value = getattr(parameters, item.name)
        if dataclasses.is_dataclass(value):
            group = list(_lines(value, f"{prefix}{item.name}.", left_out, indent + "  ", mark))
            if group:
                yield f"{indent}{item.name}:"
                yield from group
        elif prefix + item.name not in left_out:
            yield from _commented(f"{indent}{item.name}: {_text(value)}", _comment(item.metadata["parameter"], mark))


def _commented(line: str, comment: str) -> Iterator[str]:
    """The comment behind the value if there is room, else above it."""
    one = f"{line:<{COMMENT_COLUMN}} # {comment}"
    if len(one) <= WIDTH:
        yield one
        return
    indent = line[: len(line) - len(line.lstrip())]
    yield from textwrap.wrap(comment, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    yield line


def _comment(info: ParameterInfo, mark: bool) -> str:
    unit = f" [{info.unit}]" if info.unit else ""
    at_start = "at start" if mark and info.read_only else ""
    return "; ".join(filter(None, (" | ".join(info.choices), info.description + unit, at_start)))


def _text(value: ParameterValue) -> str:
    return value if isinstance(value, str) and _PLAIN_TEXT.fullmatch(value) else json.dumps(value)
