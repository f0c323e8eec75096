"""`fcn-follow bench`: how fast things are on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fcn_follow.errors import UserError


def bench(
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Frames a second of the simulator's renderer.")
    ] = False,
) -> None:
    """Measure speed on this machine."""
    if not simulator:
        raise UserError("say what to measure: --simulator")
    from fcn_follow.simulation.bench import measure_renderer

    table = Table(title="Simulator's renderer, one core, frames a second")
    table.add_column("size")
    for column in ("shadows", "RGB", "RGB and labels"):
        table.add_column(column, justify="right")
    for row in measure_renderer():
        shadows = "yes" if row.shadows else "no"
        table.add_row(f"{row.width_px}x{row.height_px}", shadows, f"{row.rgb_hz:.1f}", f"{row.rgb_and_labels_hz:.1f}")
    Console(highlight=False).print(table)
