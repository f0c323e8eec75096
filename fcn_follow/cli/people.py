"""`fcn-follow compose-people`: training and judging frames of real people, from photographs with masks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from fcn_follow.cli.options import CONTINUES, Split
from fcn_follow.cli.scoring import read_split_of
from fcn_follow.errors import UserError
from fcn_follow.lab.console import console, progress_bar, stopped_by_ctrl_c
from fcn_follow.lab.data.compose import Composer, CompositionOptions, without_people
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.people_photos import part_of, read_alone, read_photos
from fcn_follow.lab.data.split import FrameRef, HeldOutRuns, all_frames
from fcn_follow.share import share_directory


def compose_people(
    photos: Annotated[Path, typer.Option(help="Folder or zip of photographs and masks, one person each (green).")],
    out: Annotated[Path, typer.Option(help="Folder to write: new, or an earlier part of the same run.")],
    background: Annotated[
        list[Path] | None,
        typer.Option(
            help="Pictures without people, or frames with masks; of these only the ones without people are used."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Frames to make.")] = 1000,
    part: Annotated[
        str, typer.Option(help="Use the photographs and backgrounds that train, choose or judge.")
    ] = "train",
    height: Annotated[str, typer.Option(help="Heights of people in pixels of a frame of 256x256, MIN-MAX.")] = "12-150",
    seed: Annotated[int, typer.Option(help="The same seed gives the same frames.")] = 0,
    split: Split = None,
) -> None:
    """Paste cut-outs of real people on backgrounds without people; after Ctrl-C the same command continues."""
    match = re.fullmatch(r"(\d{1,4})-(\d{1,4})", height)
    if not match:
        raise UserError(f"--height {height}: give MIN-MAX in pixels, such as 12-150")
    options = CompositionOptions(count, part, seed, min_height_px=int(match[1]), max_height_px=int(match[2]))
    held_out = read_split_of(split)
    frames, alone = open_frames(photos), read_alone(share_directory() / "config" / "people_photos.yaml")
    with stopped_by_ctrl_c(CONTINUES), progress_bar() as progress:
        sets = [_of_part(path, part, held_out, progress) for path in background or []]
        task = progress.add_task("reading photographs", total=len(frames))
        people, problems = read_photos(frames, part, alone, lambda: progress.advance(task))
        for problem in problems:
            progress.console.print(f"skipped: {problem}", style="yellow")
        task = progress.add_task("composing", total=count)
        for done in Composer(options, people, sets).write(out):
            progress.update(task, completed=done)
    console.print(f"{count} frames of {len(people)} people in {out}")


def _of_part(path: Path, part: str, held_out: HeldOutRuns, progress: Progress) -> list[FrameRef]:
    """The frames of a set that train, choose or judge: by run, or by name in a set without runs."""
    runs = {"choose": held_out.choosing, "judge": held_out.judging}

    def belongs(ref: FrameRef) -> bool:
        if ref.run == ref.frames.name:
            return part_of(ref.frames.keys[ref.index]) == part
        return ref.run in runs[part] if part in runs else ref.run not in held_out

    refs = [ref for ref in all_frames([open_frames(path)]) if belongs(ref)]
    task = progress.add_task(f"looking for frames of {path.name} without people", total=len(refs))
    empty = without_people(refs, lambda: progress.advance(task))
    if not empty:
        raise UserError(f"--background {path}: none of its {len(refs)} frames of the part {part} is without people")
    return empty
