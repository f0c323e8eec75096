"""`fcn-follow run`: what scripts/follow calls."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from fcn_follow.cli.options import WeightsFile
from fcn_follow.errors import UserError
from fcn_follow.perception.ranging import METHODS
from fcn_follow.runner.follow import Runner, RunOptions

SIMULATED_S = 60.0


def _one_of(*allowed: str) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is not None and value not in allowed:
            raise typer.BadParameter(f"{value!r}; it must be one of {', '.join(allowed)}")
        return value

    return check


def run(
    source: Annotated[
        str | None,
        typer.Option(help="Folder or zip of frames, video, rosbag2 folder, or camera number; default: the simulator."),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="The simulator's scenario; `fcn-follow fly --list` lists them.")
    ] = None,
    vehicle: Annotated[
        str | None,
        typer.Option(
            callback=_one_of("mavlink", "odom"),
            help="Let another simulator fly the drone; its pose comes by mavlink or on the topic odom.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="In the simulator: a different seed gives other people, textures, wind.")
    ] = 0,
    record: Annotated[bool, typer.Option("--record", help="Record all topics as rosbag2 (mcap) in --out.")] = False,
    foxglove: Annotated[
        bool,
        typer.Option("--foxglove", help="Serve all topics to Foxglove in a browser (port 8765); needs foxglove-sdk."),
    ] = False,
    rate: Annotated[
        float, typer.Option(metavar="HZ", help="Frames per second, up to 1000; 0: by the stamps of the source.")
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="End after S seconds, 0: never; default: 60 s in the simulator, else the end of the source.",
        ),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play the source again and again.")] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="YAML", help="The camera's calibration file, for a source without camera_info."),
    ] = None,
    fov: Annotated[
        float | None,
        typer.Option(
            metavar="DEG",
            min=1.0,
            max=179.0,
            help="Horizontal angle of view of a camera without camera_info and calibration; default: 60.",
        ),
    ] = None,
    weights: WeightsFile = None,
    ranging: Annotated[
        str | None,
        typer.Option(callback=_one_of(*METHODS), help=f"Ranging method for the hero: {', '.join(METHODS)}."),
    ] = None,
    pointed: Annotated[
        bool,
        typer.Option(
            "--pointed",
            help="Follow the person you point at: a digit in the live status, or topic hero/point; default: trained.",
        ),
    ] = False,
    hero: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="Follow the hero whose appearance this file has; with --pointed it may be new: it is written when you "
            "point.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(callback=_one_of("auto", "cpu", "cuda"), help="Where the network runs: auto, cpu or cuda."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="The engine of the network; default: auto, the fastest that is installed.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Parameter file; default: config/follow.yaml.")
    ] = None,
    network: Annotated[
        bool,
        typer.Option(
            "--network",
            help="Let other machines receive the topics and command the nodes; default: only this machine.",
        ),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the recording.")] = Path("out"),
) -> None:
    """Segment a camera's frames, follow the hero, show and record the flight; no ROS install is needed."""
    if not 0 <= rate <= 1000:
        raise typer.BadParameter(f"{rate:g}: it must be 0 to 1000 Hz", param_hint="--rate")
    if duration is None:
        duration = SIMULATED_S if source is None else 0.0
    if not (math.isfinite(duration) and duration >= 0):
        raise typer.BadParameter(f"{duration:g}: it must be 0 or more seconds", param_hint="--duration")
    options = RunOptions(
        source=source, scenario=scenario, vehicle=vehicle, seed=seed, record=record, foxglove=foxglove, rate_hz=rate,
        duration_s=duration, loop=loop, calibration=calibration, fov_deg=fov, weights=weights, ranging=ranging,
        pointed=pointed, hero=hero, device=device, engine=engine, params=params, network=network, out=out,
    )  # fmt: skip
    runner: Runner | None = None
    interrupted = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        if runner is not None:
            runner.stopping = True

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        runner = Runner(options, Console())
        runner.stopping = interrupted
        runner.run()
    except UserError:
        raise
    except Exception as error:  # the nodes have ended anyway
        raise UserError(f"the runner failed: {type(error).__name__}: {error}") from error
