"""`fcn-follow fly` and `fcn-follow synthesize`: closed-loop flights and frames to train on, from the simulator.

The simulator is imported when a command runs: without a way to draw, the other commands still work.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fcn_follow.deployment.choice import EngineRequest, candidates
from fcn_follow.errors import UserError
from fcn_follow.networks.weights import load_weights
from fcn_follow.share import default_weights

if TYPE_CHECKING:
    from fcn_follow.simulation.figures import Figures
    from fcn_follow.simulation.scenarios import Scenario

console = Console(stderr=True)


def synthesize(
    out: Annotated[Path, typer.Option(help="Folder to write: new, empty, or an earlier part of the same run.")],
    count: Annotated[int, typer.Option(help="Frames to make.")] = 1000,
    size: Annotated[str, typer.Option(help="Pixels, WIDTHxHEIGHT.")] = "256x256",
    seed: Annotated[int, typer.Option(help="Another seed, other frames; the same seed, the same bytes.")] = 0,
    no_hero: Annotated[float, typer.Option(help="Share of frames without a hero, 0 to 1.")] = 0.35,
    far: Annotated[float, typer.Option(help="Share of far heroes (4 to 200 px of 256x256) among the others.")] = 0.6,
    hero_top: Annotated[Optional[str], typer.Option(help="Colour of the hero's top, #rrggbb or a name.")] = None,  # noqa: UP045
    hero_hair: Annotated[Optional[str], typer.Option(help="Colour of the hero's hair.")] = None,  # noqa: UP045
    hero_bottom: Annotated[Optional[str], typer.Option(help="Colour of the hero's trousers.")] = None,  # noqa: UP045
    hero_shoes: Annotated[Optional[str], typer.Option(help="Colour of the hero's shoes.")] = None,  # noqa: UP045
    hero_skin: Annotated[Optional[str], typer.Option(help="Colour of the hero's skin.")] = None,  # noqa: UP045
    processes: Annotated[int, typer.Option(help="Processes that draw side by side.", min=1, max=64)] = 2,
) -> None:
    """Make training frames with masks and depth; stop with Ctrl-C, run the same command again to go on."""
    from fcn_follow.simulation.synthesize import SynthesisOptions
    from fcn_follow.simulation.synthesize import synthesize as write_frames

    given = {"top": hero_top, "hair": hero_hair, "bottom": hero_bottom, "shoes": hero_shoes, "skin": hero_skin}
    clothes = {name: colour for name, colour in given.items() if colour is not None}
    width_px, height_px = _size(size)
    options = SynthesisOptions(count, width_px, height_px, seed, no_hero, far, clothes)
    columns = (
        TextColumn("synthesizing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=count)
        try:
            for done in write_frames(options, out, processes):
                progress.update(task, completed=done)
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on from here")
            raise typer.Exit(130) from None
    console.print(f"{count} frames in {out}", highlight=False)


def fly(
    scenario: Annotated[
        str, typer.Option(help="Which flight, default straight; with --suite which ones, NAME,NAME, default all.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Another seed: other people, textures, wind.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder for report, table and video.")] = Path("out"),
    weights: Annotated[Optional[Path], typer.Option(help="Weights file; default the project's own.")] = None,  # noqa: UP045
    engine: Annotated[str, typer.Option(help="What runs the network, in fp32 (see fcn-follow score).")] = "torch",
    true_positions: Annotated[
        bool, typer.Option("--true-positions", help="Fly by the true hero position instead of a network.")
    ] = False,
    suite: Annotated[bool, typer.Option("--suite", help="Fly many and make a table.")] = False,
    seeds: Annotated[int, typer.Option(help="Seeds for each scenario of the suite.", min=1, max=1000)] = 3,
    duration: Annotated[Optional[float], typer.Option(help="Seconds, instead of the scenario's own.", min=1)] = None,  # noqa: UP045
    processes: Annotated[int, typer.Option(help="Flights side by side in the suite.", min=1, max=64)] = 2,
    list_scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios and stop.")] = False,
) -> None:
    """Fly the follower in the simulated town, without ROS, in lockstep: the same seed gives the same flight."""
    from fcn_follow.simulation.scenarios import SCENARIOS, find_scenario

    if list_scenarios:
        for known in SCENARIOS:
            print(f"{known.name:15} {known.told}")
        return
    names = [s.name for s in SCENARIOS] if suite and not scenario else (scenario or "straight").split(",")
    chosen = [find_scenario(name) for name in names]
    path = None if true_positions else weights or default_weights()
    if path is not None:
        load_weights(path)  # a wrong file is told before anything is flown
        candidates(EngineRequest(engine, precision="fp32"))
    if len(chosen) > 1 and not suite:
        raise UserError("more than one scenario is flown with --suite")
    try:
        if suite:
            _fly_suite(chosen, seeds, path, duration, processes, out, engine)
        else:
            _fly_one(chosen[0], seed, path, duration, out, engine)
    except KeyboardInterrupt:
        console.print(f"stopped; what was finished is in {out}", highlight=False)
        raise typer.Exit(130) from None


def _fly_one(
    scenario: Scenario, seed: int, weights: Path | None, duration_s: float | None, out: Path, engine: str
) -> None:
    from fcn_follow.simulation.recorded import fly_recorded

    total_s = duration_s or scenario.duration_s
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(scenario.name, total=total_s)
        result, page = fly_recorded(
            scenario, seed, weights, out, duration_s, lambda now_s: progress.update(task, completed=now_s), engine
        )
    print_figures([result])
    console.print(f"report: {page}", highlight=False)


def _fly_suite(
    scenarios: list[Scenario],
    seeds: int,
    weights: Path | None,
    duration_s: float | None,
    processes: int,
    out: Path,
    engine: str,
) -> None:
    from fcn_follow.simulation.demands import judge
    from fcn_follow.simulation.figures import figures
    from fcn_follow.simulation.report import write_suite_report
    from fcn_follow.simulation.suite import Task, run_suite, save_tables

    tasks = [Task(scenario.name, seed, weights, duration_s, engine) for scenario in scenarios for seed in range(seeds)]
    make_folder(out)
    flown = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("flying", total=len(tasks))
        for log in run_suite(tasks, processes):
            flown.append(figures(log))
            progress.update(task, advance=1, description=f"flew {log.scenario.name} {log.seed}")
            save_tables(out, flown, scenarios)
    write_suite_report(out / "suite.html", flown, scenarios)
    print_figures(flown)
    demands = Table(title="Demands")
    for column in ("demand", "found", "met"):
        demands.add_column(column)
    for row in judge(flown, scenarios):
        demands.add_row(row.demand, row.found, "yes" if row.met else "no")
    _wide_console().print(demands)
    console.print(f"tables and report: {out}", highlight=False)


def print_figures(flown: list[Figures]) -> None:
    """One row a scenario on standard output."""
    from fcn_follow.simulation.figures import scenario_means

    table = Table(title="Flights; worst of the seeds for re-acquiring, closest, contacts and limits, else the mean")
    table.add_column("scenario")
    shown = {"hero_in_frame": "in frame", "right_person": "right person", "distance_rms_m": "distance RMS m",
             "height_rms_m": "height RMS m", "bearing_rms_rad": "bearing RMS rad", "reacquire_s": "re-acquire s",
             "closest_person_m": "closest m", "contacts": "contacts", "limit_violations": "limits",
             "mean_iou": "IoU"}  # fmt: skip
    for title in shown.values():
        table.add_column(title, justify="right")
    for row in scenario_means(flown):
        table.add_row(str(row["scenario"]), *(_cell(name, float(row[name])) for name in shown))
    _wide_console().print(table)


def make_folder(out: Path) -> None:
    """Make `out` where it is not there; UserError where that cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from error


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if name in ("hero_in_frame", "right_person"):
        return f"{100 * value:.1f} %"
    return f"{value:.0f}" if name in ("contacts", "limit_violations") else f"{value:.2f}"


def _wide_console() -> Console:
    return Console(width=None if Console().is_terminal else 150, highlight=False)


def pictures(
    out: Annotated[Path, typer.Option(help="Folder to write them into.")] = Path("docs/images/simulation"),
) -> None:
    """Draw the pictures of docs/simulation.md anew."""
    from fcn_follow.simulation.pictures import write_pictures

    for path in write_pictures(out):
        console.print(str(path), highlight=False)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise UserError(f"--size {text}: wanted is WIDTHxHEIGHT, such as 320x240")
    return int(match[1]), int(match[2])
