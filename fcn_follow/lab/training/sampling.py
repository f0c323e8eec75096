"""The choice of the frames of each step."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from fcn_follow.classes import HERO
from fcn_follow.lab.data.bank import FrameBank
from fcn_follow.lab.scoring.detection import SIZE_EDGES_PX
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.networks.sources.mask_depth import class_logits

ALWAYS = 0.05
"""What mining adds to a frame's highest hero probability, so that no frame is forgotten."""


def frame_weights(bank: FrameBank, parameters: TrainingParameters, alarms: Tensor | None = None) -> Tensor:
    """The relative probability of each frame, float N.

    alarms, for mining: the highest probability of a hero that the network last saw in each frame, float N.

    Balanced: a share `without_hero` of the draws has no hero; the others go to the size classes of the hero in
    proportion to the square root of the number of frames in each.
    """
    if parameters.sampling == "natural":
        return torch.ones(len(bank))
    classes = torch.bucketize(torch.from_numpy(bank.hero_px), torch.tensor(SIZE_EDGES_PX[:-1]), right=True)
    counts = torch.bincount(classes, minlength=len(SIZE_EDGES_PX)).float()
    shares = counts.sqrt()
    shares[0] = 0.0
    shares = shares / shares.sum().clamp(min=1.0) * (1.0 - parameters.without_hero)
    shares[0] = parameters.without_hero if counts[0] > 0 else 0.0
    weights = (shares / counts.clamp(min=1.0))[classes]
    if alarms is None:
        return weights
    absent = classes == 0
    mined = absent * (alarms + ALWAYS)
    return torch.where(absent, shares[0] * mined / mined.sum().clamp(min=ALWAYS), weights)


def highest_false_hero(output: Tensor, targets: Tensor, before: Tensor) -> Tensor:
    """The highest probability of a hero in each frame without one, float N; `before` for the others."""
    p = torch.softmax(class_logits(output), 1)[:, HERO].amax((1, 2))
    return torch.where(targets[:, HERO].amax((1, 2)) == 0, p, before)


def epoch_indices(weights: Tensor, count: int, sampling: str, generator: Generator) -> Tensor:
    """`count` frame indices for one epoch: permutations of all frames when natural, else drawn by weight."""
    if sampling == "balanced":
        return torch.multinomial(weights, count, replacement=True, generator=generator)
    rounds = [torch.randperm(len(weights), generator=generator) for _ in range(-(-count // len(weights)))]
    return torch.cat(rounds)[:count]
