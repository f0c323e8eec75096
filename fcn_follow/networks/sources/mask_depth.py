"""Networks with a mask head and a depth head: the two of source 003, and a separable one of this project.

The output is N x (mask + 1) x H x W: `mask` channels of logits (three classes, or the source's single one, whose
sigmoid is the mask), and a channel whose sigmoid (the source's, scaled per image) or exponential (metres) is the depth.
The model card says which (`weights.ModelCard.depth`).
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from fcn_follow.networks.hero_net import CLASS_COUNT, HERO_NET, HeroNet, SeparableBlock
from fcn_follow.networks.keras.layers import Conv2dSame
from fcn_follow.networks.sizes import require_multiple

START_DEPTH_M = 12.0
PERIOD_PX = 2  # of the upsampling
IMPOSSIBLE_LOGIT = -30.0  # of a class that the network does not have; infinity times 0 would be NaN


def _convolution(channels: int, filters: int, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(channels, filters, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU())


@torch.no_grad()
def _initialise_icnr(convolution: nn.Module) -> None:
    """Initialise the four filters of each pixel shuffle equally, without a checkerboard pattern (ICNR).

    Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017. The only difference from the source.
    """
    assert isinstance(convolution, nn.Conv2d)
    convolution.weight.copy_(convolution.weight[::4].repeat_interleave(4, 0))


class DilatedBlock(nn.Module):
    """1x1 to the width, dilated 3x3 to twice and to four times the width, and a residual."""

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
            widen = _convolution(wide, 4 * wide, 1)
            _initialise_icnr(widen[0])
            self.upsample = nn.Sequential(widen, nn.PixelShuffle(2))
        self.tail = nn.Sequential(_convolution(wide, wide), _convolution(wide, 2 * wide))
        self.head = nn.Conv2d(2 * wide, mask_channels + 1, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Mask and depth of the image's size; UserError for odd sizes."""
        require_multiple("the mask and depth network", image, 2)
        result: Tensor = self.head(self.tail(self.upsample(self.blocks(self.stem(image)))))
        return result


class MaskDepthSeparable(HeroNet):
    """hero_net with a second decoder for depth on the same encoder; weights of hero_net fit by name.

    The depth decoder starts with more context, is thinner, and gets the mask features, which have the edges of depth.
    Input N x 3 x H x W (value / 127.5 - 1) of any size, output N x (3 + 1) x H x W: class logits and the logarithm of
    the depth in metres.
    """

    def __init__(self) -> None:
        super().__init__(*HERO_NET)
        *skips, bottom = HERO_NET[0]
        self.depth_context = nn.Sequential(*(SeparableBlock(bottom, bottom, 5) for _ in range(2)))
        plan = ((72, 72, 5), (48, 48, 5), (24, 12, 3), (16, 16, 3))  # of the two blocks of each decoder
        self.depth_decoders = nn.ModuleList()
        below = bottom
        for (first, second, kernel), skip in zip(plan, reversed(skips), strict=True):
            blocks = SeparableBlock(below + skip, first), SeparableBlock(first, second, kernel)
            self.depth_decoders.append(nn.Sequential(*blocks))
            below = second
        self.depth_head = Conv2dSame(below, 1, 1)
        assert self.depth_head.bias is not None
        nn.init.constant_(self.depth_head.bias, math.log(START_DEPTH_M))

    def forward(self, image: Tensor) -> Tensor:
        """Class logits and log depth of the image's size."""
        levels = self.encode(image)
        mask_features = self.decode(levels)
        _, *skips, bottom = levels
        depth = self.depth_context(bottom)
        for decoder, skip in zip(self.depth_decoders, [*reversed(skips), mask_features], strict=True):
            depth = decoder(self.join(depth, skip))
        output: Tensor = self.concatenate(self.head(mask_features), self.depth_head(depth))
        return output


def class_logits(output: Tensor) -> Tensor:
    """The logits N x 3 x H x W in the output of any network, with or without a depth channel.

    A mask of one channel, whose sigmoid is the hero's probability, becomes logits with the same probability and no
    other people.
    """
    if output.shape[1] > CLASS_COUNT:
        return output[:, :CLASS_COUNT]
    if output.shape[1] == CLASS_COUNT:
        return output
    hero = output[:, :1]
    return torch.cat([torch.zeros_like(hero), torch.full_like(hero, IMPOSSIBLE_LOGIT), hero], 1)


def checkerboard(network: nn.Module, size_px: int = 160) -> float:
    """Share of the output's energy in a pattern with the upsampling period, for a grey image, away from the edges.

    The energy of the deviations of the phase means from their mean, divided by the output's mean energy; 0 if all
    phases are equal. Transposed convolutions with a kernel that the stride does not divide leave such a pattern (Odena,
    Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts", 2016).
    """
    with torch.no_grad():
        device = next((tensor.device for tensor in network.parameters()), None)
        flat = torch.full((1, 3, size_px, size_px), 0.3, device=device)
        output = network.eval()(flat)[0].double()
    edge = size_px // 4 // PERIOD_PX * PERIOD_PX
    middle = output[:, edge:-edge, edge:-edge]
    offsets = itertools.product(range(PERIOD_PX), repeat=2)
    phases = torch.stack([middle[:, row::PERIOD_PX, column::PERIOD_PX].mean((1, 2)) for row, column in offsets])
    energy = (phases - phases.mean(0)).square().mean()
    return float(energy / middle.square().mean().clamp_min(1e-12))
