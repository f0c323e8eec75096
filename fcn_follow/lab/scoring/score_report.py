"""The report of a score: the worst frames as an image, every frame in a CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import nn

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.files import write_csv
from fcn_follow.images.captions import write_caption
from fcn_follow.images.pictures import write_picture
from fcn_follow.inference.engine import Engine
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.data.split import FrameRef
from fcn_follow.lab.scoring.evaluation import Evaluation, FrameResult
from fcn_follow.lab.scoring.follow_me import Kind
from fcn_follow.lab.scoring.predict import predict
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.labels import labels_of

WORST = 12
CELL_PX = 256
HEADING_PX = 22
CSV_COLUMNS = ("frame", "kind", "iou_background", "iou_people", "iou_hero", "truth_hero_px", "predicted_hero_px",
               "reported", "right", "centroid_error_px")  # fmt: skip
COLOURS = {OTHER_PEOPLE: (0, 200, 0), HERO: (40, 80, 255)}


def write_report(
    folder: Path, network: nn.Module | Engine, card: ModelCard, result: Evaluation, refs: Sequence[FrameRef]
) -> None:
    """Write frames.csv and worst_frames.png into a folder; in the image each frame stands beside truth and prediction.

    The worst false alarms come first and the worst heroes after them, down the left half and then the right one.
    """
    write_csv(folder / "frames.csv", CSV_COLUMNS, map(csv_row, result.frames))
    by_name = {ref.name: ref for ref in refs}
    rows = [_row(network, card, by_name[frame.name], frame) for frame in worst_frames(result.frames)]
    if rows:
        half = -(-len(rows) // 2)
        blank = np.full_like(rows[0], 255)
        columns = [np.vstack([_heading(), *part, *[blank] * (half - len(part))]) for part in (rows[:half], rows[half:])]
        picture = np.hstack(columns)
        write_picture(folder / "worst_frames.png", picture[..., ::-1])


def _heading() -> UInt8Array:
    heading = np.zeros((HEADING_PX, 3 * CELL_PX, 3), np.uint8)
    for place, words in enumerate(("frame", "truth: hero blue, people green", "network")):
        write_caption(heading, words, (place * CELL_PX + 4, HEADING_PX - 7))
    return heading


def worst_frames(frames: Sequence[FrameResult]) -> list[FrameResult]:
    """The largest false alarms, then the heroes with the lowest IoU; half of each if there are enough."""
    alarms = sorted(
        (frame for frame in frames if frame.kind is Kind.NONE and frame.score.predicted_seen),
        key=lambda frame: -frame.score.predicted_hero_px,
    )
    heroes = sorted((frame for frame in frames if frame.score.truth_seen), key=lambda frame: frame.score.iou[HERO])
    first = alarms[: max(WORST // 2, WORST - len(heroes))]
    return first + heroes[: WORST - len(first)]


def csv_row(frame: FrameResult) -> list[str]:
    """The values of CSV_COLUMNS."""
    error = frame.finding.centroid_error_px
    return [
        frame.name, frame.kind.value, *(f"{iou:.6f}" for iou in frame.score.iou), str(frame.score.truth_hero_px),
        str(frame.score.predicted_hero_px), str(int(frame.finding.found)), str(int(frame.finding.right)),
        "" if error is None else f"{error:.3f}",
    ]  # fmt: skip


def paint(image: UInt8Array, labels: UInt8Array) -> UInt8Array:
    """The frame darkened, with people in green and the hero in blue; both H x W."""
    painted = (image * 0.5).astype(np.uint8)
    for label, colour in COLOURS.items():
        painted[labels == label] = colour
    return painted


def _row(network: nn.Module | Engine, card: ModelCard, ref: FrameRef, frame: FrameResult) -> UInt8Array:
    image, truth = ref.frames.image(ref.index), ref.frames.labels(ref.index)
    assert truth is not None
    probabilities = predict(
        network, [image], card.input_height_px, card.input_width_px, flip_average=card.flip_average
    )[0]
    predicted = labels_of(probabilities, card)
    return picture_row(image, truth, predicted, f"{frame.name}  {hero_words(frame)}")


def hero_words(frame: FrameResult) -> str:
    """How well the hero was found; an IoU of 0 says nothing where there is no hero."""
    return f"IoU {frame.score.iou[HERO]:.2f}" if frame.score.truth_seen else "false alarm"


def picture_row(
    image: UInt8Array, truth: UInt8Array, predicted: UInt8Array, caption: str, height_px: int = CELL_PX
) -> UInt8Array:
    """Frame, truth and prediction side by side, each CELL_PX wide; the prediction may be of another size."""
    size = (image.shape[1], image.shape[0])
    predicted = cv2.resize(predicted, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
    cells = [image, paint(image, truth), paint(image, predicted)]

    cells = [cv2.resize(cell, (CELL_PX, height_px), interpolation=cv2.INTER_AREA).astype(np.uint8) for cell in cells]
    write_caption(cells[0], caption, (4, height_px - 8))
    return np.hstack(cells)
