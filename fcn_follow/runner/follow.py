"""Fly without a ROS install: the nodes run as processes with the same YAML, beside a live status and a recording."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fcn_follow.errors import UserError
from fcn_follow.images.calibration import read_calibration
from fcn_follow.nodes.executables import NODES
from fcn_follow.nodes.support.appearance_file import read_appearance
from fcn_follow.nodes.support.interlock import (
    SIMULATED_CMD_VEL,
    check_node_names,
    enable_command,
    no_vehicle_hears,
    require_cmd_vel,
)
from fcn_follow.nodes.support.processes import NodeProcess, start_node
from fcn_follow.nodes.support.spinning import rclpy_running
from fcn_follow.perception.selection import POINTED
from fcn_follow.runner.keyboard import Keyboard
from fcn_follow.share import dds_environment, share_directory

if TYPE_CHECKING:
    from fcn_follow.nodes.flight_watcher import FlightWatcher
    from fcn_follow.nodes.foxglove_server import FoxgloveServer
    from fcn_follow.runner.flight_recorder import FlightRecorder

START_TIMEOUT_S = 120.0
NEVER_SEEN = (
    "The hero was never seen. These weights know one person: red hair, red top, dark trousers. To follow another, point"
    " at them (--pointed), or train weights for them (README)."
)
CAMERA = "camera"
END_TIMEOUT_S = 60.0  # for a node to end; the simulator writes its report then
DRAIN_S = 1.0  # for messages that are still on their way when the source has ended
MAX_RESTARTS = 3  # restarts of segmenter and follower together, within RESTART_WINDOW_S
RESTART_WINDOW_S = 60.0
MAX_TEXT_LENGTH = 500
DEFAULT_VIDEO_HZ = 15.0


@dataclass(frozen=True)
class RunOptions:
    """The options of a flight; None: the value of the parameter files. Without a source the simulator flies."""

    source: str | None
    scenario: str | None
    vehicle: str | None
    """What flies the simulator's drone, as in the simulator's parameter vehicle; None: internal."""
    seed: int
    record: bool
    foxglove: bool
    rate_hz: float
    """Frames per second of the source; 0: as in its stamps."""
    duration_s: float
    """Duration in s; 0: until the source ends."""
    loop: bool
    calibration: Path | None
    """The calibration file of the source's camera."""
    fov_deg: float | None
    """The horizontal field of view of a source's camera that is not calibrated."""
    weights: Path | None
    ranging: str | None
    pointed: bool
    """Whether the hero is the person the user points at."""
    hero: Path | None
    """The file of the appearance of a pointed hero."""
    device: str | None
    engine: str | None
    params: Path | None
    network: bool
    """Whether other machines may receive the topics and command the nodes."""
    out: Path


