"""YAML read as plain data: bounded in size and depth, without aliases, which can expand without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fcn_follow.errors import UserError

MAX_YAML_BYTES = 1 << 20
MAX_YAML_DEPTH = 20


def read_yaml(path: Path, what: str) -> Any:
    """The content of a YAML file. Raises UserError, with the file and `what` it should be, where it is refused."""
    try:
        with path.open("rb") as file:
            return parse_yaml(file.read(MAX_YAML_BYTES + 1).decode("utf-8"))
    except (OSError, UnicodeDecodeError, UserError) as error:
        raise UserError(f"{path}: cannot be read as {what} ({error})") from error


def parse_yaml(text: str) -> Any:
    """The content of a YAML text. Raises UserError if it is damaged, too large, too deep, or has aliases."""
    if len(text) > MAX_YAML_BYTES:
        raise UserError(f"larger than {MAX_YAML_BYTES >> 20} MB")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_YAML_DEPTH:
                raise UserError(f"nested deeper than {MAX_YAML_DEPTH} levels")
            if isinstance(event, yaml.AliasEvent):
                raise UserError(f"has an alias (*{event.anchor}); write it out")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: dates and numbers that do not exist
        raise UserError(" ".join(str(error).split())) from error
