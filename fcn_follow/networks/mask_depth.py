"""Networks with two heads, mask and depth: the two of source 003, and ours, its third step.

The output is N x (mask + 1) x H x W, the last channel the depth's. What the channels mean: `mask` channels of logits
(three classes, or the source's single one, whose sigmoid is the mask), and a depth value whose sigmoid (the source's,
scaled per image) or exponential (ours, metres) is the depth; the model card says which (`weights.ModelCard.depth`).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from fcn_follow.networks.hero_net import CLASS_COUNT, SeparableBlock, SeparableU
from fcn_follow.networks.keras import Conv2dSame
from fcn_follow.networks.sizes import require_multiple


def _convolution(channels: int, filters: int, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(channels, filters, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU())


class DilatedBlock(nn.Module):
    """1x1 to the width, dilated 3x3 to twice and to four times the width, and what came in on top."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(4 * width, width, 1),
            _convolution(width, 2 * width, dilation=dilation),
            _convolution(2 * width, 4 * width, dilation=dilation),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x 4 width x H x W to the same shape."""
        result: Tensor = x + self.layers(x)
        return result


class MaskDepth(nn.Module):
    """Source 003: a stem that halves the resolution, three dilated blocks, back up, two convolutions, one 1x1 head.

    Input N x 3 x H x W (value / 127.5 - 1), H and W even; output N x (mask_channels + 1) x H x W.
    """

    def __init__(self, upsampling: str, mask_channels: int, width: int = 16) -> None:
        super().__init__()
        wide = 4 * width
        self.stem = nn.Sequential(
            _convolution(3, width), _convolution(width, 2 * width), _convolution(2 * width, wide), nn.MaxPool2d(2)
        )
        dilations = (2, 4, 8) if upsampling == "transposed" else (2, 3, 4)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation) for dilation in dilations))
        if upsampling == "transposed":
            self.upsample: nn.Module = nn.ConvTranspose2d(wide, wide, 3, stride=2, padding=1, output_padding=1)
        else:
            self.upsample = nn.Sequential(_convolution(wide, 4 * wide, 1), nn.PixelShuffle(2))
        self.tail = nn.Sequential(_convolution(wide, wide), _convolution(wide, 2 * wide))
        self.head = nn.Conv2d(2 * wide, mask_channels + 1, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Mask and depth of the image's size; UserError for odd sizes."""
        require_multiple("the mask and depth network", image, 2)
        result: Tensor = self.head(self.tail(self.upsample(self.blocks(self.stem(image)))))
        return result


class MaskDepthSeparable(SeparableU):
    """Our U, which has no dilation, parting into mask and depth at full resolution.

    Input N x 3 x H x W (value / 127.5 - 1) of any size, output N x (3 + 1) x H x W: class logits and the logarithm of
    the depth in metres.
    """

    def __init__(self) -> None:
        widths = (16, 32, 56, 88, 120)
        super().__init__(widths, (2, 2, 2, 2, 2), (1, 1, 1, 1))
        first = widths[0]
        self.mask_head = nn.Sequential(SeparableBlock(first, first), Conv2dSame(first, CLASS_COUNT, 1))
        self.depth_head = nn.Sequential(SeparableBlock(first, first, 5), Conv2dSame(first, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Class logits and log depth of the image's size."""
        features = self.features(image)
        output: Tensor = self.concatenate(self.mask_head(features), self.depth_head(features))
        return output


def checkerboard(network: nn.Module, size_px: int = 160, period_px: int = 2) -> float:
    """Share of the output's variation at the upsampling period that a flat grey image gives, away from the edges.

    The energy of the means over the phases of the period against their mean, divided by the output's mean energy; 0
    where every phase is alike. Transposed convolutions whose kernel the stride does not divide leave such a pattern
    (Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", 2016).
    """
    with torch.no_grad():
        output = network.eval()(torch.full((1, 3, size_px, size_px), 0.3))[0].double()
    edge = size_px // 4 // period_px * period_px
    middle = output[:, edge:-edge, edge:-edge]
    offsets = itertools.product(range(period_px), repeat=2)
    phases = torch.stack([middle[:, row::period_px, column::period_px].mean((1, 2)) for row, column in offsets])
    energy = (phases - phases.mean(0)).square().mean()
    return float(energy / middle.square().mean().clamp_min(1e-12))
