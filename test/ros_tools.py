"""What the tests over real DDS share: a domain of their own, node processes, waiting for messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REAL_FRAMES = next(
    (path for path in (up / "shared" / "data" / "validation.zip" for up in ROOT.parents) if path.is_file()), None
)
STARTED: list[subprocess.Popen[str]] = []
PROFILE = ROOT / "config" / "fastdds_large_images.xml"


def node_environment(domain_id: int) -> dict[str, str]:
    """The environment of a child process: this checkout, a DDS domain of its own, this machine only."""
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "ROS_DOMAIN_ID": str(domain_id),
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(PROFILE),
        "OMP_NUM_THREADS": "1",
    }


def start(command: list[str], domain_id: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command,
        env=node_environment(domain_id),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    STARTED.append(process)
    return process


def start_node(name: str, domain_id: int, *ros_args: str) -> subprocess.Popen[str]:
    """One of the package's nodes as a process, with its ROS arguments."""
    module = [sys.executable, "-m", "fcn_follow.nodes.executables", name]
    return start([*module, "--ros-args", *ros_args], domain_id)


def parameter_arguments(parameters: dict[str, object]) -> list[str]:
    return [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]


def interrupt(process: subprocess.Popen[str], timeout_s: float = 20.0) -> str:
    """Ctrl-C, twice as a terminal and a launch file send it; everything the process printed."""
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    return finish(process, timeout_s)


def finish(process: subprocess.Popen[str], timeout_s: float = 60.0) -> str:
    """Wait for the end; what was printed. The process is killed when it does not end by itself."""
    try:
        return process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def wait_until(condition: Callable[[], bool], step: Callable[[], None], timeout_s: float = 30.0) -> bool:
    """Call `step` until `condition` holds; whether it did in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        step()
    return True
