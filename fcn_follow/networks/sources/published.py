"""The three published Follow-Me networks, layer for layer.

Input N x 3 x H x W (value / 127.5 - 1) of any size, output logits N x 3 x H x W; a softmax over axis 1 gives the output
of the Keras originals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from fcn_follow.networks.keras.layers import BatchNorm, BilinearUpsample2x, Concatenate, Conv2dSame, SeparableConv2dSame

CLASS_COUNT = 3


class Decoder(nn.Module):
    """Upsample by two, concatenate the skip, then separable convolutions, each with ReLU and batch norm."""

    def __init__(self, in_channels: int, skip_channels: int, filters: int, convolutions: int) -> None:
        super().__init__()
        self.upsample = BilinearUpsample2x()
        self.concatenate = Concatenate()
        layers: list[nn.Module] = []
        channels = in_channels + skip_channels
        for _ in range(convolutions):
            layers += [SeparableConv2dSame(channels, filters), BatchNorm(filters)]
            channels = filters
        self.convolutions = nn.Sequential(*layers)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.concatenate(self.upsample(x), skip)
        result: Tensor = self.convolutions(joined)
        return result


class PublishedFCN(nn.Module):
    """The family of the three sources: separable encoders, one convolution in the middle, decoders with skips.

    `encoders` and `decoders` are numbers of filters. With as many decoders as encoders the last skip is the input
    image; with one fewer, the last step is only an upsampling.
    """

    def __init__(
        self,
        encoders: Sequence[int],
        middle_filters: int,
        middle_kernel: int,
        decoders: Sequence[int],
        decoder_convolutions: int,
        head_kernel: int,
    ) -> None:
        super().__init__()
        widths = [3, *encoders]
        self.encoders = nn.ModuleList(
            nn.Sequential(SeparableConv2dSame(before, after, stride=2), BatchNorm(after))
            for before, after in pairwise(widths)
        )
        self.middle = nn.Sequential(
            Conv2dSame(widths[-1], middle_filters, middle_kernel, relu=True), BatchNorm(middle_filters)
        )
        inputs = [middle_filters, *decoders]
        skips = widths[-2::-1]
        self.decoders = nn.ModuleList(
            Decoder(inputs[i], skips[i], filters, decoder_convolutions) for i, filters in enumerate(decoders)
        )
        self.last_upsample = BilinearUpsample2x() if len(decoders) < len(encoders) else None
        self.head = Conv2dSame(inputs[-1], CLASS_COUNT, head_kernel)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size; image is N x 3 x H x W."""
        skips = [image]
        for encoder in self.encoders:
            skips.append(encoder(skips[-1]))
        x = self.middle(skips.pop())
        for decoder in self.decoders:
            x = decoder(x, skips.pop())
        if self.last_upsample is not None:
            x = self.last_upsample(x)[:, :, : image.shape[2], : image.shape[3]]
        logits: Tensor = self.head(x)
        return logits


def fcn_000() -> PublishedFCN:
    """Source 000: encoders 64/128/128, 3x3 convolution of 64, two decoders of one separable convolution each."""
    return PublishedFCN((64, 128, 128), 64, 3, (128, 128), 1, head_kernel=1)


def fcn_001() -> PublishedFCN:
    """Source 001: encoders 32/64/128, 1x1 convolution of 128, three decoders of two separable convolutions each."""
    return PublishedFCN((32, 64, 128), 128, 1, (128, 64, 32), 2, head_kernel=1)


def fcn_002(middle_filters: int = 512, middle_kernel: int = 3) -> PublishedFCN:
    """Source 002: encoders 64/128; its code has a 3x3 convolution of 512 in the middle, its text a 1x1 of 256."""
    return PublishedFCN((64, 128), middle_filters, middle_kernel, (128, 64), 2, head_kernel=3)
