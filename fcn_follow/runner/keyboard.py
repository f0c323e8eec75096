"""The keys pressed in a terminal, one by one and without echo."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Any

MAX_KEYS = 64


class Keyboard:
    """Within `with`, `pressed` gives the pressed keys. Without a terminal in the foreground there are none."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = (sys.stdin.fileno() if sys.stdin else -1) if descriptor is None else descriptor
        self._before: list[Any] | None = None

    def __enter__(self) -> Keyboard:
        with contextlib.suppress(OSError, termios.error):  # no terminal
            if os.tcgetpgrp(self._descriptor) == os.getpgrp():  # a process in the background would be stopped
                self._before = termios.tcgetattr(self._descriptor)
                tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            with contextlib.suppress(OSError, termios.error):  # the terminal is gone
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """The keys pressed since the last call, at once."""
        if self._before is None or not select.select([self._descriptor], [], [], 0.0)[0]:
            return ""
        try:
            return os.read(self._descriptor, MAX_KEYS).decode("ascii", "ignore")
        except OSError:
            return ""
