"""`fcn-follow results`: size, held-out figures and speed of all weights in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fcn_follow.cli.bench import shipped_weights
from fcn_follow.cli.options import WeightsFiles
from fcn_follow.inference.kinds import missing_for
from fcn_follow.lab.bench.engines import Limits, Plan, Speed, measure
from fcn_follow.lab.console import console, output, table_of
from fcn_follow.networks.summary import count_macs, count_parameters
from fcn_follow.networks.weights import load_weights

FASTEST = "openvino"
SCORES = {"final_score": "score", "near_iou": "near IoU", "far_iou": "far IoU", "false_alarms_per_1000": "alarms/1000"}
RECALL = "recall_"


def results(
    weights: WeightsFiles = None,
    rounds: Annotated[int, typer.Option(help="Frames for each engine's time measurement.", min=5, max=10_000)] = 40,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Print all weights in one table: size, held-out figures of their cards, milliseconds per frame on a CPU thread."""
    paths = weights or shipped_weights()
    engines = [] if missing_for(FASTEST) else [FASTEST]
    with console.status("measuring") as status:
        speeds = measure(Plan(paths, engines, rounds=rounds), Limits(), lambda line: status.update(Text(line)))
    rows = [_row(path, [speed for speed in speeds if speed.network == path.stem]) for path in paths]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if markdown:
        lines = [columns, ["---"] * len(columns), *([row.get(name, "") for name in columns] for row in rows)]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
        return
    table = table_of("Weights, their held-out figures, and milliseconds per frame here", columns[:1], columns[1:])
    for row in rows:
        table.add_row(*(row.get(name, "") for name in columns))
    output(200).print(table)


def _row(path: Path, speeds: list[Speed]) -> dict[str, str]:
    loaded = load_weights(path)
    card = loaded.card
    macs = count_macs(loaded.network, card.input_height_px, card.input_width_px) * (1 + card.flip_average)
    row = {
        "weights": path.stem,
        "input": f"{card.input_width_px}x{card.input_height_px}" + (", twice" if card.flip_average else ""),
        "parameters": f"{count_parameters(loaded.network).total:,}",
        "MMACs": f"{macs / 1e6:,.0f}",
    }
    row |= {title: f"{card.scores[name]:.4g}" for name, title in SCORES.items() if name in card.scores}
    row |= {
        name.removeprefix(RECALL).replace("_px", " px"): f"{100 * value:.1f} %"
        for name, value in card.scores.items()
        if name.startswith(RECALL)
    }
    row |= {f"{speed.engine} {speed.precision} ms": f"{speed.best_ms:.2f}" for speed in speeds if not speed.problem}
    return row
