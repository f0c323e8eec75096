"""Structural similarity of pictures in 0..1 (Wang et al., 2004), and at several scales (Wang et al., 2003)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

WINDOW_PX, SIGMA_PX = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """The SSIM of pictures N x C x H x W, of at least 11 x 11 pixels: N x C x (H - 10) x (W - 10).

    Only windows inside the picture count.
    """
    luminance, structure = _parts(first, second)
    return luminance * structure


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """MS-SSIM of each picture N x C x H x W, 0..1: N x C.

    It uses those of the five scales into which the window fits, with their weights scaled to a sum of one.
    """
    smallest = min(first.shape[2:])
    scales = sum(smallest >> scale >= WINDOW_PX for scale in range(len(SCALE_WEIGHTS)))
    weights = torch.tensor(SCALE_WEIGHTS[:scales])
    result = torch.ones(first.shape[:2], device=first.device)
    for scale, weight in enumerate((weights / weights.sum()).tolist()):
        luminance, structure = _parts(first, second)
        part = structure if scale < scales - 1 else luminance * structure
        result = result * part.mean((2, 3)).clamp_min(1e-6) ** weight
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
    return result


def _parts(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The term of the means, and the term of contrast and structure."""
    mean1, mean2 = _blurred(first), _blurred(second)
    variance1 = _blurred(first * first) - mean1 * mean1
    variance2 = _blurred(second * second) - mean2 * mean2
    covariance = _blurred(first * second) - mean1 * mean2
    luminance = (2 * mean1 * mean2 + C1) / (mean1 * mean1 + mean2 * mean2 + C1)
    return luminance, (2 * covariance + C2) / (variance1 + variance2 + C2)


def _blurred(x: Tensor) -> Tensor:
    """Gaussian means over the window, N x C x (H - 10) x (W - 10)."""
    height, width = x.shape[2:]
    return _band(height, x) @ x @ _band(width, x).T


def _band(size: int, like: Tensor) -> Tensor:
    """The window's means along one side as a matrix (size - 10) x size, whose product has a cheap gradient."""
    offsets = torch.arange(size, device=like.device) - torch.arange(size - WINDOW_PX + 1, device=like.device)[:, None]
    weights = torch.exp(-((offsets - WINDOW_PX // 2).to(like.dtype) ** 2) / (2 * SIGMA_PX**2))
    weights = torch.where((offsets >= 0) & (offsets < WINDOW_PX), weights, 0.0)
    return weights / weights.sum(1, keepdim=True)
