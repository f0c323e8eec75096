"""`fcn-follow score-bags`: the score of many recordings, at the same time."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import typer

from fcn_follow.cli.bags import ImageTopic, Tolerance, TruthTopic
from fcn_follow.cli.options import KEPT, Device, EngineName, On, Precision, Resume, WeightsFile
from fcn_follow.cli.scoring import scored_network
from fcn_follow.errors import UserError
from fcn_follow.files import make_folder, write_csv
from fcn_follow.inference.choice import REFERENCE, EngineRequest
from fcn_follow.inference.exported import load_model
from fcn_follow.lab.console import console, output, progress_bar, stopped_by_ctrl_c, table_of
from fcn_follow.lab.recordings.reading import open_bag
from fcn_follow.lab.recordings.topics import choose_topics
from fcn_follow.lab.scoring.bag import Losses, Reading, bag_frames, score_bag
from fcn_follow.lab.scoring.bag_figures import bag_score
from fcn_follow.lab.scoring.predict import predictions
from fcn_follow.lab.spread import Deaths, Journal, check_on
from fcn_follow.share import default_weights

COLUMNS = ("bag", "frames", "final_score", "recall", "false_alarms_per_1000", "problem")


@dataclass(frozen=True)
class Task:
    """One recording, and the network that is scored on it."""

    bag: Path
    weights: Path
    request: EngineRequest
    image_topic: str = ""
    truth_topic: str = ""
    tolerance_s: float = 0.0


@lru_cache(maxsize=1)
def _network(weights: Path, request: EngineRequest) -> tuple[Any, Any]:
    """A worker's network, for all its bags."""
    loaded = load_model(weights)
    return scored_network(loaded, request), loaded.card


def score_one(task: Task) -> dict[str, Any]:
    """The figures of a recording, as `score-bag` has them, or a `problem` if there are none."""
    network, card = _network(task.weights, task.request)
    losses = Losses()
    try:
        with open_bag(task.bag) as bag:
            losses.sentences.extend(bag.damage)
            topics = choose_topics(bag, task.image_topic, task.truth_topic)
            if not topics.truth:
                raise UserError("has no true masks; choose their topic with --truth-topic")
            reading = Reading(topics, tolerance_ns=round(task.tolerance_s * 1e9))
            judged = score_bag(predictions(network, card, bag_frames(bag, reading, card, losses)), card, None)
            results = [result for _, _, result in judged]
            if not results:
                raise UserError("no image could be scored; `fcn-follow score-bag` gives the reason")
            return bag_score(results, losses, topics.image, bag.count(topics.image), complete=True).figures()
    except UserError as error:
        return {"problem": str(error)}


def score_recordings(
    bags: Annotated[list[Path], typer.Argument(help="rosbag2 folders, or .mcap or .db3 files.")],
    out: Annotated[Path, typer.Option(help="Folder for bags.csv and bags.jsonl.")],
    weights: WeightsFile = None,
    image_topic: ImageTopic = "",
    truth_topic: TruthTopic = "",
    tolerance: Tolerance = 0.0,
    device: Device = "auto",
    engine: EngineName = REFERENCE,
    precision: Precision = "fp32",
    processes: Annotated[int, typer.Option(help="Recordings at the same time.", min=1, max=64)] = 2,
    on: On = "",
    resume: Resume = False,
) -> None:
    """Score a network on many rosbag2 recordings; exit with 1 if one could not be scored."""
    path = (weights or default_weights()).resolve()
    request = EngineRequest(engine, device, precision)
    load_model(path)
    tasks = [Task(bag.resolve(), path, request, image_topic, truth_topic, tolerance) for bag in bags]
    where = check_on(on, processes)
    make_folder(out, "--out")
    found: dict[int, dict[str, Any]] = {}
    deaths = Deaths()
    journal = Journal(out / "bags.jsonl", resume=resume)
    with stopped_by_ctrl_c(KEPT.format(out)), closing(journal), progress_bar() as progress:
        bar = progress.add_task("scoring", total=len(tasks))
        for place, result in journal.spread(score_one, tasks, where, deaths, _earlier):
            found[place] = result
            progress.update(bar, advance=1, description=f"scored {tasks[place].bag.name}")
    for place in deaths.given_up:
        found[place] = {"problem": "the worker died each time"}
    rows = [_row(tasks[place].bag, found[place]) for place in sorted(found)]
    write_csv(out / "bags.csv", COLUMNS, (row.values() for row in rows))
    table = table_of(f"{path.name} on {len(rows)} recordings", (column.replace("_", " ") for column in COLUMNS))
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    output(150).print(table)
    if deaths.count:
        console.print(str(deaths), style="yellow")
    console.print(f"table: {out / 'bags.csv'}")
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


def _earlier(kept: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an earlier run; a bag that could not be scored is tried again."""
    return None if "problem" in kept else kept


def _row(bag: Path, figures: dict[str, Any]) -> dict[str, Any]:
    detection = figures.get("detection", {})
    values = {**figures, **detection, "bag": str(bag)}
    return {column: "" if (value := values.get(column)) is None else value for column in COLUMNS}
