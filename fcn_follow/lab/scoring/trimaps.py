"""Figures of three-class masks of pets, as in source 004."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from fcn_follow.lab.data.pets import BACKGROUND, CLASSES

_SMOOTH = 0.001


@dataclass(frozen=True)
class TrimapFigures:
    """Figures of a set of pictures, all from 0 to 1.

    pixel_accuracy: share of the pixels with the right class.
    iou_without_background: intersections over unions of pet and border, each summed over all pixels whose true class is
    not the background.
    soft_iou: per picture, sum of p * t over sum of p + t - p * t over pixels and classes, with the probabilities p and
    the one-hot truth t; the mean over the pictures.
    """

    pixel_accuracy: float
    iou_without_background: float
    soft_iou: float

    def rounded(self) -> dict[str, float]:
        """The figures by name, to four digits, for a model card."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"pixel accuracy {self.pixel_accuracy:.4f}, IoU without background {self.iou_without_background:.4f}, "
            f"soft IoU {self.soft_iou:.4f}"
        )


def trimap_figures(batches: Iterable[tuple[Tensor, Tensor]]) -> TrimapFigures:
    """The figures of batches of probabilities N x 3 x H x W and true labels N x H x W (`lab/data/pets.py`)."""
    count = len(CLASSES)
    confusion = torch.zeros(count, count, dtype=torch.int64)
    soft: list[Tensor] = []
    for probabilities, labels in batches:
        pairs = labels.long() * count + probabilities.argmax(1)
        confusion += torch.bincount(pairs.flatten(), minlength=count**2).view(count, count).cpu()
        truth = torch.nn.functional.one_hot(labels.long(), count).permute(0, 3, 1, 2)
        both = (probabilities * truth).sum((1, 2, 3))
        soft.append((both + _SMOOTH) / (probabilities.sum((1, 2, 3)) + truth.sum((1, 2, 3)) - both + _SMOOTH))
    right = confusion.diagonal()
    accuracy = right.sum() / confusion.sum()
    confusion[BACKGROUND] = 0
    union = confusion.sum(0) + confusion.sum(1) - right
    foreground = [label for label in range(count) if label != BACKGROUND]
    iou = right[foreground].sum() / union[foreground].sum()
    return TrimapFigures(float(accuracy), float(iou), float(torch.cat(soft).mean()))
