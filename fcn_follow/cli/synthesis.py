"""`fcn-follow synthesize` and `pictures`: training frames and the pictures of the docs, from the simulator.

Each command imports the simulator when it runs: the help needs none of its libraries.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.cli.options import CONTINUES, On
from fcn_follow.errors import UserError
from fcn_follow.lab.console import console, progress_bar, stopped_by_ctrl_c
from fcn_follow.lab.spread import Deaths, check_on


def synthesize(
    out: Annotated[Path, typer.Option(help="Folder to write: new, empty, or an earlier part of the same run.")],
    count: Annotated[int, typer.Option(help="Frames to make.")] = 1000,
    size: Annotated[str, typer.Option(help="Size in pixels, WIDTHxHEIGHT.")] = "256x256",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    no_hero: Annotated[float, typer.Option(help="Share of frames without a hero, 0 to 1.")] = 0.35,
    far: Annotated[float, typer.Option(help="Share of far heroes (4 to 200 px of 256x256) among the others.")] = 0.6,
    seated: Annotated[float, typer.Option(help="Share of sitting heroes, 0 to 1.")] = 0.0,
    behind_wall: Annotated[float, typer.Option(help="Share of heroes behind a low wall, 0 to 1.")] = 0.0,
    hero_top: Annotated[str | None, typer.Option(help="Colour of the hero's top, #rrggbb or a name.")] = None,
    hero_hair: Annotated[str | None, typer.Option(help="Colour of the hero's hair.")] = None,
    hero_bottom: Annotated[str | None, typer.Option(help="Colour of the hero's trousers.")] = None,
    hero_shoes: Annotated[str | None, typer.Option(help="Colour of the hero's shoes.")] = None,
    hero_skin: Annotated[str | None, typer.Option(help="Colour of the hero's skin.")] = None,
    processes: Annotated[int, typer.Option(help="Processes that draw at the same time.", min=1, max=64)] = 2,
    on: On = "",
) -> None:
    """Make training frames with masks and depth; after Ctrl-C the same command continues."""
    from fcn_follow.simulation.synthesize import SynthesisOptions
    from fcn_follow.simulation.synthesize import synthesize as write_frames

    given = {"top": hero_top, "hair": hero_hair, "bottom": hero_bottom, "shoes": hero_shoes, "skin": hero_skin}
    clothes = {name: colour for name, colour in given.items() if colour is not None}
    width_px, height_px = _size(size)
    deaths = Deaths()
    options = SynthesisOptions(count, width_px, height_px, seed, no_hero, far, clothes, seated, behind_wall)
    with stopped_by_ctrl_c(CONTINUES), progress_bar() as progress:
        task = progress.add_task("synthesizing", total=count)
        for done in write_frames(options, out, check_on(on, processes), deaths):
            progress.update(task, completed=done)
    if deaths.count:
        console.print(str(deaths), style="yellow")
    console.print(f"{count} frames in {out}")


def pictures(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("docs/images/simulation"),
) -> None:
    """Draw the pictures of docs/simulation.md."""
    from fcn_follow.simulation.docs_pictures import write_pictures

    for path in write_pictures(out):
        console.print(str(path))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise UserError(f"--size {text}: give WIDTHxHEIGHT, such as 320x240")
    return int(match[1]), int(match[2])
