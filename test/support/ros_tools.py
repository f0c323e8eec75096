"""What the tests over real DDS share: a domain of their own, node processes, waiting for messages."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn_follow.nodes.executables import NODES

ROOT = Path(__file__).resolve().parents[2]
REAL_FRAMES = next(
    (path for path in (up / "shared" / "data" / "validation.zip" for up in ROOT.parents) if path.is_file()), None
)
GAZEBO_FLIGHT = next((path for path in (up / "shared" / "gazebo" for up in ROOT.parents) if path.is_dir()), None)
"""Frames with labels and odometry that a real Gazebo made of this project's world."""
STARTED: list[subprocess.Popen[str]] = []
LOOPBACK = "0100007F" if sys.byteorder == "little" else "7F000001"
"""127.0.0.1 as /proc/net writes it."""
PROFILE = ROOT / "config" / "fastdds_large_images.xml"


def node_environment(domain_id: int) -> dict[str, str]:
    """The environment of a child process: this checkout, a DDS domain of its own, this machine only."""
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "ROS_DOMAIN_ID": str(domain_id),
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(PROFILE),
    }


def start(command: list[str], domain_id: int, **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command,
        env={**node_environment(domain_id), **environment},
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
    if name == "segmenter" and not any("engine:=" in each or ".onnx" in each for each in ros_args):
        ros_args = (*ros_args, "-p", "engine:=torch")  # to measure all engines takes seconds at each start
    return start([*module, "--ros-args", *ros_args], domain_id)


LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *arguments = sys.argv[1:]
service = LaunchService()
given = [tuple(argument.split(":=", 1)) for argument in arguments]
service.include_launch_description(
    IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=given)
)
sys.exit(service.run())
"""


def start_launch(name: str, domain_id: int, prefix: Path, **arguments: object) -> subprocess.Popen[str]:
    """A launch file of this checkout, as `ros2 launch` runs it; `prefix` gets what colcon build would install."""
    executables = prefix / "lib" / "fcn_follow"
    executables.mkdir(parents=True)
    for node in NODES:
        script = executables / node
        script.write_text(f"#!{sys.executable}\nfrom fcn_follow.nodes.executables import {node}\n{node}()\n")
        script.chmod(0o755)
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "fcn_follow"
    marker.parent.mkdir(parents=True)
    marker.touch()
    path = ROOT / "launch" / f"{name}.launch.py"
    given = [f"{argument}:={value}" for argument, value in arguments.items()]
    prefixes = os.pathsep.join(filter(None, (str(prefix), os.environ.get("AMENT_PREFIX_PATH"))))
    return start([sys.executable, "-c", LAUNCH, str(path), *given], domain_id, AMENT_PREFIX_PATH=prefixes)


def skip_without_launch() -> None:
    for module in ("launch", "launch_ros"):
        pytest.importorskip(module, reason="launch and launch_ros come with a ROS install")


def ended_cleanly(output: str) -> list[str]:
    """The nodes of a launch that ended by themselves with exit code 0, the first one first."""
    return re.findall(r"\[(\w+)-\d+\]: process has finished cleanly", output)


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


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        return stat_of(pid)[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> dict[str, int]:
    """The pids of the node processes that a process has started, by the nodes' names."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(stat_of(int(folder.name))[1]) == pid:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                found[words[words.index("fcn_follow.nodes.executables") + 1]] = int(folder.name)
        except (OSError, ValueError):
            continue
    return found


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def loads_pytorch(pid: int) -> bool:
    """Whether a process has PyTorch in its memory, which only a segmenter needs: 1.2 s at each start, and 200 MB."""
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


def udp_addresses(pid: int) -> set[str]:
    """The local addresses of a process's UDP sockets, as /proc/net writes them."""
    targets = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            targets.append(str(link.readlink()))
    lines = [line.split() for name in ("udp", "udp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {fields[1].partition(":")[0] for fields in lines if f"socket:[{fields[9]}]" in targets}
