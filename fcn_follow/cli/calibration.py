"""`fcn-follow calibrate`: choose when the hero counts as seen, and write it into the model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.cli.options import Device, HeldOutShare, Split
from fcn_follow.cli.scoring import CHOOSING, read_split_of, scored_refs
from fcn_follow.errors import UserError
from fcn_follow.inference.machine import find_device
from fcn_follow.lab.console import console, output, progress_bar, table_of
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.split import FrameRef, all_frames, split_by_share
from fcn_follow.lab.scoring.calibration import (
    RULES,
    Level,
    calibration_curve,
    chosen_level,
    draw_curve,
    judge_at_levels,
)
from fcn_follow.lab.scoring.detection import SIZE_NAMES
from fcn_follow.lab.scoring.evaluation import labelled_frames
from fcn_follow.lab.scoring.follow_me import Kind
from fcn_follow.lab.scoring.predict import predictions
from fcn_follow.lab.training.judgement import card_scores
from fcn_follow.networks.weights import LoadedWeights, ModelCard, load_weights, save_weights

MIN_FRAMES_WITH_HERO = 10
MIN_FRAMES_WITHOUT_HERO = 100  # one false alarm in as many frames is 10 per 1000
ROWS_BETWEEN = 5  # the table prints every fifth level


def calibrate(
    weights: Annotated[Path, typer.Option(help="Weights file whose card to set.")],
    data: Annotated[list[Path], typer.Option(help="Frames with masks; only the runs that choose are used.")],
    split: Split = None,
    held_out_share: HeldOutShare = 0.0,
    rule: Annotated[
        str,
        typer.Option(help="false_alarms: most heroes with at most 8 false alarms in 1000 frames; score: best score."),
    ] = "false_alarms",
    flip_average: Annotated[
        bool | None,
        typer.Option(help="Whether to predict the mean over frame and mirror image, in twice the time."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Choose when the hero counts as seen, on the runs that choose; writes the card and NAME.calibration.png."""
    if rule not in RULES:
        raise UserError(f"--rule {rule}: known are {', '.join(RULES)}")
    loaded = load_weights(weights)
    card = loaded.card
    if flip_average and card.depth:
        raise UserError(f"{weights}: a network with a depth head does not average over the mirror image")
    if flip_average is not None:
        card = dataclasses.replace(card, flip_average=flip_average)
    network = loaded.network.to(find_device(device))
    if held_out_share:
        _, held_out = split_by_share(all_frames([open_frames(path) for path in data]), held_out_share)
        refs: list[tuple[FrameRef, Kind | None]] = [(ref, None) for ref in held_out]  # as the training splits
    else:
        refs = scored_refs(data, read_split_of(split).choosing, split)
    with progress_bar() as progress:
        task = progress.add_task("frames", total=len(refs))
        frames = labelled_frames(refs, lambda problem: console.print(f"skipped: {problem}"))
        judged = []
        run_of = {ref.name: ref.run for ref, _ in refs}
        for frame, probabilities in predictions(network, card, frames):
            judged.append(judge_at_levels(frame, probabilities, card, run_of[frame.name]))
            progress.advance(task)
    if not judged:
        raise UserError("none of the frames could be read")
    best = chosen_level(judged, rule)
    detection = best.evaluation.detection
    with_hero = detection.frames - detection.frames_without_hero
    if with_hero < MIN_FRAMES_WITH_HERO:
        raise UserError(
            f"{with_hero} of the frames that choose show a hero; at least {MIN_FRAMES_WITH_HERO} are needed to choose "
            f"a level, and {weights} stays as it is"
        )
    curve = calibration_curve(judged, best.area_px)
    _print(curve, best)
    _save(loaded, card, best, weights)
    picture = weights.with_suffix(".calibration.png")
    draw_curve(picture, curve, best, card.network)
    console.print(
        f"level written into {weights}: {best.confirm:.6f} instead of {card.hero_confirm_probability:.6f}; "
        f"curve: {picture}"
    )


def _save(loaded: LoadedWeights, card: ModelCard, best: Level, path: Path) -> None:
    """Write the level into the card, and replace the figures of an earlier level."""
    chosen = {CHOOSING + name: figure for name, figure in card_scores(best.evaluation).items()}
    if dropped := sorted(name for name in card.scores if not name.startswith(CHOOSING)):
        console.print(
            f"removed from the card, as figures of the earlier level: {', '.join(dropped)}; "
            "`fcn-follow score --held-out --to-card` writes new ones"
        )
    without_hero = best.evaluation.detection.frames_without_hero
    if without_hero < MIN_FRAMES_WITHOUT_HERO:
        console.print(
            f"only {without_hero} frames without a hero chose the level: its false alarm rate is uncertain",
            style="yellow",
        )
    card = dataclasses.replace(
        card, hero_confirm_probability=best.confirm, hero_min_area_px=best.area_px, scores=chosen
    )
    save_weights(path, loaded.network, card)


def _print(curve: Sequence[Level], best: Level) -> None:
    title = f"Confirming probability, seen from {best.area_px} px on, on the runs that choose (* chosen)"
    numbers = ("confirm", "score", "near IoU", "far IoU", "false alarms / 1000", *(f"{s} px" for s in SIZE_NAMES))
    table = table_of(title, (), numbers)
    for i, level in enumerate(curve):
        if i % ROWS_BETWEEN and level != best:
            continue
        folders, detection = level.evaluation.follow_me.folders, level.evaluation.detection
        recall = [detection.by_size_px[name].recall for name in SIZE_NAMES]
        table.add_row(
            f"{level.confirm:.6f}{'*' if level == best else ''}", f"{level.evaluation.follow_me.final_score:.4f}",
            f"{folders['following_images'].iou_hero:.4f}", f"{folders['patrol_with_targ'].iou_hero:.4f}",
            f"{level.false_alarms_per_1000:.1f}", *("-" if r is None else f"{100 * r:.1f} %" for r in recall),
        )  # fmt: skip
    output(140).print(table)
