"""Losses of the depth head by name: a spec such as "ssim + 2 scale_invariant_log" is a weighted sum of them.

Each takes found and true depth as pictures from 0 to 1 (`scoring/depth_map.py`) and the one-hot masks N x 3 x H x W.
Only pixels with a measured depth count.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fcn_follow.classes import BACKGROUND, HERO
from fcn_follow.errors import UserError
from fcn_follow.lab.scoring.depth_picture import MAX_DEPTH_M, DepthPair, depth_pair, mean_where, ssim_difference
from fcn_follow.lab.scoring.similarity import ms_ssim
from fcn_follow.lab.training.losses import parse_terms
from fcn_follow.networks.weights import METRES

DepthLoss = Callable[[DepthPair, Tensor], Tensor]
VARIANCE_FOCUS = 0.5


def l1(pair: DepthPair, masks: Tensor) -> Tensor:
    """Mean absolute difference."""
    return mean_where((pair.found - pair.truth).abs(), pair.measured)


def l1_sum(pair: DepthPair, masks: Tensor) -> Tensor:
    """Sum over pixels of absolute differences, the mean over frames (source 003)."""
    return (pair.found - pair.truth).abs().sum() / len(masks)


def mse(pair: DepthPair, masks: Tensor) -> Tensor:
    """Mean squared difference."""
    return mean_where((pair.found - pair.truth).square(), pair.measured)


def ssim_loss(pair: DepthPair, masks: Tensor) -> Tensor:
    """`ssim_difference`."""
    return ssim_difference(pair)


def ms_ssim_loss(pair: DepthPair, masks: Tensor) -> Tensor:
    """One minus the MS-SSIM, the mean over frames."""
    return (1.0 - ms_ssim(pair.found, pair.truth)).mean()


def scale_invariant_log(pair: DepthPair, masks: Tensor) -> Tensor:
    """Eigen et al. (2014): mean(g**2) - mean(g)**2 / 2 in each frame, g the difference of log depths."""
    g = (pair.found - pair.truth) * math.log(MAX_DEPTH_M)
    count = pair.measured.sum((1, 2, 3)).clamp_min(1)
    mean, squares = g.sum((1, 2, 3)) / count, g.square().sum((1, 2, 3)) / count
    return (squares - VARIANCE_FOCUS * mean.square()).mean()


def people_log(pair: DepthPair, masks: Tensor) -> Tensor:
    """Mean absolute difference of log depths over the hero and over other people; every frame has the same weight.

    Without it the twenty pixels of a far hero would vanish among 25,600.
    """
    g = (pair.found - pair.truth).abs() * math.log(MAX_DEPTH_M)
    people = (masks[:, BACKGROUND + 1 : HERO + 1] > 0.5) & pair.measured
    count = people.sum((2, 3))
    means = torch.where(people, g, 0.0).sum((2, 3)) / count.clamp_min(1)
    return mean_where(means, count > 0)


PICTURE_LOSSES: dict[str, DepthLoss] = {
    "l1": l1,
    "l1_sum": l1_sum,
    "mse": mse,
    "ssim": ssim_loss,
    "ms_ssim": ms_ssim_loss,
}
METRIC_LOSSES: dict[str, DepthLoss] = {"scale_invariant_log": scale_invariant_log, "people_log": people_log}


def parse_depth_loss(spec: str, kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of depth channels N x 1 x H x W against targets N x 4 x H x W, whose last channel is the true depth.

    Raises UserError for unknown names, and for losses in metres where depth is scaled in each image.
    """
    if not spec:
        raise UserError("a network with a depth head needs a depth_loss, such as 'ssim + scale_invariant_log'")
    terms = parse_terms(spec, PICTURE_LOSSES | (METRIC_LOSSES if kind == METRES else {}), f"depth {kind}")

    def loss(channel: Tensor, targets: Tensor) -> Tensor:
        masks, depth_m = targets[:, :-1], targets[:, -1:]
        pair = depth_pair(kind, channel, depth_m)
        return torch.stack([weight * term(pair, masks) for weight, term in terms]).sum()

    return loss
