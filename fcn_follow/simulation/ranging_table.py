"""The distance errors of the same flights by each ranging method."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fcn_follow.files import write_whole
from fcn_follow.simulation.figures import Figures, mean
from fcn_follow.simulation.suite import rounded


@dataclass(frozen=True)
class RangingRow:
    """A scenario's RMS distance error in metres by method, the mean over the seeds; NaN where no flight was made.

    contacts counts the flights that a contact ended; their error covers the time before it.
    """

    scenario: str
    distance_rms_m: Mapping[str, float]
    contacts: Mapping[str, int]


def ranging_rows(flown: Mapping[str, Sequence[Figures]]) -> list[RangingRow]:
    """A row for each scenario, and the mean over the scenarios as the last row."""
    names = list(dict.fromkeys(flight.scenario for flights in flown.values() for flight in flights))
    rows = []
    for name in names:
        by_method = {method: [f for f in flights if f.scenario == name] for method, flights in flown.items()}
        errors_m = {method: mean([f.distance_rms_m for f in flights]) for method, flights in by_method.items()}
        contacts = {method: sum(f.contacts for f in flights) for method, flights in by_method.items()}
        rows.append(RangingRow(name, errors_m, contacts))
    mean_m = {method: mean([row.distance_rms_m[method] for row in rows]) for method in flown}
    total = {method: sum(row.contacts[method] for row in rows) for method in flown}
    return [*rows, RangingRow("mean", mean_m, total)]


def save_ranging(out: Path, flown: Mapping[str, Sequence[Figures]]) -> None:
    """Write ranging.json: by scenario and method the error (null where not flown) and the contacts.

    Raises UserError if it cannot be written.
    """
    summary = {
        row.scenario: {
            method: {"distance_rms_m": rounded(error_m), "contacts": row.contacts[method]}
            for method, error_m in row.distance_rms_m.items()
        }
        for row in ranging_rows(flown)
    }
    write_whole(out / "ranging.json", json.dumps(summary, indent=1) + "\n")
