"""Depth as a picture from 0 to 1, from a network's channel and from the truth, for image losses.

Depth in metres becomes its logarithm, 0 at 1 m and 1 at 64 m, so a difference is a share of the distance. Scaled in
each image (source 003) it is the depth itself, from the nearest to the farthest measured pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import torch
from torch import Tensor

from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.scoring.similarity import WINDOW_PX, ssim
from fcn_follow.networks.weights import METRES

MAX_DEPTH_M = 64.0
FLAT_M = 1e-3


class DepthPair(NamedTuple):
    """Predicted and true depth, both N x 1 x H x W; where measured is False both are the same."""

    found: Tensor
    truth: Tensor
    measured: Tensor


def as_picture(kind: str, channel: Tensor) -> Tensor:
    """A depth channel as a picture."""
    return channel / math.log(MAX_DEPTH_M) if kind == METRES else torch.sigmoid(channel)


def depth_pair(kind: str, channel: Tensor, depth_m: Tensor) -> DepthPair:
    """Pictures of a depth channel N x 1 x H x W and of the truth in metres at the card's focal length (0: none)."""
    measured = depth_m > 0
    if kind == METRES:
        truth = torch.log(torch.where(measured, depth_m, 1.0)) / math.log(MAX_DEPTH_M)
    else:
        nearest = torch.where(measured, depth_m, torch.inf).amin((2, 3), keepdim=True)
        farthest = depth_m.amax((2, 3), keepdim=True)
        reach = farthest - nearest
        flat = ~(reach > FLAT_M)  # a flat image, or one without a measured pixel
        truth = torch.where(flat | ~measured, 0.0, (depth_m - nearest) / torch.where(flat, 1.0, reach))
    found = as_picture(kind, channel)
    return DepthPair(torch.where(measured, found, truth.detach()), truth, measured)


def ssim_difference(pair: DepthPair) -> Tensor:
    """One minus the SSIM, the mean over the windows whose middle pixel was measured."""
    edge = WINDOW_PX // 2
    return mean_where(1.0 - ssim(pair.found, pair.truth), pair.measured[..., edge:-edge, edge:-edge])


def paint_depth(picture: Tensor) -> UInt8Array:
    """A depth picture H x W in colours, uint8 H x W x 3 RGB: near is red, far is blue."""
    levels = (255 * (1 - picture.clamp(0, 1))).byte().numpy()
    painted: UInt8Array = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1]
    return painted


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the values where chosen is True; 0 where it never is."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp_min(1)