class Runner:
    """Starts the nodes, watches them, and ends them: first the camera, then the follower, which sends zero commands.

    A segmenter or follower that dies in flight is started again; the drone holds until the hero is found again.
    """

    def __init__(self, options: RunOptions, console: Console) -> None:
        self._options = options
        self._console = console
        config = share_directory() / "config"
        self._params = [options.params or config / "follow.yaml"]
        if options.source is None:
            self._params.append(config / "simulator.yaml")
        if options.vehicle == "mavlink":
            self._params.append(config / "simulator_mavlink.yaml")
        self._cmd_vel = "cmd_vel"
        self._nodes: dict[str, NodeProcess] = {}
        self._restarts_s: list[float] = []
        self.stopping = False
        self._begun_s = time.time()

    def run(self) -> None:
        """Fly from the start of the nodes to the summary. Raises UserError if the flight cannot begin or continue."""
        for path in self._params:
            if not path.is_file():
                raise UserError(f"{path}: there is no such parameter file")
            check_node_names(path, NODES)
        if self._options.source is None and self._options.vehicle is None:
            require_cmd_vel(self._params)
        if self._options.vehicle is None and no_vehicle_hears(self._params, self._options.source or ""):
            self._cmd_vel = SIMULATED_CMD_VEL
        _check_hero(self._options)
        os.environ.update(dds_environment(network=self._options.network))
        from fcn_follow.nodes.bag_recorder import BagRecorder
        from fcn_follow.nodes.flight_watcher import FlightWatcher
        from fcn_follow.nodes.support.sources import open_source
        from fcn_follow.runner.flight_recorder import FlightRecorder
        from fcn_follow.simulation.scenarios import find_scenario

        # A wrong source or scenario is reported before anything starts.
        if self._options.source is not None:
            for option in ("scenario", "vehicle"):
                if getattr(self._options, option) is not None:
                    raise UserError(f"--{option} belongs to the simulator; leave it out with --source")
            source = open_source(self._options.source)
            if self._options.calibration is not None:
                read_calibration(self._options.calibration, rectified=source.rectified)
        elif self._options.calibration is not None or self._options.fov_deg is not None:
            raise UserError("--calibration and --fov describe the camera of a --source; the simulator knows its own")
        elif self._options.scenario is not None:
            find_scenario(self._options.scenario)
        with rclpy_running():
            # The simulator makes its own video.
            video_hz = (self._options.rate_hz or DEFAULT_VIDEO_HZ) if self._options.source else 0.0
            recorder = FlightRecorder(self._options.out, video_hz)
            watcher = FlightWatcher(recorder, self._cmd_vel)
            viewers = self._serve_viewers() if self._options.foxglove else None
            bag = BagRecorder(self._options.out / "bag") if self._options.record else None
            try:
                self._start_nodes(watcher)
                self._fly(watcher, self._start_camera())
            finally:
                self._end_nodes(watcher)
                watcher.finish()
                recorder.close()
                if bag is not None:
                    bag.close()
                if viewers is not None:
                    viewers.close()
        self._report(watcher, recorder)
        for problem in [*recorder.problems, *(bag.problems if bag is not None else ())]:
            self._say(problem)

    def _say(self, text: str) -> None:
        """Print any text as a line."""
        self._console.print(plain(text), soft_wrap=True)

    def _serve_viewers(self) -> FoxgloveServer:
        from fcn_follow.nodes.foxglove_server import FoxgloveServer

        server = FoxgloveServer(network=self._options.network)
        layout = share_directory() / "config" / "foxglove_layout.json"
        self._say(f"Foxglove: open a connection to {server.url}; the layout is {layout}")
        return server

    def _start_nodes(self, watcher: FlightWatcher) -> None:
        self._say("Starting the segmenter and the follower ...")
        options = self._options
        segmenter = {
            "weights": options.weights and str(options.weights.resolve()),
            "ranging.method": options.ranging,
            "device": options.device,
            "engine": options.engine,
            "hero.selection": POINTED if options.pointed or options.hero is not None else None,
            "hero.appearance_file": options.hero and str(options.hero.resolve()),
        }
        self._nodes["segmenter"] = start_node("segmenter", self._params, segmenter)
        to_vehicle = self._cmd_vel != SIMULATED_CMD_VEL
        if to_vehicle:
            self._say(f"Another program may receive the commands: to start following, {enable_command()}")
        follower = {"start_enabled": None if to_vehicle else True}
        self._nodes["follower"] = start_node("follower", self._params, follower, self._cmd_vel)
        end_s = time.monotonic() + START_TIMEOUT_S
        while not (watcher.segmenter_is_ready() or self.stopping):
            watcher.spin(0.1)
            self._check_nodes()
            if watcher.foreign_camera():
                raise UserError(
                    f"another camera publishes {watcher.image_topic} already in ROS domain "
                    f"{os.environ.get('ROS_DOMAIN_ID', '0')}; stop it, or set ROS_DOMAIN_ID to another number"
                )
            if time.monotonic() > end_s:
                raise UserError(f"the segmenter was not ready after {START_TIMEOUT_S:.0f} s")

    def _start_camera(self) -> NodeProcess:
        options = self._options
        if options.source is None:
            simulator = {
                "scenario": options.scenario,
                "vehicle": options.vehicle,
                "seed": options.seed,
                "report": str(options.out.resolve()),
            }
            camera = start_node("simulator", self._params, simulator, self._cmd_vel)
        else:
            player = {
                "source": options.source,
                "rate_hz": options.rate_hz,
                "loop": options.loop,
                "calibration": options.calibration and str(options.calibration.resolve()),
                "horizontal_fov_deg": options.fov_deg,
            }
            camera = start_node("player", self._params, player)
        self._nodes[CAMERA] = camera
        return camera

    def _check_nodes(self) -> None:
        """Raise UserError if a node has ended too early."""
        for role, node in self._nodes.items():
            code = node.exit_code
            if code is not None and (code != 0 or role != CAMERA):
                raise UserError(_how_it_ended(node))

    def _restart_nodes(self) -> None:
        """Start segmenter and follower again if they have ended; UserError if that happens too often."""
        for role, node in self._nodes.items():
            if role == CAMERA or node.exit_code is None or self.stopping:
                continue
            ending = _how_it_ended(node)
            now_s = time.monotonic()
            self._restarts_s = [then_s for then_s in self._restarts_s if now_s - then_s < RESTART_WINDOW_S]
            if len(self._restarts_s) == MAX_RESTARTS:
                raise UserError(f"{ending}; after {MAX_RESTARTS} restarts in {RESTART_WINDOW_S:.0f} s the flight ends")
            self._restarts_s.append(now_s)
            self._say(f"{ending}; it is restarted")
            node.start()

    def _fly(self, watcher: FlightWatcher, camera: NodeProcess) -> None:
        live = Live(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        next_status_s = 0.0
        with live or nullcontext(), Keyboard() as keyboard:
            while not self.stopping and camera.exit_code is None:
                watcher.spin(0.05)
                for key in keyboard.pressed():
                    watcher.press(key)
                self._restart_nodes()
                now_s = time.monotonic()
                if self._options.duration_s and watcher.flight_time_s() >= self._options.duration_s:
                    return
                if now_s >= next_status_s:
                    next_status_s = now_s + (0.25 if live else 2.0)
                    if live:
                        live.update(status_table(watcher))
                    elif watcher.masks:
                        self._console.print(plain(watcher.one_line()))
        self._check_nodes()
        end_s = time.monotonic() + DRAIN_S
        while not self.stopping and time.monotonic() < end_s:
            watcher.spin(0.05)

    def _end_nodes(self, watcher: FlightWatcher) -> None:
        for name in (CAMERA, "follower", "segmenter"):
            node = self._nodes.get(name)
            if node is None:
                continue
            node.interrupt()
            end_s = time.monotonic() + END_TIMEOUT_S
            while node.exit_code is None and time.monotonic() < end_s:
                watcher.spin(0.05)
            node.wait(0.1)

    def _report(self, watcher: FlightWatcher, recorder: FlightRecorder) -> None:
        table = summary_table(watcher, recorder)
        for name in ("flight.csv", "flight.mp4", "flight.html", "flight.webm", "bag"):
            path = self._options.out / name
            if path.exists() and path.stat().st_mtime >= self._begun_s:
                table.add_row("written", plain(str(path)))
        self._console.print(table)
        if watcher.never_saw_the_hero and not (self._options.weights or self._options.pointed or self._options.hero):
            self._say(NEVER_SEEN)
        for warning in self._nodes[CAMERA].first_warnings:
            if self._options.source is not None or "the drone touched" in warning:  # not each slow second
                self._say(warning)


def _check_hero(options: RunOptions) -> None:
    """Raise UserError for an appearance file that cannot be used; only `pointed` makes a new one."""
    hero = options.hero
    if hero is not None and hero.exists():
        read_appearance(hero)
    elif hero is not None and not options.pointed:
        raise UserError(f"--hero {hero}: there is no such file; to point at the hero and write it, add --pointed")


def plain(text: str) -> Text:
    """Any text, made safe for a terminal: no markup, no control characters, at most MAX_TEXT_LENGTH characters."""
    return Text("".join(c if c.isprintable() else " " for c in text[:MAX_TEXT_LENGTH]))


def _how_it_ended(node: NodeProcess) -> str:
    """How a node has ended, in words."""
    node.wait(1.0)
    code = node.exit_code or 0
    if code < 0:
        return f"the {node.name} was killed by signal {-code}"
    return f"the {node.name} ended with exit code {code}: {node.last_words().removeprefix('error: ')}"


def status_table(watcher: FlightWatcher) -> Table:
    """The live status during the flight."""
    table = Table(title="fcn_follow", show_header=False, min_width=64)
    for name, value in watcher.status().items():
        table.add_row(name, plain(value))
    people = "1 to 9: the hero; " if watcher.has_candidates else ""
    table.caption = f"{people}{watcher.pilot.HELP}; Ctrl-C ends the flight"
    return table


def summary_table(watcher: FlightWatcher, recorder: FlightRecorder) -> Table:
    """The figures of the flight and the files of its recording."""
    table = Table(title="The flight", show_header=False, min_width=64)
    for name, value in watcher.summary().items():
        table.add_row(name, plain(value))
    total = recorder.total.iou
    if total is not None:
        ious = recorder.frame_ious
        table.add_row(
            "hero IoU", f"{total:.3f} over all pixels; {sum(ious) / len(ious):.3f} mean of {len(ious)} frames"
        )
    if recorder.frames_not_drawn:
        table.add_row("frames left out of the video", str(recorder.frames_not_drawn))
    return table
