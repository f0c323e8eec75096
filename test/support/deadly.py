"""Work for `lab.spread` that kills its worker: importable by the workers, which the tests' modules are not."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from fcn_follow.errors import UserError

DEADLY, DEADLY_ONCE, IMPOSSIBLE = -1, -2, -3


@dataclass(frozen=True)
class Number:
    """A task; `notes` is a folder in which each call leaves a file."""

    value: int
    notes: Path


def square(number: Number) -> dict[str, int]:
    """The square of a number; the worker dies with DEADLY, and the first time with DEADLY_ONCE."""
    calls = len(list(number.notes.glob(f"{number.value}_*")))
    (number.notes / f"{number.value}_{calls}").touch()
    if number.value == DEADLY or (number.value == DEADLY_ONCE and calls == 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if number.value == IMPOSSIBLE:
        raise UserError("this is impossible")
    return {"square": number.value**2}


@dataclass(frozen=True)
class OfFile:
    """A task that reads a file; `notes` is a folder in which each call leaves a file."""

    path: Path
    notes: Path


def of_file(task: OfFile) -> dict[str, str]:
    """What the file holds."""
    (task.notes / str(len(list(task.notes.iterdir())))).touch()
    return {"content": task.path.read_text()}
