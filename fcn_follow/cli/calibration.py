"""`fcn-follow calibrate`: choose when the hero counts as seen, and write it into the model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fcn_follow.cli.scoring import scored_refs
from fcn_follow.networks.weights import LoadedWeights, load_weights, save_weights
from fcn_follow.perception.segmenter import find_device
from fcn_follow.scoring.calibration import LEVELS, Level, best_level, calibration_curve, draw_curve
from fcn_follow.scoring.evaluation import LabelledFrame, labelled_frames
from fcn_follow.scoring.honest import SIZE_NAMES
from fcn_follow.scoring.predict import predict
from fcn_follow.training.trainer import card_scores

console = Console(stderr=True)


def calibrate(
    weights: Annotated[Path, typer.Option(help="Weights file whose card is to be set.")],
    data: Annotated[list[Path], typer.Option(help="Frames with masks; only the held-out runs are used.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Choose the confirming probability on the held-out runs; writes the card and NAME.calibration.png."""
    loaded = load_weights(weights)
    loaded.network.to(find_device(device))
    refs = scored_refs(data, held_out=True, split=None)
    with Progress(console=console) as progress:
        looking = progress.add_task("frames", total=len(refs))
        frames = []
        for frame in labelled_frames(refs, lambda problem: console.print(f"skipped: {problem}", markup=False)):
            frames.append((_without_image(frame), _probabilities(loaded, frame)))
            progress.advance(looking)
        judging = progress.add_task("levels", total=len(LEVELS))
        curve = calibration_curve(loaded.card, frames, lambda: progress.advance(judging))
    best = best_level(curve)
    _print(curve, best)
    card = dataclasses.replace(
        loaded.card, hero_confirm_probability=round(best.confirm, 6), scores=card_scores(best.evaluation)
    )
    save_weights(weights, loaded.network, card)
    draw_curve(weights.with_suffix(".calibration.png"), curve, loaded.card.network)


def _without_image(frame: LabelledFrame) -> LabelledFrame:
    return dataclasses.replace(frame, image=np.zeros((0, 0, 3), np.uint8))


def _probabilities(loaded: LoadedWeights, frame: LabelledFrame) -> NDArray[np.float32]:
    card = loaded.card
    size = (card.input_height_px, card.input_width_px)
    probabilities: NDArray[np.float32] = predict(loaded.network, [frame.image], *size, flip_average=card.flip_average)[
        0
    ]
    return probabilities


def _print(curve: Iterable[Level], best: Level) -> None:
    table = Table(title="Confirming probability, on the held-out runs (* chosen)")
    for column in ("confirm", "score", "near IoU", "far IoU", "false alarms / 1000", *(f"{s} px" for s in SIZE_NAMES)):
        table.add_column(column, justify="right")
    for level in curve:
        folders, honest = level.evaluation.follow_me.folders, level.evaluation.honest
        recall = [honest.by_size_px[name].recall for name in SIZE_NAMES]
        table.add_row(
            f"{level.confirm:.4f}{'*' if level is best else ''}", f"{level.evaluation.follow_me.final_score:.4f}",
            f"{folders['following_images'].iou_hero:.4f}", f"{folders['patrol_with_targ'].iou_hero:.4f}",
            f"{honest.false_alarms_per_1000 or 0.0:.1f}", *("-" if r is None else f"{100 * r:.1f} %" for r in recall),
        )  # fmt: skip
    Console(width=None if Console().is_terminal else 140).print(table)
