"""`fcn-follow bench`: speed on this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from fcn_follow.cli.options import Device, Json, WeightsFile, WeightsFiles
from fcn_follow.errors import UserError
from fcn_follow.inference.choice import check_threads
from fcn_follow.inference.exported import load_model
from fcn_follow.inference.kinds import PRECISIONS
from fcn_follow.inference.machine import find_device, library_versions, machine_name
from fcn_follow.lab.bench.engines import Limits, Plan, Speed, contenders, measure
from fcn_follow.lab.console import console, output, table_of
from fcn_follow.share import default_weights, share_directory

if TYPE_CHECKING:
    from fcn_follow.lab.bench.scoring import ScoringSpeed
    from fcn_follow.nodes.chain_bench import ChainSpeed, ChainSteps

ON_REQUEST = ("torch-compiled", "torch.compile")  # on a CPU the compilation takes a minute

bench = typer.Typer(no_args_is_help=True, add_completion=False)


@bench.callback()
def benchmarks() -> None:
    """Measure speed on this machine."""


@bench.command()
def engines(
    weights: WeightsFiles = None,
    engines: Annotated[
        str, typer.Option(help="Engines, and what to compare them with, NAME,NAME; default: all quick ones.")
    ] = "",
    device: Device = "auto",
    threads: Annotated[str, typer.Option(help="Numbers of threads, N,N.")] = "1",
    batch: Annotated[str, typer.Option(help="Frames at a time, N,N.")] = "1",
    size: Annotated[int, typer.Option(help="Side of the input in pixels; 0: that of the weights.", min=0)] = 0,
    rounds: Annotated[int, typer.Option(help="Frames for each engine.", min=5, max=100_000)] = 50,
    precision: Annotated[str, typer.Option(help="Precisions, NAME,NAME; default: all that each engine has.")] = "",
    as_json: Json = False,
) -> None:
    """Compare engines with plain PyTorch and other runtimes of the plain network; all run each frame in turn."""
    found = find_device(device).type
    known = contenders(found)
    names = [name for name in engines.split(",") if name]
    for name in names:
        if name not in known:
            raise UserError(f"engine {name!r} is not known on {found}; it must be one of {', '.join(known)}")
    precisions = [name for name in precision.split(",") if name]
    for name in precisions:
        if name not in PRECISIONS[1:]:
            raise UserError(f"--precision {name}: it must be one of {', '.join(PRECISIONS[1:])}")
    names = names or [name for name in known if found == "cuda" or name not in ON_REQUEST]
    counts = [int(n) for n in _numbers(threads, "--threads")]
    for count in counts:
        check_threads(count, console.print)
    batches = [int(n) for n in _numbers(batch, "--batch")]
    plan = Plan(weights or shipped_weights(), names, found, counts, batches, size, rounds, precisions)
    limits: Limits = {}
    with console.status("") as status:
        speeds = measure(plan, limits, lambda line: status.update(Text(line)))
    figures = {"engines": list(map(asdict, speeds)), "limits": list(map(asdict, limits.values()))}
    _finish(figures, as_json)
    if not as_json:
        _print_engines(speeds, limits)


@bench.command()
def chain(
    weights: WeightsFile = None,
    rates: Annotated[str, typer.Option(help="Camera rates in Hz, N,N.")] = "10,20,30,60",
    sizes: Annotated[str, typer.Option(help="Camera sizes, WIDTHxHEIGHT,WIDTHxHEIGHT.")] = "320x240,640x480,1280x720",
    seconds: Annotated[float, typer.Option(help="How long each.", min=1.0, max=86_400.0)] = 10.0,
    endurance: Annotated[
        float,
        typer.Option(help="Additional seconds with the last size at the last rate.", min=0.0, max=86_400.0),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Measure the live chain over DDS: image, segmenter, follower, command."""
    from fcn_follow.nodes.chain_bench import ChainRun, measure_chain, measure_steps

    if weights is not None:
        load_model(weights)  # refuses a wrong file before the nodes start
    runs = [ChainRun(*size, rate, seconds) for size in _sizes(sizes) for rate in _numbers(rates, "--rates")]
    if endurance:
        runs.append(replace(runs[-1], seconds=endurance))
    with console.status("") as status:
        status.update(Text("the steps of a frame"))
        steps = [measure_steps(*size, weights) for size in _sizes(sizes)]
        speeds = list(measure_chain(runs, weights, lambda line: status.update(Text(line))))
    _finish({"chain": list(map(asdict, speeds)), "steps": list(map(asdict, steps))}, as_json)
    if not as_json:
        _print_chain(speeds)
        _print_steps(steps)


