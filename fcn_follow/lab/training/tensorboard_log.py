"""A training in TensorBoard: loss, learning rate, scores, the network's graph, and predictions of held-out frames."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from fcn_follow.classes import HERO
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.data.resize import resize_image
from fcn_follow.lab.scoring.depth_figures import true_depth
from fcn_follow.lab.scoring.depth_picture import as_picture, depth_pair, paint_depth
from fcn_follow.lab.scoring.evaluation import LabelledFrame
from fcn_follow.lab.scoring.predict import Predicted, outputs
from fcn_follow.lab.scoring.score_report import paint
from fcn_follow.lab.training.trainer import EpochReport, Trainer
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.labels import labels_of

PICTURES = 6


class TensorBoardLog:
    """Writes one training into a folder for `tensorboard --logdir`; each epoch shows the same frames."""

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=len(trainer.history) * trainer.steps_per_epoch)
        self._trainer = trainer
        self._shown = _frames_by_hero_size(trainer.held_out)
        size = trainer.parameters.input_px
        network = copy.deepcopy(trainer.network).cpu().eval()
        with contextlib.suppress(TypeError, RuntimeError):  # PyTorch cannot trace max-unpooling
            self._writer.add_graph(network, torch.zeros(1, 3, size, size))

    def step(self, step: int, loss: float) -> None:
        """Log the mean loss of the epoch up to this step, and the learning rate."""
        total = len(self._trainer.history) * self._trainer.steps_per_epoch + step
        self._writer.add_scalar("training/loss", loss, total)
        self._writer.add_scalar("training/learning_rate", self._trainer.optimizer.param_groups[0]["lr"], total)

    def epoch(self, report: EpochReport) -> None:
        """Log the scores of an epoch with an evaluation, and the frames with truth and prediction."""
        if report.score is None:
            return
        total = (report.epoch + 1) * self._trainer.steps_per_epoch
        for name, figure in report.figures.items():
            self._writer.add_scalar(f"held_out/{name}", figure, total)
        network = self._trainer.average
        was_training = network.training
        card = self._trainer.card
        rows = [picture_row(seen, card) for seen in outputs(network.eval(), card, self._shown)]
        network.train(was_training)
        if rows:
            title = "frame, truth, prediction" + (", true depth, depth" if card.depth else "")
            self._writer.add_image(f"held_out/{title}", np.vstack(rows), total, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()


def picture_row(seen: Predicted[LabelledFrame], card: ModelCard) -> UInt8Array:
    """Frame, truth and prediction side by side, uint8 h x 3 w x 3 at the network's size; h x 5 w x 3 with depth."""
    frame, depth = seen.frame, seen.depth
    height, width = seen.probabilities.shape[:2]
    image = resize_image(frame.image, height, width)
    rows = np.arange(height) * frame.mask.shape[0] // height
    columns = np.arange(width) * frame.mask.shape[1] // width
    truth = frame.mask[rows][:, columns].argmax(2).astype(np.uint8)
    cells = [image, paint(image, truth), paint(image, labels_of(seen.probabilities, card))]
    if depth is not None and frame.depth_m is not None:
        true_m, unit_m = true_depth(frame.depth_m, frame.focal_y_px, card, height, width)
        pair = depth_pair(card.depth, depth[None], torch.from_numpy(true_m / unit_m)[None, None])
        cells += [paint_depth(picture) for picture in (pair.truth[0, 0], as_picture(card.depth, depth[0]))]
    return np.hstack(cells)


def _frames_by_hero_size(frames: Sequence[LabelledFrame]) -> list[LabelledFrame]:
    """A few frames, from the smallest hero to the largest, and one without a hero."""
    sizes = [int(frame.mask[..., HERO].sum()) for frame in frames]
    with_hero = [frames[i] for i in np.argsort(sizes, kind="stable") if sizes[i] > 0]
    chosen = sorted({int(i) for i in np.linspace(0, len(with_hero) - 1, PICTURES - 1)}) if with_hero else []
    without = [frame for frame, size in zip(frames, sizes, strict=True) if size == 0][:1]
    return [with_hero[i] for i in chosen] + without
