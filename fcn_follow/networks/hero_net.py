"""The networks of this project: a U-Net of separable convolutions for heroes of few pixels.

Its parts, which the published networks lack:
- features at full resolution before the first stride, with a skip, because a far hero is three pixels wide;
- residual separable blocks, for depth with few parameters;
- large depthwise kernels at the coarse levels, for context, such as that of a red flower bed;
- squeeze-and-excite at the coarse levels, which weights the channels by the whole frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from fcn_follow.networks.keras.layers import BilinearUpsample2x, Concatenate, Conv2dSame, pad_same

CLASS_COUNT = 3


class SeparableBlock(nn.Module):
    """Depthwise, batch norm, pointwise, batch norm, ReLU; with a residual if the shape stays the same.

    Input N x in_channels x H x W, output N x filters x ceil(H / stride) x ceil(W / stride).
    """

    def __init__(self, in_channels: int, filters: int, kernel: int = 3, stride: int = 1, residual: bool = True) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel, stride, groups=in_channels, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(in_channels)
        self.pointwise = nn.Conv2d(in_channels, filters, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()
        self.residual = residual and stride == 1 and in_channels == filters

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_same(x, self.depthwise.kernel_size, self.depthwise.stride)
        y = self.depthwise_norm(self.depthwise(padded))
        y = self.pointwise_norm(self.pointwise(y))
        result: Tensor = self.relu(x + y if self.residual else y)
        return result


class SqueezeExcite(nn.Module):
    """Squeeze-and-excite (Hu et al., 2018): scale each channel by a gate from the means of all; N x C x H x W."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(x)
        return x * gate


@dataclass(frozen=True)
class Parts:
    """The optional parts of the U-Net, for ablations."""

    residual: bool = True
    large_kernels: bool = True
    squeeze_excite: bool = True


ALL_PARTS = Parts()


class SeparableU(nn.Module):
    """A U-Net of separable blocks; level i has 1/2**i of the stem's size and widths[i] channels.

    Input N x 3 x H x W (value / 127.5 - 1) of any size; `decode` gives N x widths[0] x H' x W' for the heads, where H'
    and W' are those of the input, divided by `patch_px` and rounded up.
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        decoder_blocks: Sequence[int],
        parts: Parts = ALL_PARTS,
        patch_px: int = 1,
    ) -> None:
        super().__init__()
        block = partial(SeparableBlock, residual=parts.residual)
        kernel = 3 if patch_px == 1 else 2 * patch_px
        self.stem = nn.Sequential(Conv2dSame(3, widths[0], kernel, patch_px, relu=True), nn.BatchNorm2d(widths[0]))
        encoders = []
        for level, width in enumerate(widths):
            layers: list[nn.Module] = []
            if level > 0:
                layers.append(SeparableBlock(widths[level - 1], width, stride=2))
            kernel = 5 if parts.large_kernels and level >= 2 else 3
            layers += [block(width, width, kernel) for _ in range(blocks[level])]
            if parts.squeeze_excite and level >= 2:
                layers.append(SqueezeExcite(width))
            encoders.append(nn.Sequential(*layers))
        self.encoders = nn.ModuleList(encoders)
        self.upsample = BilinearUpsample2x()
        self.concatenate = Concatenate()
        decoders = []
        for level in range(len(widths) - 2, -1, -1):
            layers = [block(widths[level + 1] + widths[level], widths[level])]
            layers += [block(widths[level], widths[level]) for _ in range(decoder_blocks[level])]
            decoders.append(nn.Sequential(*layers))
        self.decoders = nn.ModuleList(decoders)

    def encode(self, image: Tensor) -> list[Tensor]:
        """The features of each level, the finest first."""
        levels = []
        x: Tensor = self.stem(image)
        for encoder in self.encoders:
            x = encoder(x)
            levels.append(x)
        return levels

    def join(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """A coarse level, upsampled, and the next finer one, concatenated."""
        joined: Tensor = self.concatenate(self.upsample(coarse), fine)
        return joined

    def decode(self, levels: list[Tensor]) -> Tensor:
        """The features for the heads, from all levels, at the size of the image."""
        *skips, x = levels
        for decoder, skip in zip(self.decoders, reversed(skips), strict=True):
            x = decoder(self.join(x, skip))
        return x


class HeroNet(SeparableU):
    """The U-Net with one head; its output are logits N x 3 x H x W."""

    def __init__(
        self, widths: Sequence[int], blocks: Sequence[int], decoder_blocks: Sequence[int], parts: Parts = ALL_PARTS
    ) -> None:
        super().__init__(widths, blocks, decoder_blocks, parts)
        self.head = Conv2dSame(widths[0], CLASS_COUNT, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        logits: Tensor = self.head(self.decode(self.encode(image)))
        return logits


class HalfResolutionHeroNet(HeroNet):
    """HeroNet with a first stride of two and no features at full resolution, like the published networks."""

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], decoder_blocks: Sequence[int]) -> None:
        super().__init__(widths, blocks, decoder_blocks)
        self.stem = nn.Sequential(Conv2dSame(3, widths[0], 3, 2, relu=True), nn.BatchNorm2d(widths[0]))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        logits: Tensor = self.upsample(super().forward(image))
        return logits[:, :, : image.shape[2], : image.shape[3]]


class PatchHeroNet(SeparableU):
    """The U-Net on patches of 2x2 pixels, and a few channels at full resolution; its output are logits N x 3 x H x W.

    Most channels see a quarter of the positions, so that they stay in a CPU's cache; `detail` channels see every pixel.
    """

    def __init__(
        self, widths: Sequence[int], blocks: Sequence[int], decoder_blocks: Sequence[int], detail: int
    ) -> None:
        super().__init__(widths, blocks, decoder_blocks, patch_px=PATCH_PX)
        self.detail = nn.Sequential(Conv2dSame(3, detail, 3, relu=True), nn.BatchNorm2d(detail))
        self.pixels = nn.ConvTranspose2d(widths[0], detail, PATCH_PX, PATCH_PX)
        self.refine = SeparableBlock(2 * detail, 2 * detail, residual=False)
        self.head = Conv2dSame(2 * detail, CLASS_COUNT, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        answer = self.pixels(self.decode(self.encode(image)))
        logits: Tensor = self.head(self.refine(self.concatenate(answer, self.detail(image))))
        return logits


PATCH_PX = 2
HERO_NET = ((24, 40, 64, 84, 108), (2, 2, 2, 2, 2), (2, 1, 1, 1))
HERO_NET_FAST = ((32, 48, 64, 80, 100), (2, 2, 2, 2, 2), (1, 1, 1, 1))


def hero_net(parts: Parts = ALL_PARTS) -> HeroNet:
    """At most 160,000 parameters, for 160x160 and 256x256."""
    return HeroNet(*HERO_NET, parts)


def hero_net_half_resolution() -> HeroNet:
    """The ablation without features at full resolution."""
    return HalfResolutionHeroNet(*HERO_NET)


def hero_net_fast() -> PatchHeroNet:
    """At most 160,000 parameters and 125 MMACs, for 160x160."""
    return PatchHeroNet(*HERO_NET_FAST, detail=8)
