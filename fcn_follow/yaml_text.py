"""YAML read as plain data: bounded in size and depth, without aliases, which can expand without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fcn_follow.errors import UserError

MAX_YAML_BYTES = 1 << 20
MAX_YAML_DEPTH = 20
MISTAKES = (
    (
        "mapping values are not",
        False,
        "a ':' that cannot be here; indent names alike, and put a text with ': ' in quotes",
    ),
    ("'\\t' that cannot start", False, "a tab; indent with spaces"),
    ("cannot start any token", False, "a text that begins with this character must be in quotes"),
    ("expected <block end>", False, "this line does not fit the ones before it; check how they are indented"),
    ("could not find expected ':'", True, "a name without ': ' and a value"),
    ("expected ',' or", True, "this bracket is not closed, or a comma is missing in it"),
    ("unexpected end of stream", True, "this quote is not closed"),
)
"""Words of PyYAML about frequent mistakes, whether they began earlier, at its context, and plain words for them."""


def read_yaml(path: Path, what: str) -> Any:
    """The content of a YAML file. Raises UserError, with the file and `what` it should be, where it is refused."""
    try:
        with path.open("rb") as file:
            return parse_yaml(file.read(MAX_YAML_BYTES + 1).decode("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"it is no text in UTF-8: byte {error.start}"
    except UserError as error:
        reason = str(error)
    raise UserError(f"{path}: cannot be read as {what} ({reason})")


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
    except yaml.MarkedYAMLError as error:
        raise UserError(_mistake(error)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"line {line}: the character {error.character:#x}, which is no text") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: dates and numbers that do not exist
        raise UserError(" ".join(str(error).split())) from error


def _mistake(error: yaml.MarkedYAMLError) -> str:
    """Line, column and a plain sentence for a mistake; PyYAML's words for a rare one."""
    problem = error.problem or error.context or "no YAML"
    began_earlier, sentence = next(((b, s) for words, b, s in MISTAKES if words in problem), (False, problem))
    mark = (error.context_mark if began_earlier else error.problem_mark) or error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {sentence}" if mark else sentence
