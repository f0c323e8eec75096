"""Keras' layers in PyTorch, exactly: what the course's networks were trained with.

"same" padding is TensorFlow's, batch norm follows the ReLU and has Keras' constants, and the bilinear upsampling is
TensorFlow 1's `resize_bilinear`. Tensors are float, N x C x H x W.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01  # Keras writes it 0.99: the share of the old value


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same" padding of one axis: (before, after), the smaller half first."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Conv2dSame(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding and, by choice, a ReLU behind it; weights as Keras draws them."""

    keras_name = "conv2d"

    def __init__(self, in_channels: int, filters: int, kernel: int, stride: int = 1, *, relu: bool = False) -> None:
        super().__init__(in_channels, filters, kernel, stride)
        self.relu = relu
        nn.init.xavier_uniform_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(pad_same(x, self.kernel_size[0], self.stride[0]))
        return F.relu(x) if self.relu else x


class SeparableConv2dSame(nn.Module):
    """Keras' SeparableConv2D: depthwise 3x3 without bias, pointwise with bias, then by choice a ReLU."""

    keras_name = "separable_conv2d_keras"

    def __init__(
        self, in_channels: int, filters: int, kernel: int = 3, stride: int = 1, *, relu: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, kernel, stride, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, filters, 1, bias=bias)
        self.relu = relu
        nn.init.xavier_uniform_(self.depthwise.weight)
        nn.init.xavier_uniform_(self.pointwise.weight)
        if self.pointwise.bias is not None:
            nn.init.zeros_(self.pointwise.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = pad_same(x, self.depthwise.kernel_size[0], self.depthwise.stride[0])
        x = self.pointwise(self.depthwise(x))
        return F.relu(x) if self.relu else x


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with Keras' epsilon and momentum."""

    keras_name = "batch_normalization"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)


class BilinearUpsample2x(nn.Module):
    """TensorFlow 1's resize_bilinear by two: out[2i] = x[i], out[2i+1] = (x[i] + x[i+1]) / 2, the last repeated."""

    keras_name = "bilinear_up_sampling2d"

    def forward(self, x: Tensor) -> Tensor:
        for axis in (2, 3):
            following = torch.cat([x.narrow(axis, 1, x.shape[axis] - 1), x.narrow(axis, x.shape[axis] - 1, 1)], axis)
            x = torch.stack([x, (x + following) / 2], axis + 1).flatten(axis, axis + 1)
        return x


class Concatenate(nn.Module):
    """Join along the channels; what is larger than the last tensor (odd sizes halve upwards) is cut to its size."""

    keras_name = "concatenate"

    def forward(self, *tensors: Tensor) -> Tensor:
        height, width = tensors[-1].shape[2:]
        return torch.cat([tensor[:, :, :height, :width] for tensor in tensors], 1)


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """`x` with zeros around it as TensorFlow's "same" wants them for this kernel and stride."""
    top, bottom = same_padding(x.shape[2], kernel, stride)
    left, right = same_padding(x.shape[3], kernel, stride)
    return F.pad(x, (left, right, top, bottom))
