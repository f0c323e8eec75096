"""SegNet, with standard or depthwise separable convolutions; its unpooling uses the indices of the pooling.

Badrinarayanan, Kendall, Cipolla, "SegNet", 2017, in the form of source 004: an encoder of VGG kind, 2-2-3-3
convolutions of 64-128-256-512, a mirrored decoder, batch norm and ReLU after every convolution, also the last one.
Outputs that the last ReLU cuts off have no gradient, so its batch norm starts well above zero.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from fcn_follow.networks.sizes import require_multiple

CLASS_COUNT = 3
STAGES = ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3))
"""Channels in, channels out and number of convolutions of each encoder stage; the decoder mirrors them."""

LAST_NORM_START = 2.0  # scale and shift of the last batch norm

Convolution = Callable[[int, int], nn.Module]


def standard(in_channels: int, filters: int) -> nn.Module:
    """A 3x3 convolution without bias."""
    return nn.Conv2d(in_channels, filters, 3, padding=1, bias=False)


def separable(in_channels: int, filters: int) -> nn.Module:
    """Depthwise 3x3, then pointwise, both without bias."""
    depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(in_channels, filters, 1, bias=False))


class SegNet(nn.Module):
    """Input N x 3 x H x W (value / 127.5 - 1), output the logits N x 3 x H x W; H and W multiples of 16.

    The logits are not negative: the source's last stage ends in batch norm and ReLU. Raises UserError for other sizes.
    """

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(3)
        self.encoders = nn.ModuleList(
            _stage(convolution, [channels] + [filters] * count) for channels, filters, count in STAGES
        )
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.decoders = nn.ModuleList(
            _stage(convolution, [filters] * count + [channels if channels > 3 else CLASS_COUNT])
            for channels, filters, count in reversed(STAGES)
        )
        *_, last_norm = (layer for layer in self.modules() if isinstance(layer, nn.BatchNorm2d))
        nn.init.constant_(last_norm.weight, LAST_NORM_START)
        nn.init.constant_(last_norm.bias, LAST_NORM_START)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        require_multiple("SegNet", image, 2 ** len(STAGES))
        x = self.input_norm(image)
        kept = []
        for encoder in self.encoders:
            x, indices = self.pool(encoder(x))
            kept.append(indices)
        for decoder in self.decoders:
            x = decoder(self.unpool(x, kept.pop()))
        logits: Tensor = x
        return logits


def _stage(convolution: Convolution, channels: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [convolution(before, after), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def segnet() -> SegNet:
    """15,284,632 parameters, 15,274,892 of them trainable."""
    return SegNet(standard)


def segnet_separable() -> SegNet:
    """1,759,411 parameters, 1,749,671 of them trainable."""
    return SegNet(separable)
