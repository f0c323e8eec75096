"""`fcn-follow fly`: closed-loop flights in the simulator.

The simulator is imported when a command runs: without a way to draw, the other commands still work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fcn_follow.errors import UserError
from fcn_follow.inference.choice import EngineRequest, candidates
from fcn_follow.inference.exported import load_model
from fcn_follow.lab.console import console, output
from fcn_follow.networks.weights import require_metres
from fcn_follow.perception.ranging import METHODS
from fcn_follow.share import default_weights

if TYPE_CHECKING:
    from fcn_follow.simulation.figures import Figures
    from fcn_follow.simulation.scenarios import Scenario
    from fcn_follow.simulation.suite import EyesSpec


def fly(
    scenario: Annotated[
        str,
        typer.Option(help="Which flight, default straight; with --suite which ones, NAME,NAME, default all."),
    ] = "",
    seed: Annotated[int, typer.Option(help="Another seed: other people, textures, wind.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder for report, table and video.")] = Path("out"),
    weights: Annotated[Optional[Path], typer.Option(help="Weights file; default the project's own.")] = None,  # noqa: UP045
    engine: Annotated[str, typer.Option(help="What runs the network, in fp32 (see fcn-follow score).")] = "torch",
    true_positions: Annotated[
        bool, typer.Option("--true-positions", help="Fly by the true hero position instead of a network.")
    ] = False,
    ranging: Annotated[
        str, typer.Option(help="How the distance is found: apparent_height, ground_plane or depth.")
    ] = "apparent_height",
    compare_ranging: Annotated[
        bool, typer.Option("--compare-ranging", help="Fly the suite by each way to find the distance; one table.")
    ] = False,
    suite: Annotated[bool, typer.Option("--suite", help="Fly many and make a table.")] = False,
    seeds: Annotated[
        int, typer.Option(help="Seeds for each scenario of the suite, or flights with faults.", min=1, max=10000)
    ] = 3,
    duration: Annotated[Optional[float], typer.Option(help="Seconds, instead of the scenario's own.", min=1)] = None,  # noqa: UP045
    faults: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Fly with random faults, --seeds flights; this is the seed of the first one.", min=0),
    ] = None,
    processes: Annotated[int, typer.Option(help="Flights side by side in the suite.", min=1, max=64)] = 2,
    list_scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios and stop.")] = False,
) -> None:
    """Fly the follower in the simulated town, without ROS, in lockstep: the same seed gives the same flight."""
    from fcn_follow.simulation.scenarios import SCENARIOS, find_scenario

    if list_scenarios:
        for known in SCENARIOS:
            print(f"{known.name:15} {known.told}")
        return
    many = suite or compare_ranging
    knows_depth = compare_ranging or true_positions or ranging == "depth"
    chosen = [find_scenario(name) for name in (scenario or "straight").split(",")]
    if many and not scenario:
        chosen = [known for known in SCENARIOS if knows_depth or not known.misleads_height]
    if len(chosen) > 1 and not many:
        raise UserError("more than one scenario is flown with --suite")
    methods = METHODS if compare_ranging else (ranging,)
    eyes = [_eyes(true_positions, weights, engine, method) for method in methods]
    try:
        if faults is not None:
            _fly_with_faults(faults, seeds, eyes[0], processes, out)
            return
        if compare_ranging:
            _compare(chosen, seeds, eyes, duration, processes, out)
        elif suite:
            _fly_suite(chosen, seeds, eyes[0], duration, processes, out)
        else:
            _fly_one(chosen[0], seed, eyes[0], duration, out)
    except KeyboardInterrupt:
        console.print(f"stopped; what was finished is in {out}")
        raise typer.Exit(130) from None


def _eyes(true_positions: bool, weights: Path | None, engine: str, ranging: str) -> EyesSpec:
    """What looks; what is wrong with it is told before anything is flown."""
    from fcn_follow.simulation.suite import EyesSpec

    if ranging not in METHODS:
        raise UserError(f"--ranging {ranging}: allowed is {', '.join(METHODS)}")
    if true_positions:
        if ranging != METHODS[0]:
            raise UserError("--true-positions is flown without any ranging")
        return EyesSpec()
    path = weights or default_weights()
    card = load_model(path).card
    candidates(EngineRequest(engine, precision="fp32"))
    if ranging == "depth":
        require_metres(card)
    return EyesSpec(path, engine, ranging)


def _fly_one(scenario: Scenario, seed: int, eyes: EyesSpec, duration_s: float | None, out: Path) -> None:
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
            scenario, seed, eyes, out, duration_s, lambda now_s: progress.update(task, completed=now_s)
        )
    print_figures([result])
    console.print(f"report: {page}")


def _fly_suite(
    scenarios: list[Scenario],
    seeds: int,
    eyes: EyesSpec,
    duration_s: float | None,
    processes: int,
    out: Path,
) -> None:
    from fcn_follow.simulation.demands import judge
    from fcn_follow.simulation.report import write_suite_report
    from fcn_follow.simulation.suite import save_tables

    make_folder(out)
    flown: list[Figures] = []
    for flight in _flights(scenarios, seeds, eyes, duration_s, processes):
        flown.append(flight)
        save_tables(out, flown, scenarios)
    write_suite_report(out / "suite.html", flown, scenarios)
    print_figures(flown)
    demands = Table(title="Demands")
    for column in ("demand", "found", "met"):
        demands.add_column(column)
    for row in judge(flown, scenarios):
        demands.add_row(row.demand, row.found, "yes" if row.met else "no")
    output(150).print(demands)
    console.print(f"tables and report: {out}")


def _fly_with_faults(first_seed: int, flights: int, eyes: EyesSpec, processes: int, out: Path) -> None:
    from fcn_follow.simulation.fault_flights import FaultFlight, Task, run, save_flights
    from fcn_follow.simulation.suite import run_all

    make_folder(out)
    tasks = [Task(seed, eyes) for seed in range(first_seed, first_seed + flights)]
    flown: list[FaultFlight] = []
    table = Table(title="What went wrong")
    for column in ("seed", "scenario", "faults", "failures"):
        table.add_column(column)
    with _progress() as progress:
        bar = progress.add_task("flying", total=len(tasks))
        for flight in run_all(run, tasks, processes):
            flown.append(flight)
            save_flights(out, flown)
            progress.update(bar, advance=1, description=f"flew {flight.scenario} {flight.seed}")
            if flight.failures:
                kinds = ", ".join(f"{fault.kind} at {fault.begin_s:g} s" for fault in flight.faults)
                table.add_row(str(flight.seed), flight.scenario, kinds, "; ".join(flight.failures))
    failed = sum(bool(flight.failures) for flight in flown)
    if failed:
        output(150).print(table)
    approach_m = min(flight.approach_m for flight in flown)
    faults = sum(len(flight.faults) for flight in flown)
    print(
        f"flights: {len(flown)}, faults: {faults}, flights that failed: {failed}, contacts: "
        f"{sum(bool(flight.contact) for flight in flown)}, nearest to anybody while flying at them: {approach_m:.2f} m"
    )
    console.print(f"table: {out / 'faults.json'}", highlight=False)
    if failed:
        raise typer.Exit(1)


def _compare(
    scenarios: list[Scenario],
    seeds: int,
    ways: list[EyesSpec],
    duration_s: float | None,
    processes: int,
    out: Path,
) -> None:
    from fcn_follow.simulation.ranging_table import ranging_rows, save_ranging

    make_folder(out)
    flown: dict[str, list[Figures]] = {eyes.ranging: [] for eyes in ways}
    for eyes in ways:
        for flight in _flights(scenarios, seeds, eyes, duration_s, processes):
            flown[eyes.ranging].append(flight)
            save_ranging(out, flown)
    table = Table(title="RMS distance error in metres, by how the distance is found")
    table.add_column("scenario")
    for eyes in ways:
        table.add_column(eyes.ranging.replace("_", " "), justify="right")
    for row in ranging_rows(flown):
        cells = zip(row.distance_rms_m.values(), row.contacts.values(), strict=True)
        table.add_row(row.scenario, *(f"{error_m:.2f}" + (" contact" if hit else "") for error_m, hit in cells))
    output(150).print(table)
    console.print(f"table: {out / 'ranging.json'}")


def _flights(
    scenarios: list[Scenario], seeds: int, eyes: EyesSpec, duration_s: float | None, processes: int
) -> Iterator[Figures]:
    """The figures of each flight as it ends, under a progress bar."""
    from fcn_follow.simulation.figures import figures
    from fcn_follow.simulation.suite import Task, run, run_all

    tasks = [Task(scenario.name, seed, eyes, duration_s) for scenario in scenarios for seed in range(seeds)]
    with _progress() as progress:
        task = progress.add_task("flying", total=len(tasks))
        for log in run_all(run, tasks, processes):
            progress.update(task, advance=1, description=f"flew {log.scenario.name} {log.seed}")
            yield figures(log)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)


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
    output(150).print(table)


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
