"""A training on pictures of pets (source 004): the same loop, judged by other figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fcn_follow.errors import UserError
from fcn_follow.lab.data.augment import normalise, resize, to_tensors
from fcn_follow.lab.data.bank import FrameBank
from fcn_follow.lab.scoring.trimaps import trimap_figures
from fcn_follow.lab.training.trainer import Trainer
from fcn_follow.networks.registry import network_info

_BATCH = 64


@dataclass
class PetsTrainer(Trainer):
    """Keeps the weights with the best IoU without background on `judging`. UserError for a network with depth."""

    judging: FrameBank = field(kw_only=True)

    def __post_init__(self) -> None:
        if network_info(self.parameters.network).has_depth:
            raise UserError(f"{self.parameters.network} has a depth head, and pictures of pets have no depth")
        super().__post_init__()

    def judge(self) -> tuple[float, dict[str, float]]:
        """Evaluate the weights, in eval mode, on the judging pictures."""
        with torch.no_grad():
            figures = trimap_figures(self._answers())
        return figures.iou_without_background, figures.rounded()

    def _answers(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Probabilities and true labels, at the size of the bank."""
        size_px = self.judging.labels.shape[1]
        for start in range(0, len(self.judging), _BATCH):
            part = slice(start, start + _BATCH)
            labels = torch.from_numpy(self.judging.labels[part]).to(self.device)
            images, _ = to_tensors(torch.from_numpy(self.judging.images[part]).to(self.device), labels)
            logits = self.average(normalise(resize(images, self.parameters.input_px)))
            yield resize(torch.softmax(logits, 1), size_px), labels
