"""`fcn-follow fly`: closed-loop flights in the simulator.

Each command imports the simulator when it runs: the help needs none of its libraries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fcn_follow.cli.options import KEPT, On, Resume, WeightsFile
from fcn_follow.errors import UserError
from fcn_follow.files import make_folder
from fcn_follow.inference.choice import EngineRequest, candidates
from fcn_follow.inference.exported import load_model
from fcn_follow.lab.console import console, output, progress_bar, stopped_by_ctrl_c, table_of
from fcn_follow.lab.spread import Deaths, Journal, check_on
from fcn_follow.networks.weights import require_metres
from fcn_follow.perception.ranging import METHODS
from fcn_follow.share import default_weights

if TYPE_CHECKING:
    from fcn_follow.simulation.episode import Frame
    from fcn_follow.simulation.figures import Figures
    from fcn_follow.simulation.scenarios import Scenario
    from fcn_follow.simulation.suite import EyesSpec


FlightT = TypeVar("FlightT")
fly = typer.Typer(no_args_is_help=True, add_completion=False)

One = Annotated[str, typer.Option(help="The scenario; `fcn-follow fly --list` lists them.")]
Several = Annotated[str, typer.Option(help="The scenarios, NAME,NAME; default: all that suit --ranging.")]
Seeds = Annotated[int, typer.Option(help="Flights of each scenario, with seeds from 0 on.", min=1, max=10000)]
Out = Annotated[Path, typer.Option(help="Folder for tables, report and video.")]
Engine = Annotated[str, typer.Option(help="The engine of the network, in fp32 (see fcn-follow score).")]
TruePositions = Annotated[
    bool, typer.Option("--true-positions", help="Use the true hero position instead of a network.")
]
Pointed = Annotated[
    bool,
    typer.Option(
        "--pointed",
        help="Follow a person in one of ten outfits, chosen by the seed; a simulated user points at the start.",
    ),
]
Outfits = Annotated[
    bool,
    typer.Option(
        "--outfits", help="Dress hero and lookalikes as with --pointed; the hero is still that of the weights."
    ),
]
Ranging = Annotated[str, typer.Option(help=f"Ranging method: {', '.join(METHODS)}.")]
Duration = Annotated[float | None, typer.Option(help="Seconds, instead of the scenario's own.", min=1)]
Processes = Annotated[int, typer.Option(help="Flights at the same time.", min=1, max=64)]


def _list_scenarios(wanted: bool) -> None:
    if wanted:
        from fcn_follow.simulation.scenarios import SCENARIOS

        for scenario in SCENARIOS:
            print(f"{scenario.name:15} {scenario.description}")
        raise typer.Exit


@fly.callback()
def flights(
    _list: Annotated[
        bool, typer.Option("--list", is_eager=True, callback=_list_scenarios, help="List the scenarios and exit.")
    ] = False,
) -> None:
    """Fly the follower in the simulated town, without ROS, in lockstep: the same seed gives the same flight."""


@fly.command()
def one(
    scenario: One = "straight",
    seed: Annotated[int, typer.Option(help="Another seed: other people, textures, wind.", min=0)] = 0,
    out: Out = Path("out"),
    weights: WeightsFile = None,
    engine: Engine = "torch",
    true_positions: TruePositions = False,
    pointed: Pointed = False,
    outfits: Outfits = False,
    ranging: Ranging = METHODS[0],
    duration: Duration = None,
    move: Annotated[
        str | None,
        typer.Option(
            help="From the fifth second on: orbit or lead the hero, or dolly away and back; the distance error is "
            "measured from the set point at the start."
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="New folder for the camera's frames and their true masks, for `enrol` or `score`."),
    ] = None,
) -> None:
    """Fly one scenario; write a report with a video."""
    from fcn_follow.lab.recordings.frame_folders import START_NS, FrameFolder
    from fcn_follow.simulation.fly_with_report import fly_with_report
    from fcn_follow.simulation.moves import BEGIN_S, MOVES
    from fcn_follow.simulation.scenarios import find_scenario

    if move is not None and move not in MOVES:
        raise UserError(f"--move {move}: it must be one of {', '.join(MOVES)}")
    if move is not None and duration is not None and duration <= BEGIN_S:
        raise UserError(f"--move {move} begins after {BEGIN_S:g} s; the flight lasts {duration:g} s")
    chosen = find_scenario(scenario)
    eyes = _eyes(true_positions, weights, engine, ranging, pointed, outfits)
    make_folder(out, "--out")
    folder = FrameFolder(record) if record else None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} s"),
        TimeRemainingColumn(),
    )
    shown = Progress(*columns, console=console)
    with stopped_by_ctrl_c(f"the video so far is in {out}"), shown as progress, folder or nullcontext():
        task = progress.add_task(chosen.name, total=duration or chosen.duration_s)

        def on_frame(frame: Frame) -> None:
            progress.update(task, completed=frame.stamp_s)
            if folder:
                folder.add_frame(START_NS + round(1e9 * frame.stamp_s), frame.rgb, frame.labels)

        move_at = MOVES[move] if move else None
        result, page = fly_with_report(chosen, seed, eyes, out, duration, on_frame, move_at)
    print_figures([result])
    console.print(f"report: {page}")


@fly.command()
def suite(
    scenario: Several = "",
    seeds: Seeds = 3,
    out: Out = Path("out"),
    weights: WeightsFile = None,
    engine: Engine = "torch",
    true_positions: TruePositions = False,
    pointed: Pointed = False,
    outfits: Outfits = False,
    ranging: Ranging = METHODS[0],
    duration: Duration = None,
    processes: Processes = 2,
    on: On = "",
    resume: Resume = False,
) -> None:
    """Fly many scenarios with several seeds each; write tables, a report and which requirements are met."""
    from fcn_follow.simulation.flight_report import write_suite_report
    from fcn_follow.simulation.requirements import judge
    from fcn_follow.simulation.suite import save_tables

    scenarios = _scenarios(scenario, knows_depth=true_positions or ranging == "depth")
    eyes = _eyes(true_positions, weights, engine, ranging, pointed, outfits)
    where = check_on(on, processes)
    make_folder(out, "--out")
    found: dict[int, Figures] = {}
    deaths = Deaths()
    with stopped_by_ctrl_c(KEPT.format(out)), _journal(out, resume) as journal:
        try:
            found.update(_flights(scenarios, seeds, eyes, duration, where, journal, deaths))
        finally:
            if flown := _in_order(found):
                save_tables(out, flown, scenarios)
    write_suite_report(out / "suite.html", flown, scenarios)
    print_figures(flown)
    requirements = table_of("Requirements", ("requirement", "found", "met"))
    for row in judge(flown, scenarios):
        requirements.add_row(row.requirement, row.found, "yes" if row.met else "no")
    output(150).print(requirements)
    console.print(f"tables and report: {out}")
    _end(deaths)


@fly.command()
def compare(
    scenario: Annotated[str, typer.Option(help="The scenarios, NAME,NAME; default: all.")] = "",
    seeds: Seeds = 3,
    out: Out = Path("out"),
    weights: WeightsFile = None,
    engine: Engine = "torch",
    duration: Duration = None,
    processes: Processes = 2,
    on: On = "",
    resume: Resume = False,
) -> None:
    """Fly the same flights with each ranging method; write one table."""
    from fcn_follow.simulation.ranging_table import ranging_rows, save_ranging

    scenarios = _scenarios(scenario, knows_depth=True)
    ways = [_eyes(False, weights, engine, method) for method in METHODS]
    where = check_on(on, processes)
    make_folder(out, "--out")
    flown: dict[str, list[Figures]] = {}
    deaths = Deaths()
    with stopped_by_ctrl_c(KEPT.format(out)), _journal(out, resume) as journal:
        for eyes in ways:
            found = dict(_flights(scenarios, seeds, eyes, duration, where, journal, deaths))
            flown[eyes.ranging] = _in_order(found)
            save_ranging(out, flown)
    title = "RMS distance error in metres, by ranging method"
    table = table_of(title, ["scenario"], (eyes.ranging.replace("_", " ") for eyes in ways))
    for row in ranging_rows(flown):
        cells = zip(row.distance_rms_m.values(), row.contacts.values(), strict=True)
        table.add_row(row.scenario, *(f"{error_m:.2f}" + (" contact" if hit else "") for error_m, hit in cells))
    output(150).print(table)
    console.print(f"table: {out / 'ranging.json'}")
    _end(deaths)


@fly.command()
def faults(
    first_seed: Annotated[int, typer.Option(help="Seed of the first flight; the others follow.", min=0)] = 0,
    flights: Annotated[int, typer.Option(help="How many flights.", min=1, max=10000)] = 3,
    out: Out = Path("out"),
    weights: WeightsFile = None,
    engine: Engine = "torch",
    true_positions: TruePositions = False,
    ranging: Ranging = METHODS[0],
    processes: Processes = 2,
    on: On = "",
    resume: Resume = False,
) -> None:
    """Fly with random faults of sensors and links; exit with 1 if a flight did what must never happen."""
    from fcn_follow.simulation.fault_flights import FaultFlight, Task, decoded, run, save_flights

    eyes = _eyes(true_positions, weights, engine, ranging)
    where = check_on(on, processes)
    make_folder(out, "--out")
    tasks = [Task(seed, eyes) for seed in range(first_seed, first_seed + flights)]
    found: dict[int, FaultFlight] = {}
    deaths = Deaths()
    table = table_of("What went wrong", ("seed", "scenario", "faults", "failures"))
    with stopped_by_ctrl_c(KEPT.format(out)), _journal(out, resume) as journal, progress_bar() as progress:
        bar = progress.add_task("flying", total=len(tasks))
        try:
            for place, flight in journal.spread(run, tasks, where, deaths, decoded):
                found[place] = flight
                progress.update(bar, advance=1, description=f"flew {flight.scenario} {flight.seed}")
        finally:
            flown = _in_order(found)
            save_flights(out, flown)
    for flight in flown:
        if flight.failures:
            kinds = ", ".join(f"{fault.kind} at {fault.begin_s:g} s" for fault in flight.faults)
            table.add_row(str(flight.seed), flight.scenario, kinds, "; ".join(flight.failures))
    failed = sum(bool(flight.failures) for flight in flown)
    if failed:
        output(150).print(table)
    approach_m = min((flight.approach_m for flight in flown), default=math.inf)
    print(
        f"flights: {len(flown)}, faults: {sum(len(flight.faults) for flight in flown)}, flights that failed: {failed}, "
        f"contacts: {sum(bool(flight.contact) for flight in flown)}, nearest to a person while moving towards them: "
        f"{approach_m:.2f} m"
    )
    console.print(f"table: {out / 'faults.json'}")
    _end(deaths)
    if failed:
        raise typer.Exit(1)


def _journal(out: Path, resume: bool) -> closing[Journal]:
    return closing(Journal(out / "flights.jsonl", resume=resume))


def _in_order(found: Mapping[int, FlightT]) -> list[FlightT]:
    return [found[place] for place in sorted(found)]


def _end(deaths: Deaths) -> None:
    """Report dead workers; exit with 1 if flights are missing."""
    if deaths.count:
        console.print(str(deaths), style="yellow")
    if deaths.given_up:
        raise typer.Exit(1)


def _scenarios(names: str, *, knows_depth: bool) -> list[Scenario]:
    """The scenarios of NAME,NAME; without names all, except those that need depth for ranging."""
    from fcn_follow.simulation.scenarios import SCENARIOS, find_scenario

    if names:
        return [find_scenario(name) for name in names.split(",")]
    return [scenario for scenario in SCENARIOS if knows_depth or not scenario.misleads_height]


def _eyes(
    true_positions: bool,
    weights: Path | None,
    engine: str,
    ranging: str,
    pointed: bool = False,
    outfits: bool = False,
) -> EyesSpec:
    """The perception of the flights. Raises UserError, before anything flies, for options that do not fit together."""
    from fcn_follow.simulation.suite import EyesSpec

    if ranging not in METHODS:
        raise UserError(f"--ranging {ranging}: it must be one of {', '.join(METHODS)}")
    if true_positions:
        if ranging != METHODS[0]:
            raise UserError("--true-positions uses no ranging; leave out --ranging")
        if pointed:
            raise UserError("--true-positions needs no pointing; leave out --pointed")
        return EyesSpec(outfits=outfits)
    path = (weights or default_weights(pointed=pointed)).resolve()  # the workers of a cluster run in other folders
    card = load_model(path).card
    candidates(EngineRequest(engine, precision="fp32"))
    if ranging == "depth":
        require_metres(card)
    return EyesSpec(path, engine, ranging, pointed, outfits)


def _flights(
    scenarios: list[Scenario],
    seeds: int,
    eyes: EyesSpec,
    duration_s: float | None,
    on: str,
    journal: Journal,
    deaths: Deaths,
) -> Iterator[tuple[int, Figures]]:
    """The index and the figures of each flight as it ends, under a progress bar."""
    from fcn_follow.simulation.figures import figures_of_json
    from fcn_follow.simulation.suite import Task, run_to_figures

    tasks = [Task(scenario.name, seed, eyes, duration_s) for scenario in scenarios for seed in range(seeds)]
    with progress_bar() as progress:
        task = progress.add_task("flying", total=len(tasks))
        for place, flight in journal.spread(run_to_figures, tasks, on, deaths, figures_of_json):
            progress.update(task, advance=1, description=f"flew {flight.scenario} {flight.seed}")
            yield place, flight


def print_figures(flown: list[Figures]) -> None:
    """One row per scenario on standard output."""
    from fcn_follow.simulation.figures import scenario_means

    shown = {"hero_in_frame": "in frame", "right_person": "right person", "distance_rms_m": "distance RMS m",
             "height_rms_m": "height RMS m", "bearing_rms_rad": "bearing RMS rad", "reacquire_s": "re-acquire s",
             "steady_acceleration_rms_m_s2": "steady acc. RMS m/s²", "steady_speed_std_m_s": "steady speed std m/s",
             "closest_person_m": "closest m", "contacts": "contacts", "limit_violations": "limits",
             "mean_iou": "IoU"}  # fmt: skip
    title = "The flight"
    if len(flown) > 1:
        title = "Flights; worst of the seeds for re-acquiring, closest, contacts and limits, else the mean"
    table = table_of(title, ["scenario"], shown.values())
    for row in scenario_means(flown):
        table.add_row(str(row["scenario"]), *(_cell(name, float(row[name])) for name in shown))
    output(170).print(table)


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if name in ("hero_in_frame", "right_person"):
        return f"{100 * value:.1f} %"
    return f"{value:.0f}" if name in ("contacts", "limit_violations") else f"{value:.2f}"
