"""`fcn-follow enrol`: the appearance of a person in a clip, for segmenter.hero.appearance_file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fcn_follow.cli import own_person
from fcn_follow.cli.options import EngineName, WeightsFile
from fcn_follow.errors import UserError, shown
from fcn_follow.files import write_whole
from fcn_follow.images.pictures import write_picture
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import Output
from fcn_follow.inference.exported import choose_for, load_model, request_for
from fcn_follow.lab.console import console, progress_bar
from fcn_follow.lab.enrolment import Enrolment, TimedImage, picture_to_choose_in
from fcn_follow.lab.enrolment import enrol as learn
from fcn_follow.lab.own_person import ClipFrames
from fcn_follow.lab.training.checkpoint import checkpoint_path, require_new_training
from fcn_follow.nodes.support.sources import open_source
from fcn_follow.perception.candidates import Candidate
from fcn_follow.perception.overlay import draw_overlay
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.perception.selection import Choice
from fcn_follow.share import default_weights


def enrol(
    video: Annotated[str, typer.Argument(help="A clip of the person walking: video, folder or zip of frames, bag.")],
    out: Annotated[Path, typer.Option(help="The appearance file to write.")],
    number: Annotated[
        int | None,
        typer.Option(help="The person's number in the picture beside --out; default: the command asks."),
    ] = None,
    largest: Annotated[bool, typer.Option("--largest", help="Take the tallest person of that picture.")] = False,
    finetune: Annotated[
        bool,
        typer.Option("--finetune", help="Also train weights whose hero is this person, beside --out; from people_net."),
    ] = False,
    minutes: Annotated[
        float, typer.Option(help="Maximum training time; Ctrl-C keeps the best weights so far.", min=0.1, max=1440)
    ] = 10,
    seed: Annotated[int, typer.Option(help="Of the training.", min=0)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the training that was stopped.")] = False,
    weights: WeightsFile = None,
    engine: EngineName = "auto",
) -> None:
    """Learn a person's appearance from a clip, and report how well it separates this person from the others."""
    if resume and not finetune:
        raise UserError("--resume continues a training: give --finetune")
    _check_out(out, finetune)
    source = open_source(video)
    if source.live:
        raise UserError(f"{video}: a camera has no end; record a clip")
    weights = weights or default_weights(pointed=True)
    loaded = load_model(weights)
    start = own_person.check_finetuning(loaded, weights, out) if finetune else None
    if start and not resume:
        require_new_training(own_person.weights_beside(out))
    request = request_for(loaded, EngineRequest(engine, precision="fp32"))
    segmenter = Segmenter(loaded, choose_for(loaded, request, output=Output.CODES).engine)

    def images() -> Iterator[TimedImage]:
        skip: Callable[[str], None] = console.print
        for frame in source.frames(skip):
            yield frame.time_s, frame.image_rgb

    (time_s, image_rgb), choice = picture_to_choose_in(images(), segmenter)
    picture = out.with_suffix(".png")
    write_picture(picture, draw_overlay(image_rgb, choice.labels, None, choice.places_px)[..., ::-1])
    chosen = _chosen(choice, picture, number, largest)
    parameters = own_person.own_parameters(start.card, minutes, seed) if start else None
    clip = ClipFrames(parameters.frame_px) if parameters else None
    with progress_bar() as progress:
        watched = progress.track(images(), description="watching the clip")
        found = learn(watched, segmenter, chosen, time_s, clip.add if clip else lambda *_: None)
    write_whole(out, found.appearance.to_json())
    for line in _report(found):
        print(line)
    print(f"written: {out}; fly with: scripts/follow --hero {out}")
    if start and clip and parameters:
        own_person.finetune(clip, start, weights, out, parameters, resume)


def _check_out(out: Path, finetune: bool) -> None:
    """Raise UserError if --out would overwrite something else: a clip, weights, a folder."""
    if out.suffix != ".json":
        raise UserError(f"--out {shown(str(out))}: an appearance file must end in .json")
    weights = own_person.weights_beside(out)
    trained = (weights, checkpoint_path(weights)) if finetune else ()
    for path in (out, out.with_suffix(".png"), *trained):
        if path.exists() and not path.is_file():
            raise UserError(f"--out {shown(str(out))}: {shown(str(path))} is not a file; choose another name")


def _chosen(choice: Choice, picture: Path, number: int | None, largest: bool) -> Candidate:
    """The candidate that the options or the user name. Raises UserError if nobody has that number."""
    if largest:
        return max(choice.candidates, key=lambda each: each.height_px)
    people = "; ".join(each.words for each in choice.candidates)
    if number is None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise UserError(f"who is it? {picture} shows the numbers: {people}; give --number or --largest")
        console.print(f"{picture} shows the numbers of the people: {people}")
        number = typer.prompt("number of the person", type=int)
    for each in choice.candidates:
        if each.number == number:
            return each
    raise UserError(f"nobody has the number {number} in {picture}; there are: {people}")


def _report(found: Enrolment) -> Iterator[str]:
    own = np.percentile(found.own, [5, 50])
    yield f"seen in {len(found.own)} of {found.frames} frames; the drone would ask in {found.asked} of them"
    yield f"likeness of the person's frames: {own[1]:.2f} in the middle, {own[0]:.2f} at the 5th percentile"
    if found.others:
        other = np.percentile(found.others, [50, 95])
        yield f"likeness of others in the clip: {other[0]:.2f} in the middle, {other[1]:.2f} at the 95th percentile"
    if found.warning:
        yield f"warning: {found.warning}"
