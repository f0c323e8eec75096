"""`fcn-follow` as the tests call it."""

from __future__ import annotations

import json
import subprocess
import sys
from inspect import signature
from typing import Any

from typer.testing import CliRunner

from fcn_follow.cli.app import app


def fcn_follow(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As a process of its own."""
    command = [sys.executable, "-m", "fcn_follow", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)


def invoke(*arguments: object) -> tuple[str, str]:
    """In this process, which is quicker: standard output and standard error. Raises what the command raises."""
    separate = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}  # click before 8.2
    result = CliRunner(**separate).invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def figures(*arguments: object) -> Any:
    """What the command prints as JSON."""
    return json.loads(invoke(*arguments, "--json")[0])