@bench.command()
def scoring(
    frames: Annotated[Path, typer.Argument(help="Frames with masks: a folder or zip.")],
    weights: Annotated[
        list[Path] | None, typer.Option(help="Weights file; repeat for more; default: hero_net.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how many frames per second `fcn-follow score` scores."""
    from fcn_follow.lab.bench.scoring import measure_scoring

    speeds = []
    with console.status("") as status:
        for path in weights or [default_weights()]:
            status.update(Text(f"scoring with {path.stem}"))
            speeds.append(measure_scoring(frames, path))
    _finish({"scoring": list(map(asdict, speeds))}, as_json)
    if not as_json:
        _print_scoring(speeds)


@bench.command()
def simulator() -> None:
    """Measure how many frames per second the simulator draws."""
    from fcn_follow.simulation.renderer_bench import measure_renderer

    title = "Simulator's renderer on one core, frames per second"
    table = table_of(title, ["size"], ("shadows", "RGB", "RGB and labels"))
    for row in measure_renderer():
        shadows = "yes" if row.shadows else "no"
        table.add_row(f"{row.width_px}x{row.height_px}", shadows, f"{row.rgb_hz:.1f}", f"{row.rgb_and_labels_hz:.1f}")
    output(150).print(table)


@bench.command()
def page(
    frames: Annotated[
        Path | None, typer.Option(help="Measure first, scoring on these frames with masks: a folder or zip.")
    ] = None,
    to: Annotated[Path, typer.Option(help="The page; its figures are in the folder of the same name.")] = Path(
        "docs/performance.md"
    ),
) -> None:
    """Write docs/performance.md from the figures in docs/performance/; with --frames, measure them here first."""
    from fcn_follow.lab.bench import performance_page

    if frames is not None:
        with console.status("") as status:
            performance_page.measure(to, frames, lambda line: status.update(Text(line)))
    for path in performance_page.write_page(to):
        console.print(str(path))


def _finish(figures: dict[str, Any], as_json: bool) -> None:
    """Print the figures as JSON, if requested, with the machine and the command."""
    if as_json:
        arguments = [Path(word).name if _leads_outside(Path(word)) else word for word in sys.argv[1:]]
        about = {
            "command": shlex.join(["fcn-follow", *arguments]),
            "machine": machine_name(),
            "versions": library_versions(),
            "load_average": os.getloadavg()[0],
        }
        print(json.dumps(about | figures, indent=1))


def _leads_outside(path: Path) -> bool:
    """Whether the path names folders of this machine, which mean nothing elsewhere."""
    return path.is_absolute() or ".." in path.parts


def shipped_weights() -> list[Path]:
    """All weights that the package ships."""
    return sorted((share_directory() / "weights").glob("*.safetensors"))


def _print_engines(speeds: list[Speed], limits: Limits) -> None:
    out = output(150)
    table = table_of(
        f"Engines on {machine_name()}; all run each frame in turn", ("network", "engine", "precision"),
        ("size", "threads", "batch", "best ms", "median ms", "p99 ms", "frames/s", "x plain PyTorch", "of the limit"),
    )  # fmt: skip
    for row in speeds:
        where = (f"{row.width_px}x{row.height_px}", str(row.threads), str(row.batch))
        times = (f"{row.best_ms:.2f}", f"{row.median_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.frames_per_s:.0f}")
        ratios = (f"{row.times_faster:.1f}", f"{100 * row.share_of_limit:.0f} %")
        figures = (row.problem,) if row.problem else (*times, *ratios)
        table.add_row(row.network, row.engine, row.precision, *where, *figures)
    out.print(table)
    for limit in limits.values():
        out.print(
            f"limit of {limit.device}, {limit.precision}, {limit.threads} threads: {limit.gflop_s:.0f} GFLOP/s, "
            f"memory {limit.memory_gb_s:.1f} GB/s"
        )


def _print_chain(speeds: list[ChainSpeed]) -> None:
    table = table_of("Live chain: image over DDS, segmenter, follower, command", (), (
        "camera", "Hz", "s", "sent", "masks", "commands", "age median ms", "age p99 ms", "at first", "at last",
        "perception ms", "inference ms", "cores", "MB", "MB more",
    ))  # fmt: skip
    for row in speeds:
        table.add_row(
            f"{row.width_px}x{row.height_px}", f"{row.rate_hz:g}", f"{row.seconds:g}", str(row.sent), str(row.masks),
            str(row.commanded), f"{row.age_median_ms:.1f}", f"{row.age_p99_ms:.1f}", f"{row.age_begin_ms:.1f}",
            f"{row.age_end_ms:.1f}", f"{row.perception_median_ms:.1f}",
            f"{row.inference_median_ms:.1f}", f"{row.cores:.2f}", f"{row.memory_mb:.0f}",
            f"{row.memory_growth_mb:+.1f}",
        )  # fmt: skip
    output(150).print(table)


def _print_steps(steps: list[ChainSteps]) -> None:
    sizes = (f"{column.width_px}x{column.height_px}" for column in steps)
    table = table_of("Steps of a frame, each alone, in milliseconds", ["step"], sizes)
    for name in steps[0].steps_ms:
        table.add_row(name, *(f"{column.steps_ms[name]:.2f}" for column in steps))
    output(150).print(table)


def _print_scoring(speeds: list[ScoringSpeed]) -> None:
    numbers = ("decoding alone", "network alone", "scoring", "of decoding alone", "of the limit")
    table = table_of(f"Scoring on {speeds[0].cores} cores, frames per second", ("network", "engine"), numbers)
    for speed in speeds:
        for row in speed.engines:
            rates = (f"{rate:.0f}" for rate in (speed.decoding_hz, row.network_hz, row.scoring_hz))
            shares = (f"{100 * share:.0f} %" for share in (row.share_of_decoding, row.share_of_limit))
            table.add_row(speed.network, row.engine, *rates, *shares)
    output(150).print(table)


def _numbers(text: str, option: str) -> list[float]:
    if not re.fullmatch(r"\d{1,4}(,\d{1,4}){0,19}", text) or 0 in (numbers := [int(part) for part in text.split(",")]):
        raise UserError(f"{option} {text}: give whole numbers from 1 on, separated by commas")
    return [float(number) for number in numbers]


def _sizes(text: str) -> list[tuple[int, int]]:
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", part)
        if not match:
            raise UserError(f"--sizes {text}: give WIDTHxHEIGHT, such as 640x480, separated by commas")
        sizes.append((int(match[1]), int(match[2])))
    return sizes
