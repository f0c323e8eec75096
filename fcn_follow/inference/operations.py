"""The operations of a graph. Each class says how it runs in PyTorch, how it is written as ONNX, and its channels.

Tensors are N x C x H x W unless an operation says otherwise. Paddings are (top, bottom, left, right).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

if TYPE_CHECKING:
    from fcn_follow.inference.onnx_model import OnnxNodes

Padding = tuple[int, int, int, int]


class Operation:
    """A frozen description of a computation."""

    tensors: ClassVar[tuple[str, ...]] = ()
    """The fields that are tensors; `run` gets them in the precision of the network."""

    def run(self, *args: Any, **tensors: Any) -> Tensor:
        """The output for input tensors; the fields `tensors` are given by name."""
        raise NotImplementedError

    def write(self, onnx: OnnxNodes, name: str, *inputs: Any) -> None:
        """Add the nodes that compute the output `name` from these inputs."""
        raise NotImplementedError

    def channels(self, inputs: Sequence[int]) -> int:
        """The number of output channels for these numbers of input channels."""
        return inputs[0]


@dataclass(frozen=True)
class Pixels(Operation):
    """The input: uint8 N x H x W x 3 RGB to float, value / 127.5 - 1."""

    def run(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1.0

    def write(self, onnx: OnnxNodes, name: str, images: str) -> None:
        channels_first = onnx.add("Transpose", [images], f"{name}.nchw", perm=[0, 3, 1, 2])
        as_float = onnx.cast(channels_first, f"{name}.float", np.float32)
        scaled = onnx.add("Div", [as_float, onnx.constant(f"{name}.half", 127.5)], f"{name}.scaled")
        onnx.add("Sub", [scaled, onnx.constant(f"{name}.one", 1.0)], name)

    def channels(self, inputs: Sequence[int]) -> int:
        return 3


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Zero padding, then a convolution with weight (out, in / groups, rows, columns) and bias (out).

    stride and dilation are (rows, columns).
    """

    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: Padding
    dilation: tuple[int, int]
    groups: int

    tensors = ("weight", "bias")

    @property
    def is_pointwise(self) -> bool:
        """Whether it mixes the channels of each pixel alone."""
        return self.weight.shape[2:] == (1, 1) and self.stride == (1, 1) and self.groups == 1

    @property
    def is_depthwise(self) -> bool:
        """Whether it filters each channel alone."""
        return self.groups == self.weight.shape[0]

    def run(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        top, bottom, left, right = self.padding
        symmetric = (top, left) == (bottom, right)
        if not symmetric:
            x = F.pad(x, (left, right, top, bottom))
        padding = (top, left) if symmetric else (0, 0)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        weight = onnx.constant(f"{name}.weight", self.weight)
        bias = onnx.constant(f"{name}.bias", self.bias)
        onnx.add(
            "Conv", [x, weight, bias], name,
            group=self.groups, strides=self.stride, dilations=self.dilation, pads=_onnx_pads(self.padding),
        )  # fmt: skip

    def channels(self, inputs: Sequence[int]) -> int:
        return self.weight.shape[0]


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """scale * x + shift for each channel: a batch norm in eval mode."""

    scale: Tensor
    shift: Tensor

    tensors = ("scale", "shift")

    def run(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return x * scale[:, None, None] + shift[:, None, None]

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        scaled = onnx.add("Mul", [x, onnx.channel_constant(f"{name}.scale", self.scale)], f"{name}.scaled")
        onnx.add("Add", [scaled, onnx.channel_constant(f"{name}.shift", self.shift)], name)


@dataclass(frozen=True, eq=False)
class Shift(Operation):
    """x + shift for each channel."""

    shift: Tensor

    tensors = ("shift",)

    def run(self, x: Tensor, shift: Tensor) -> Tensor:
        return x + shift[:, None, None]

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.add("Add", [x, onnx.channel_constant(f"{name}.shift", self.shift)], name)


@dataclass(frozen=True)
class Relu(Operation):
    """max(x, 0)."""

    def run(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.add("Relu", [x], name)


@dataclass(frozen=True)
class Sigmoid(Operation):
    """1 / (1 + exp(-x))."""

    def run(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.add("Sigmoid", [x], name)


@dataclass(frozen=True)
class Add(Operation):
    """The sum of tensors of one shape."""

    def run(self, *inputs: Tensor) -> Tensor:
        return functools.reduce(torch.add, inputs)

    def write(self, onnx: OnnxNodes, name: str, *inputs: str) -> None:
        onnx.add("Sum", inputs, name)


@dataclass(frozen=True)
class Multiply(Operation):
    """The product of two tensors, one of which may be N x C x 1 x 1."""

    def run(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.mul(first, second)

    def write(self, onnx: OnnxNodes, name: str, *inputs: str) -> None:
        onnx.add("Mul", inputs, name)


@dataclass(frozen=True)
class FrameMean(Operation):
    """The mean over the frame, N x C x 1 x 1."""

    def run(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.add("GlobalAveragePool", [x], name)


@dataclass(frozen=True)
class Join(Operation):
    """Tensors concatenated along the channels."""

    def run(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, 1)

    def write(self, onnx: OnnxNodes, name: str, *inputs: str) -> None:
        onnx.add("Concat", inputs, name, axis=1)

    def channels(self, inputs: Sequence[int]) -> int:
        return sum(inputs)


@dataclass(frozen=True)
class Crop(Operation):
    """The top left height x width pixels."""

    height_px: int
    width_px: int

    def run(self, x: Tensor) -> Tensor:
        return x[:, :, : self.height_px, : self.width_px]

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.slice(name, x, [0, 0], [self.height_px, self.width_px], [2, 3])


@dataclass(frozen=True)
class FirstChannels(Operation):
    """The first `count` channels: the logits in the output of a network with a depth head."""

    count: int

    def run(self, x: Tensor) -> Tensor:
        return x[:, : self.count]

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.slice(name, x, [0], [self.count], [1])

    def channels(self, inputs: Sequence[int]) -> int:
        return self.count


@dataclass(frozen=True)
class MaxPool(Operation):
    """Padding with minus infinity, then the maximum of each window; pool and stride are (rows, columns)."""

    pool: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding

    def run(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.padding
        return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-math.inf), self.pool, self.stride)

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        window = {"kernel_shape": self.pool, "strides": self.stride, "pads": _onnx_pads(self.padding)}
        onnx.add("MaxPool", [x], name, **window)


@dataclass(frozen=True)
class Upsample2x(Operation):
    """Twice the size; every second pixel is the mean of its neighbours, the last one is repeated.

    few_channels is the number of channels if it is small, else 0.
    """

    few_channels: int = 0

    def run(self, x: Tensor) -> Tensor:
        # averages and stacks, which compilers fuse into one pass
        below = torch.cat([x[:, :, 1:], x[:, :, -1:]], 2)
        x = torch.stack([x, (x + below) * 0.5], 3).flatten(2, 3)
        right = torch.cat([x[:, :, :, 1:], x[:, :, :, -1:]], 3)
        return torch.stack([x, (x + right) * 0.5], 4).flatten(3, 4)

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        channels = self.few_channels
        if not channels:
            scales = onnx.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
            form = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
            onnx.add("Resize", [x, "", scales], name, **form)
            return
        # Resize handles few channels one by one in every runtime; a convolution to four pixels for each is faster
        means = np.zeros((2, 2, channels, channels, 2, 2), np.float32)
        for row, column, channel in np.ndindex(2, 2, channels):
            means[row, column, channel, channel, : row + 1, : column + 1] = 1 / ((row + 1) * (column + 1))
        pads = onnx.constant(f"{name}.pads", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
        padded = onnx.add("Pad", [x, pads], f"{name}.padded", mode="edge")
        weight = onnx.constant(f"{name}.means", means.reshape(4 * channels, channels, 2, 2))
        four = onnx.add("Conv", [padded, weight], f"{name}.four")
        onnx.add("DepthToSpace", [four], name, blocksize=2, mode="DCR")


@dataclass(frozen=True, eq=False)
class Patches(Operation):
    """Each pixel to size x size pixels: a transposed convolution whose stride is its kernel's size.

    weight is (in, out, size, size), bias (out).
    """

    weight: Tensor
    bias: Tensor

    tensors = ("weight", "bias")

    def run(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, weight.shape[2:])

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        weight = onnx.constant(f"{name}.weight", self.weight)
        bias = onnx.constant(f"{name}.bias", self.bias)
        onnx.add("ConvTranspose", [x, weight, bias], name, strides=list(self.weight.shape[2:]))

    def channels(self, inputs: Sequence[int]) -> int:
        return self.weight.shape[1]


@dataclass(frozen=True)
class Unpool2x(Operation):
    """SegNet's unpooling of a coarse tensor: each value goes to the first maximum of 2x2 pixels of a fine tensor.

    All other pixels are 0.
    """

    def run(self, coarse: Tensor, fine: Tensor) -> Tensor:
        _, indices = F.max_pool2d(fine, 2, return_indices=True)
        return F.max_unpool2d(coarse, indices, (2, 2))

    def write(self, onnx: OnnxNodes, name: str, coarse: str, fine: str) -> None:
        # OpenVINO has no MaxUnpool: of four pixels the first maximum takes the value, the others pass it on
        four = onnx.add("SpaceToDepth", [fine], f"{name}.four", blocksize=2)
        pixels = onnx.split(name, four, [f"{name}.pixel{i}" for i in range(4)], axis=1)
        largest = onnx.add("Max", pixels, f"{name}.largest")
        zero, left, placed = onnx.constant(f"{name}.zero", 0.0), coarse, []
        for i, pixel in enumerate(pixels[:-1]):
            here = onnx.add("Equal", [pixel, largest], f"{name}.here{i}")
            placed.append(onnx.add("Where", [here, left, zero], f"{name}.placed{i}"))
            left = onnx.add("Where", [here, zero, left], f"{name}.left{i}")
        joined = onnx.add("Concat", [*placed, left], f"{name}.joined", axis=1)
        onnx.add("DepthToSpace", [joined], name, blocksize=2, mode="DCR")


@dataclass(frozen=True)
class WithMirrored(Operation):
    """N frames and their mirror images, 2 N."""

    def run(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.flip(3)])

    def write(self, onnx: OnnxNodes, name: str, x: str) -> None:
        onnx.add("Concat", [x, onnx.mirror(f"{name}.mirrored", x)], name, axis=0)


@dataclass(frozen=True)
class Probabilities(Operation):
    """Softmax in fp32 along the channels; if `mirrored`, the mean of N frames and their N mirror images."""

    mirrored: bool

    def run(self, logits: Tensor) -> Tensor:
        p = logits.float().softmax(1)
        if not self.mirrored:
            return p
        frames, mirror_images = p.chunk(2)
        return (frames + mirror_images.flip(3)) * 0.5

    def write(self, onnx: OnnxNodes, name: str, logits: str) -> None:
        if not self.mirrored:
            onnx.add("Softmax", [logits], name, axis=1)
            return
        both = onnx.add("Softmax", [logits], f"{name}.both", axis=1)
        frames, mirror_images = onnx.split(name, both, [f"{name}.frames", f"{name}.mirror_images"], axis=0)
        back = onnx.mirror(f"{name}.back", mirror_images)
        total = onnx.add("Add", [frames, back], f"{name}.total")
        onnx.add("Mul", [total, onnx.constant(f"{name}.half", 0.5)], name)


@dataclass(frozen=True)
class Codes(Operation):
    """Probabilities N x 3 x H x W as codes uint8 N x H x W, which `perception/labels.py` reads.

    A code is 1 where other people are likelier than background, plus 2 for each threshold that the hero's probability
    reaches. The comparison is p_0 + p_1 <= 1 - threshold, which is more exact for probabilities near 1.
    """

    thresholds: tuple[float, float]

    def run(self, probabilities: Tensor) -> Tensor:
        background, people = probabilities[:, 0], probabilities[:, 1]
        doubt = background + people
        code = (people > background).to(torch.uint8)
        for threshold in self.thresholds:
            code = code + 2 * (doubt <= 1.0 - threshold).to(torch.uint8)
        return code

    def write(self, onnx: OnnxNodes, name: str, probabilities: str) -> None:
        background, people = (
            onnx.add("Gather", [probabilities, onnx.constant(f"{name}.{i}", np.array(i))], f"{name}.class{i}", axis=1)
            for i in range(2)
        )
        doubt = onnx.add("Add", [background, people], f"{name}.doubt")
        likelier = onnx.add("Greater", [people, background], f"{name}.likelier")
        code = onnx.cast(likelier, f"{name}.code", np.uint8)
        two = onnx.constant(f"{name}.two", np.array(2, np.uint8))
        for i, threshold in enumerate(self.thresholds):
            limit = onnx.constant(f"{name}.limit{i}", 1.0 - threshold)
            reached = onnx.add("LessOrEqual", [doubt, limit], f"{name}.reached{i}")
            step = onnx.cast(reached, f"{name}.step{i}", np.uint8)
            twice = onnx.add("Mul", [step, two], f"{name}.twice{i}")
            last = i + 1 == len(self.thresholds)
            code = onnx.add("Add", [code, twice], name if last else f"{name}.sum{i}")

    def channels(self, inputs: Sequence[int]) -> int:
        return 1


@dataclass(frozen=True)
class WithDepth(Operation):
    """Codes N x H x W and the last channel of a network's output N x C x H x W, as float N x 2 x H x W."""

    def run(self, codes: Tensor, network_output: Tensor) -> Tensor:
        return torch.stack([codes.float(), network_output[:, -1].float()], 1)

    def write(self, onnx: OnnxNodes, name: str, codes: str, network_output: str) -> None:
        as_float = onnx.cast(codes, f"{name}.float", np.float32)
        axis = onnx.constant(f"{name}.axis", np.array([1], np.int64))
        channel = onnx.add("Unsqueeze", [as_float, axis], f"{name}.codes")
        depth = onnx.slice(f"{name}.depth", network_output, [-1], [np.iinfo(np.int64).max], [1])
        onnx.add("Concat", [channel, depth], name, axis=1)

    def channels(self, inputs: Sequence[int]) -> int:
        return 2


def _onnx_pads(padding: Padding) -> list[int]:
    top, bottom, left, right = padding
    return [top, left, bottom, right]
