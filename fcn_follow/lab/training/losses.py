"""Losses by name, apart from the networks: a spec such as "cross_entropy + 0.5 dice" is a weighted sum of them.

Each takes logits N x C x H x W and soft targets of the same shape (one-hot away from borders) and gives a scalar.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from fcn_follow.classes import HERO
from fcn_follow.errors import UserError
from fcn_follow.lab.scoring.similarity import ms_ssim, ssim

Loss = Callable[[Tensor, Tensor], Tensor]
EPSILON = 1e-6
PRESENCE_PX = 4  # as many pixels as make a hero in the score
BORDER_PX = 3  # around the hero, where its edge may be drawn either way


def cross_entropy(class_weights: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    """Categorical cross-entropy, each pixel weighted by its classes' weights; the mean over the weights."""
    weights = class_weights.view(1, -1, 1, 1) * targets
    return -(weights * torch.log_softmax(logits, 1)).sum() / weights.sum()


def focal(class_weights: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    """Focal loss with gamma 2 (Lin et al., 2017): pixels that are already right count little."""
    log_p = torch.log_softmax(logits, 1)
    weights = class_weights.view(1, -1, 1, 1) * targets
    return -(weights * (1 - log_p.exp()) ** 2 * log_p).sum() / weights.sum()


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the Dice coefficient of people and hero over the whole batch (Milletari et al., 2016)."""
    p = torch.softmax(logits, 1)
    overlap = (p * targets).sum((0, 2, 3))
    sizes = p.sum((0, 2, 3)) + targets.sum((0, 2, 3))
    return 1.0 - ((2 * overlap[1:] + 1.0) / (sizes[1:] + 1.0)).mean()


def hero_jaccard(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the soft IoU of the hero, the mean over the frames with a hero, as in the score."""
    p, truth = torch.softmax(logits, 1)[:, HERO], targets[:, HERO]
    present = (truth.sum((1, 2)) > 3).float()
    overlap = (p * truth).sum((1, 2))
    union = (p + truth - p * truth).sum((1, 2))
    return ((1.0 - overlap / (union + EPSILON)) * present).sum() / (present.sum() + EPSILON)


def hero_presence(logits: Tensor, targets: Tensor) -> Tensor:
    """Whether a hero is where it should be and nowhere else, by the few pixels of each frame that decide it.

    Cross-entropy of "hero" against "no hero" over the PRESENCE_PX likeliest pixels away from the hero, plus, in frames
    with a hero, over those on it. A false alarm of five pixels, which the mean over a frame hides, costs as much here
    as a missed hero.
    """
    log_p = torch.log_softmax(logits, 1)
    hero, other = log_p[:, HERO], torch.logsumexp(log_p[:, :HERO], 1)
    near = F.max_pool2d(targets[:, HERO : HERO + 1], 2 * BORDER_PX + 1, 1, BORDER_PX)[:, 0] > 0
    away = other.masked_fill(near, 0.0).flatten(1).topk(PRESENCE_PX, largest=False).values
    on = hero.masked_fill(targets[:, HERO] < 0.5, -math.inf).flatten(1).topk(PRESENCE_PX).values
    found = torch.where(on.isfinite(), on, 0.0).sum(1) / on.isfinite().sum(1).clamp(min=1)
    return -(away.mean(1) + found).mean()


def lovasz(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovasz-softmax (Berman et al., 2018) over the classes in the batch."""
    p = torch.softmax(logits, 1).transpose(0, 1).flatten(1)
    truth = (targets.transpose(0, 1).flatten(1) > 0.5).float()
    losses = []
    for probabilities, present in zip(p, truth, strict=True):
        if present.sum() > 0:
            errors, order = (present - probabilities).abs().sort(descending=True)
            ordered = present[order]
            union = ordered.sum() + (1 - ordered).cumsum(0)
            jaccard = 1 - (ordered.sum() - ordered.cumsum(0)) / union
            steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
            losses.append((errors * steps).sum())
    return torch.stack(losses).mean()


def l1(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of probabilities."""
    return (torch.softmax(logits, 1) - targets).abs().mean()


def l1_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over pixels and classes of absolute differences, the mean over frames (source 003)."""
    return (torch.softmax(logits, 1) - targets).abs().sum() / len(logits)


def l2(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference of probabilities."""
    return ((torch.softmax(logits, 1) - targets) ** 2).mean()


def l2_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over pixels and classes of squared differences, the mean over frames."""
    return ((torch.softmax(logits, 1) - targets) ** 2).sum() / len(logits)


def ssim_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the SSIM of the probabilities as pictures."""
    return 1.0 - ssim(torch.softmax(logits, 1), targets).mean()


def ms_ssim_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the MS-SSIM of the probabilities as pictures."""
    return 1.0 - ms_ssim(torch.softmax(logits, 1), targets).mean()


LOSSES: dict[str, Loss] = {
    "dice": dice,
    "hero_jaccard": hero_jaccard,
    "hero_presence": hero_presence,
    "lovasz": lovasz,
    "l1": l1,
    "l1_sum": l1_sum,
    "l2": l2,
    "mse": l2,
    "l2_sum": l2_sum,
    "ssim": ssim_loss,
    "ms_ssim": ms_ssim_loss,
}
WEIGHTED_LOSSES = {"cross_entropy": cross_entropy, "focal": focal}


@dataclass(frozen=True)
class WeightedSum:
    """The sum of losses, each with its weight."""

    terms: tuple[tuple[float, Loss], ...]

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        return torch.stack([weight * loss(logits, targets) for weight, loss in self.terms]).sum()


def parse_loss(spec: str, class_weights: Tensor) -> WeightedSum:
    """The loss of a spec such as "cross_entropy + 0.5 dice"; class_weights are for the losses that use them.

    Raises UserError for an unknown name.
    """
    weighted = {name: partial(loss, class_weights) for name, loss in WEIGHTED_LOSSES.items()}
    return WeightedSum(parse_terms(spec, {**LOSSES, **weighted}, "the mask"))


LossT = TypeVar("LossT")


def parse_terms(spec: str, known: Mapping[str, LossT], what: str) -> tuple[tuple[float, LossT], ...]:
    """The weights and losses of a sum such as "cross_entropy + 0.5 dice". Raises UserError for an unknown name."""
    terms = []
    for part in spec.split("+"):
        match = re.fullmatch(r"\s*(?:(\d+(?:\.\d+)?)\s*\*?\s*)?([a-z]\w*)\s*", part)
        name = match.group(2) if match else part.strip()
        if match is None or name not in known:
            raise UserError(
                f"loss {spec!r}: {name!r} is not known; known are {', '.join(sorted(known))} for {what}, "
                "as in 'l1 + 0.5 ssim'"
            )
        terms.append((float(match.group(1) or 1.0), known[name]))
    return tuple(terms)
