"""`fcn-follow` as the tests call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any
from unittest.mock import patch

from ros_tools import ROOT

from fcn_follow.cli import main


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As a process of its own."""
    command = [sys.executable, "-m", "fcn_follow", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=250)


def fcn_follow(*arguments: object) -> subprocess.CompletedProcess[str]:
    """In this process, without the seconds that a new one takes to import PyTorch; prints and ends like a process."""
    command = ["fcn-follow", *map(str, arguments)]
    code: Any = 0
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with (
        patch.object(sys, "argv", command),
        patch.dict(os.environ),
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as errors,
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue())


def invoke(*arguments: object) -> tuple[str, str]:
    """Standard output and standard error of a command that must succeed."""
    done = fcn_follow(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def figures(*arguments: object) -> Any:
    """What the command prints as JSON."""
    return json.loads(invoke(*arguments, "--json")[0])
