"""Exact PyTorch equivalents of the Keras layers in the course's networks.

"same" padding is TensorFlow's, batch norm has Keras' constants, and the bilinear upsampling is TensorFlow 1's
`resize_bilinear`. Tensors are float, N x C x H x W.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01  # 0.99 in Keras, which states the share of the old value
Size = int | tuple[int, int]  # rows and columns, or both at once


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's "same" padding of one axis: (before, after), the smaller half first."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


class Conv2dSame(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, an optional ReLU and Keras' initialisation.

    Input N x in_channels x H x W, output N x filters x ceil(H / stride) x ceil(W / stride).
    """

    keras_name = "conv2d"

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: Size,
        stride: Size = 1,
        *,
        dilation: Size = 1,
        relu: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, filters, kernel, stride, dilation=dilation, bias=bias)
        self.relu = relu
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(pad_same(x, self.kernel_size, self.stride, self.dilation))
        return F.relu(x) if self.relu else x


class SeparableConv2dSame(nn.Module):
    """Keras' SeparableConv2D: depthwise without bias, pointwise with bias, an optional ReLU; shapes as Conv2dSame."""

    keras_name = "separable_conv2d_keras"

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: Size = 3,
        stride: Size = 1,
        *,
        dilation: Size = 1,
        relu: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel, stride, dilation=dilation, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, filters, 1, bias=bias)
        self.relu = relu
        nn.init.xavier_uniform_(self.depthwise.weight)
        nn.init.xavier_uniform_(self.pointwise.weight)
        if self.pointwise.bias is not None:
            nn.init.zeros_(self.pointwise.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = pad_same(x, self.depthwise.kernel_size, self.depthwise.stride, self.depthwise.dilation)
        x = self.pointwise(self.depthwise(x))
        return F.relu(x) if self.relu else x


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with Keras' epsilon and momentum."""

    keras_name = "batch_normalization"

    def __init__(self, channels: int, epsilon: float = BATCH_NORM_EPSILON) -> None:
        super().__init__(channels, eps=epsilon, momentum=BATCH_NORM_MOMENTUM)


class BilinearUpsample2x(nn.Module):
    """TensorFlow 1's resize_bilinear, N x C x H x W to N x C x 2H x 2W.

    out[2i] = x[i], out[2i+1] = (x[i] + x[i+1]) / 2; the last row and column are repeated.
    """

    keras_name = "bilinear_up_sampling2d"

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if torch.compiler.is_compiling() and x.requires_grad:
            # torch.compile expects other strides of replicate's gradient than it has in channels_last
            padded = torch.cat([x, x[:, :, -1:]], 2)
            padded = torch.cat([padded, padded[..., -1:]], 3)
        else:
            padded = F.pad(x, (0, 1, 0, 1), mode="replicate")
        # corners to corners, h + 1 pixels become 2h + 1: a scale of exactly one half, in one pass over memory
        enlarged = F.interpolate(padded, (2 * height + 1, 2 * width + 1), mode="bilinear", align_corners=True)
        return enlarged[:, :, :-1, :-1]


class Concatenate(nn.Module):
    """Concatenation along the channels; larger tensors (odd sizes are halved upwards) are cropped to the last one."""

    keras_name = "concatenate"

    def forward(self, *tensors: Tensor) -> Tensor:
        height, width = tensors[-1].shape[2:]
        return torch.cat([tensor[:, :, :height, :width] for tensor in tensors], 1)


class MaxPool2d(nn.Module):
    """Keras' MaxPooling2D; `same` pads with minus infinity."""

    keras_name = "max_pooling2d"

    def __init__(self, pool: tuple[int, int], stride: tuple[int, int], *, same: bool) -> None:
        super().__init__()
        self.pool, self.stride, self.same = pool, stride, same

    def forward(self, x: Tensor) -> Tensor:
        if self.same:
            x = pad_same(x, self.pool, self.stride, value=-math.inf)
        return F.max_pool2d(x, self.pool, self.stride)


class AveragePool2d(nn.Module):
    """Keras' AveragePooling2D; with `same` a window at the edge averages its pixels in the image."""

    keras_name = "average_pooling2d"

    def __init__(self, pool: tuple[int, int], stride: tuple[int, int], *, same: bool) -> None:
        super().__init__()
        self.pool, self.stride, self.same = pool, stride, same

    def forward(self, x: Tensor) -> Tensor:
        if not self.same:
            return F.avg_pool2d(x, self.pool, self.stride)
        padded, inside = (pad_same(tensor, self.pool, self.stride) for tensor in (x, torch.ones_like(x[:1, :1])))
        return F.avg_pool2d(padded, self.pool, self.stride) / F.avg_pool2d(inside, self.pool, self.stride)


class Add(nn.Module):
    """The sum of tensors of one shape."""

    keras_name = "add"

    def forward(self, *tensors: Tensor) -> Tensor:
        return functools.reduce(torch.add, tensors)


def pad_same(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int] = (1, 1), value: float = 0.0
) -> Tensor:
    """`x` padded with `value` as for TensorFlow's "same"; kernel, stride and dilation are (rows, columns)."""
    top, bottom = same_padding(x.shape[2], kernel[0], stride[0], dilation[0])
    left, right = same_padding(x.shape[3], kernel[1], stride[1], dilation[1])
    return F.pad(x, (left, right, top, bottom), value=value)
