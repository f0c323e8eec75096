"""Scenarios with several seeds each, flown in parallel processes, and their tables as CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from fcn_follow.files import write_csv, write_whole
from fcn_follow.simulation.episode import CameraSetup
from fcn_follow.simulation.eyes import Eyes, TrueEyes
from fcn_follow.simulation.figures import Figures, figures, scenario_means
from fcn_follow.simulation.flight import FlightLog, fly
from fcn_follow.simulation.outfits import Cast, pointed_cast
from fcn_follow.simulation.requirements import judge
from fcn_follow.simulation.scenarios import Scenario, find_scenario


@dataclass(frozen=True)
class EyesSpec:
    """The perception of a flight: weights, engine and ranging method; without weights it is the truth.

    With `pointed`, the seed chooses the hero from POINTED_HEROES, and a simulated user points at the hero; with
    `outfits` the hero is the same, without pointing.
    """

    weights: Path | None = None
    engine: str = "torch"
    ranging: str = "apparent_height"
    pointed: bool = False
    outfits: bool = False

    def cast(self, seed: int) -> Cast:
        """The hero and the other people of a flight."""
        return pointed_cast(seed) if self.pointed or self.outfits else Cast()

    def open(self, camera: CameraSetup) -> Eyes:
        """The perception for a camera. Raises UserError for weights that do not suit the ranging method."""
        if self.weights is None:
            return TrueEyes(camera)
        from fcn_follow.simulation.network_eyes import NetworkEyes

        return NetworkEyes(self.weights, camera, self.engine, self.ranging, self.pointed)


@dataclass(frozen=True)
class Task:
    """One flight of the suite."""

    scenario: str
    seed: int
    eyes: EyesSpec
    duration_s: float | None = None


def run(task: Task) -> FlightLog:
    """Fly one task in this process."""
    eyes = task.eyes.open(CameraSetup())
    return fly(
        find_scenario(task.scenario), task.seed, eyes, duration_s=task.duration_s, cast=task.eyes.cast(task.seed)
    )


def run_to_figures(task: Task) -> Figures:
    """The figures of a task, flown in this process."""
    return figures(run(task))


def save_tables(out: Path, all_figures: Sequence[Figures], scenarios: Sequence[Scenario]) -> None:
    """Write flights.csv and suite.json; UserError if that fails."""
    flights = [{name: rounded(value) for name, value in asdict(row).items()} for row in all_figures]
    summary = {
        "requirements": [asdict(judgement) for judgement in judge(all_figures, scenarios)],
        "scenarios": [{name: rounded(value) for name, value in row.items()} for row in scenario_means(all_figures)],
        "flights": flights,
    }
    write_csv(out / "flights.csv", [item.name for item in fields(Figures)], (row.values() for row in flights))
    write_whole(out / "suite.json", json.dumps(summary, indent=1) + "\n")


def rounded(value: float | int | str) -> float | int | str | None:
    """The value to four digits; None (an empty cell, null) where it is not finite."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
