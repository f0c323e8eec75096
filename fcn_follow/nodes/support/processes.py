"""The nodes as child processes of the runner; they end with the runner at the latest."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

PARENT_VARIABLE = "FCN_FOLLOW_PARENT_PID"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
MAX_WARNINGS = 20
WARNING = re.compile(r"\[(?:WARN|ERROR)\] \[[\d.]+\] \[[\w./]+\]: (.+)")  # as rclpy prints them


class NodeProcess:
    """A node of this package in its own process; the last lines of its output and its first warnings are kept.

    It ends with the thread that started it, which should be the main thread.
    """

    def __init__(self, name: str, command: Sequence[str], parameters: Mapping[str, object]) -> None:
        """`command` starts the node and ends with ROS arguments, to which `parameters` are added."""
        self.name = name
        self._command = [*command]
        if parameters:  # in a section of the node's full name, because ROS lets -p override only a last section /**
            self._values = tempfile.NamedTemporaryFile(  # noqa: SIM115
                "w", prefix=f"{name}_", suffix=".yaml", encoding="utf-8", errors="surrogateescape"
            )
            values = {f"/{name}": {"ros__parameters": dict(parameters)}}
            json.dump(values, self._values, ensure_ascii=False)  # JSON is YAML
            self._values.flush()
            self._command += ["--params-file", self._values.name]

    def start(self) -> None:
        """Start the node, or restart it after its end."""
        self.last_lines: deque[str] = deque(maxlen=20)
        self.first_warnings: list[str] = []
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
                warning = WARNING.match(line)
                if warning and warning[1] not in self.first_warnings and len(self.first_warnings) < MAX_WARNINGS:
                    self.first_warnings.append(warning[1])

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the node runs."""
        return self.process.poll()

    def interrupt(self) -> None:
        """Ask the node to end, as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float) -> None:
        """Wait for the node's end and its last output; kill it if it does not end in time."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=1.0)

    def last_words(self) -> str:
        """The last line of its output, for a message to the user."""
        return self.last_lines[-1] if self.last_lines else "without output"


def start_node(
    name: str, params_files: Sequence[Path], parameters: Mapping[str, object], cmd_vel: str = "cmd_vel"
) -> NodeProcess:
    """Start a node of this package with parameter files and values; later ones override earlier ones, but for None.

    cmd_vel is the topic of its commands.
    """
    command = [sys.executable, "-m", "fcn_follow.nodes.executables", name, "--ros-args"]
    command += ["-r", f"cmd_vel:={cmd_vel}"]
    for path in params_files:
        command += ["--params-file", str(path)]
    node = NodeProcess(name, command, {key: value for key, value in parameters.items() if value is not None})
    node.start()
    return node


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when the process that started it as a NodeProcess ends.

    Other processes are not affected. Raises SystemExit if the parent has ended already.
    """
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:  # the parent ended before the call of prctl
        raise SystemExit(1)
