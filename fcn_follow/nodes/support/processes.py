"""The nodes as child processes of the runner: started with argument lists, watched, ended with it at the latest."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

PARENT_VARIABLE = "FCN_FOLLOW_PARENT_PID"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class NodeProcess:
    """One node of this package in a process of its own; the last lines that it wrote are kept.

    It ends with the thread that started it, which should be the main thread.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command
        self.start()

    def start(self) -> None:
        """Start it, again where it has ended."""
        self.last_lines: deque[str] = deque(maxlen=20)
        self.process = subprocess.Popen(  # noqa: S603
            self._command,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip():
                self.last_lines.append(line.rstrip())

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.process.poll()

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float) -> None:
        """Wait for its end and for its last lines; it is killed when it does not end in time."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=1.0)

    def last_words(self) -> str:
        """The last line that says something, for a message to the user."""
        return self.last_lines[-1] if self.last_lines else "it said nothing"


def start_node(name: str, params_files: Sequence[Path], parameters: Mapping[str, object]) -> NodeProcess:
    """Start a node of this package with YAML files of parameters and some values; what comes later wins."""
    command = [sys.executable, "-m", "fcn_follow.nodes.executables", name, "--ros-args"]
    for path in params_files:
        command += ["--params-file", str(path)]
    for key, value in parameters.items():
        command += ["-p", f"{key}:={json.dumps(value)}"]  # JSON is YAML, and text stays text
    return NodeProcess(name, command)


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when the one that made it a NodeProcess dies, however it dies.

    Any other process is left alone. Raises SystemExit where the parent is dead already.
    """
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:  # it died before the kernel was asked
        raise SystemExit(1)
