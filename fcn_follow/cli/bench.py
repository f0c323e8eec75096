"""`fcn-follow bench`: how fast things are on this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.table import Table
from rich.text import Text

from fcn_follow.errors import UserError
from fcn_follow.inference.choice import ALLOWED, check_threads
from fcn_follow.inference.engine import ENGINES, check_installed, missing_for
from fcn_follow.inference.exported import load_model
from fcn_follow.inference.machine import find_device, library_versions, machine_name
from fcn_follow.lab.bench.engines import Plan, Roofs, Speed, measure
from fcn_follow.lab.console import console, output
from fcn_follow.share import default_weights, share_directory

if TYPE_CHECKING:
    from fcn_follow.lab.bench.scoring import ScoringSpeed
    from fcn_follow.nodes.chain_bench import ChainSpeed

ON_REQUEST = "torch-compiled"  # on a CPU it compiles for a minute


def bench(
    weights: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(
            help="Weights files; again for more. Default: all that come along; with --offline the project's own."
        ),
    ] = None,
    engines: Annotated[str, typer.Option(help="Engines, NAME,NAME; default all that are installed and quick.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[str, typer.Option(help="Numbers of threads, N,N.")] = "1",
    batch: Annotated[str, typer.Option(help="Frames at a time, N,N.")] = "1",
    size: Annotated[int, typer.Option(help="Side of the input in pixels; 0: as the weights want it.", min=0)] = 0,
    rounds: Annotated[int, typer.Option(help="Frames by each engine.", min=5, max=100_000)] = 50,
    node: Annotated[bool, typer.Option("--node", help="The live chain over DDS, from image to command.")] = False,
    rates: Annotated[str, typer.Option(help="With --node: camera rates in Hz.")] = "10,20,30,60",
    sizes: Annotated[str, typer.Option(help="With --node: camera sizes.")] = "320x240,640x480,1280x720",
    seconds: Annotated[float, typer.Option(help="With --node: for how long each.", min=1.0, max=86_400.0)] = 10.0,
    endurance: Annotated[
        float,
        typer.Option(
            help="With --node: then so many seconds more of the last size at the last rate.", min=0.0, max=86_400.0
        ),
    ] = 0.0,
    offline: Annotated[Optional[Path], typer.Option(help="Frames a second of scoring this folder or zip.")] = None,  # noqa: UP045
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Frames a second of the simulator's renderer.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on standard output.")] = False,
    page: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write tables and plots of engines and node into this Markdown file."),
    ] = None,
) -> None:
    """Measure speed on this machine: engines by default, in one interleaved run with plain PyTorch."""
    if simulator:
        _bench_simulator()
        return
    result: dict[str, Any] = {"machine": machine_name(), "versions": library_versions()}
    chain: list[ChainSpeed] = []
    speeds: list[Speed] = []
    scoring: list[ScoringSpeed] = []
    roofs: Roofs = {}
    if node or page:
        chain = _bench_node(_sizes(sizes), _numbers(rates, "--rates"), seconds, endurance, weights)
        result["node"] = [{**asdict(row), "ros2_benchmark": row.as_ros2_benchmark()} for row in chain]
    if offline is not None:
        scoring = _bench_offline(offline, weights)
        result["offline"] = [asdict(row) for row in scoring]
    if page or not (node or offline):
        plan = _plan(weights, engines, device, threads, batch, size, rounds)
        with console.status("") as status:
            speeds = list(measure(plan, roofs, lambda line: status.update(Text(line))))
        result["roofs"] = [asdict(roof) for roof in roofs.values()]
        result["engines"] = [asdict(speed) for speed in speeds]
    result["load_average"] = os.getloadavg()[0]
    if page:
        from fcn_follow.lab.bench.page import write_page

        for path in write_page(page, result, shlex.join(["fcn-follow", *sys.argv[1:]])):
            console.print(str(path))
    if as_json:
        print(json.dumps(result, indent=1))
        return
    if speeds:
        _print_engines(speeds, roofs)
    if chain:
        _print_chain(chain)
    if scoring:
        _print_scoring(scoring)


def _plan(
    weights: list[Path] | None, engines: str, device: str, threads: str, batch: str, size: int, rounds: int
) -> Plan:
    found = find_device(device).type
    names = [name for name in engines.split(",") if name]
    for name in names:
        check_installed(name)
    if not names:
        installed = [name for name in ENGINES if not missing_for(name) and (name, found) in ALLOWED]
        names = [name for name in installed if found == "cuda" or name != ON_REQUEST]
    counts = [int(n) for n in _numbers(threads, "--threads")]
    for count in counts:
        check_threads(count, console.print)
    batches = [int(n) for n in _numbers(batch, "--batch")]
    return Plan(weights or shipped_weights(), names, found, counts, batches, size, rounds)


def shipped_weights() -> list[Path]:
    """All weights that come with the package."""
    return sorted((share_directory() / "weights").glob("*.safetensors"))


def _bench_node(
    sizes: list[tuple[int, int]], rates: list[float], seconds: float, endurance_s: float, weights: list[Path] | None
) -> list[ChainSpeed]:
    from fcn_follow.nodes.chain_bench import ChainRun, measure_chain

    for path in weights or ():
        load_model(path)  # a wrong file is told before anything is started
    runs = [ChainRun(*size, rate, seconds) for size in sizes for rate in rates]
    if endurance_s:
        runs.append(replace(runs[-1], seconds=endurance_s))
    with console.status("") as status:
        return list(measure_chain(runs, weights[0] if weights else None, lambda line: status.update(Text(line))))


def _bench_offline(frames: Path, weights: list[Path] | None) -> list[ScoringSpeed]:
    from fcn_follow.lab.bench.scoring import measure_scoring

    with console.status("") as status:
        speeds = []
        for path in weights or [default_weights()]:
            status.update(Text(f"scoring with {path.stem}"))
            speeds.append(measure_scoring(frames, path))
    return speeds


def _bench_simulator() -> None:
    from fcn_follow.simulation.bench import measure_renderer

    table = Table(title="Simulator's renderer, one core, frames a second")
    table.add_column("size")
    for column in ("shadows", "RGB", "RGB and labels"):
        table.add_column(column, justify="right")
    for row in measure_renderer():
        shadows = "yes" if row.shadows else "no"
        table.add_row(f"{row.width_px}x{row.height_px}", shadows, f"{row.rgb_hz:.1f}", f"{row.rgb_and_labels_hz:.1f}")
    output(150).print(table)


def _print_engines(speeds: list[Speed], roofs: Roofs) -> None:
    out = output(150)
    table = Table(title=f"Engines on {machine_name()}; each frame by all of them in turn")
    for column in ("network", "engine", "precision"):
        table.add_column(column)
    for column in (
        "size", "threads", "batch", "best ms", "median ms", "p99 ms", "frames/s", "x plain PyTorch", "of the limit",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for row in speeds:
        where = (f"{row.width_px}x{row.height_px}", str(row.threads), str(row.batch))
        times = (f"{row.best_ms:.2f}", f"{row.median_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.frames_per_s:.0f}")
        ratios = (f"{row.times_faster:.1f}", f"{100 * row.share_of_limit:.0f} %")
        figures = (row.problem,) if row.problem else (*times, *ratios)
        table.add_row(row.network, row.engine, row.precision, *where, *figures)
    out.print(table)
    for roof in roofs.values():
        out.print(
            f"limit of {roof.device}, {roof.precision}, {roof.threads} threads: {roof.gflop_s:.0f} GFLOP/s, "
            f"memory {roof.memory_gb_s:.1f} GB/s"
        )


def _print_chain(chain: list[ChainSpeed]) -> None:
    table = Table(title="Live chain: image over DDS, segmenter, follower, command")
    for column in (
        "camera", "Hz", "s", "sent", "masks", "commands", "age median ms", "age p99 ms", "at first", "at last",
        "inference ms", "cores", "MB", "MB more",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for row in chain:
        table.add_row(
            f"{row.width_px}x{row.height_px}", f"{row.rate_hz:g}", f"{row.seconds:g}", str(row.sent), str(row.masks),
            str(row.commanded), f"{row.age_median_ms:.1f}", f"{row.age_p99_ms:.1f}", f"{row.age_begin_ms:.1f}",
            f"{row.age_end_ms:.1f}", f"{row.inference_median_ms:.1f}", f"{row.cores:.2f}", f"{row.memory_mb:.0f}",
            f"{row.memory_growth_mb:+.1f}",
        )  # fmt: skip
    output(150).print(table)


def _print_scoring(speeds: list[ScoringSpeed]) -> None:
    table = Table(title=f"Scoring on {speeds[0].cores} cores, frames a second")
    for column in ("network", "engine"):
        table.add_column(column)
    for column in ("decoding alone", "network alone", "scoring", "of decoding alone", "of decoding and network"):
        table.add_column(column, justify="right")
    for speed in speeds:
        for row in speed.engines:
            rates = (f"{rate:.0f}" for rate in (speed.decoding_hz, row.network_hz, row.scoring_hz))
            shares = (f"{100 * share:.0f} %" for share in (row.share_of_decoding, row.share_of_limit))
            table.add_row(speed.network, row.engine, *rates, *shares)
    output(150).print(table)


def _numbers(text: str, option: str) -> list[float]:
    if not re.fullmatch(r"\d{1,4}(,\d{1,4}){0,19}", text) or 0 in (numbers := [int(part) for part in text.split(",")]):
        raise UserError(f"{option} {text}: wanted are whole numbers from 1 on, with commas between them")
    return [float(number) for number in numbers]


def _sizes(text: str) -> list[tuple[int, int]]:
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", part)
        if not match:
            raise UserError(f"--sizes {text}: wanted is WIDTHxHEIGHT, such as 640x480, with commas between them")
        sizes.append((int(match[1]), int(match[2])))
    return sizes
