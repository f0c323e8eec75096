"""Run a graph in PyTorch: the form that torch.compile and torch.export take, and what rewriting is tested with."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from fcn_follow.inference.graph import (
    Add,
    Affine,
    Codes,
    Convolution,
    Crop,
    FirstChannels,
    FrameMean,
    Graph,
    Join,
    MaxPool,
    Multiply,
    Operation,
    Pixels,
    Probabilities,
    Relu,
    Shift,
    Sigmoid,
    Unpool2x,
    Upsample2x,
    WithDepth,
    WithMirrored,
)


class Interpreter(nn.Module):
    """A graph as a module; images uint8 N x H x W x 3 in, what the graph's last operation gives out.

    dtype is what the network computes in; thresholds and softmax stay in fp32.
    """

    def __init__(self, graph: Graph, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._graph = graph
        self._dtype = dtype
        for name, node in graph.nodes.items():
            for field in ("weight", "bias", "scale", "shift"):
                if hasattr(node.operation, field):
                    tensor = getattr(node.operation, field).to(dtype)
                    tensor = tensor if tensor.ndim == 4 else tensor.flatten()
                    self.register_buffer(f"{name}_{field}", tensor.contiguous(memory_format=_format(tensor)))

    def forward(self, images: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}
        for name, node in self._graph.nodes.items():
            inputs = [values[i] for i in node.inputs] or [images]
            values[name] = self._run(name, node.operation, inputs)
        return values[self._graph.output]

    def _run(self, name: str, operation: Operation, inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        if isinstance(operation, Pixels):
            return (x.permute(0, 3, 1, 2).float() / 127.5 - 1.0).to(self._dtype)
        if isinstance(operation, Convolution):
            return self._convolve(name, operation, x)
        if isinstance(operation, Affine):
            return x * self._channels(name, "scale") + self._channels(name, "shift")
        if isinstance(operation, Shift):
            return x + self._channels(name, "shift")
        if isinstance(operation, MaxPool):
            top, bottom, left, right = operation.padding
            padded = F.pad(x, (left, right, top, bottom), value=-math.inf)
            return F.max_pool2d(padded, operation.pool, operation.stride)
        if isinstance(operation, Crop):
            return x[:, :, : operation.height_px, : operation.width_px]
        if isinstance(operation, Join):
            return torch.cat(inputs, 1)
        if isinstance(operation, Probabilities):
            return _probabilities(x.float(), operation.mirrored)
        if isinstance(operation, Codes):
            return codes(x, operation.thresholds)
        if isinstance(operation, FirstChannels):
            return x[:, : operation.count]
        result: Tensor = _SIMPLE[type(operation)](*inputs)
        return result

    def _convolve(self, name: str, operation: Convolution, x: Tensor) -> Tensor:
        top, bottom, left, right = operation.padding
        symmetric = (top, left) == (bottom, right)
        if not symmetric:
            x = F.pad(x, (left, right, top, bottom))
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        padding = (top, left) if symmetric else (0, 0)
        return F.conv2d(x, weight, bias, operation.stride, padding, operation.dilation, operation.groups)

    def _channels(self, name: str, field: str) -> Tensor:
        return self.get_buffer(f"{name}_{field}")[:, None, None]


def upsample_2x(x: Tensor) -> Tensor:
    """keras.BilinearUpsample2x as averages and stacks: what compilers turn into one pass."""
    below = torch.cat([x[:, :, 1:], x[:, :, -1:]], 2)
    x = torch.stack([x, (x + below) * 0.5], 3).flatten(2, 3)
    right = torch.cat([x[:, :, :, 1:], x[:, :, :, -1:]], 3)
    return torch.stack([x, (x + right) * 0.5], 4).flatten(3, 4)


def unpool_2x(coarse: Tensor, fine: Tensor) -> Tensor:
    """graph.Unpool2x."""
    _, indices = F.max_pool2d(fine, 2, return_indices=True)
    return F.max_unpool2d(coarse, indices, (2, 2))


def codes(probabilities: Tensor, thresholds: tuple[float, float]) -> Tensor:
    """graph.Codes of probabilities N x 3 x H x W."""
    background, people = probabilities[:, 0], probabilities[:, 1]
    doubt = background + people
    code = (people > background).to(torch.uint8)
    for threshold in thresholds:
        code = code + 2 * (doubt <= 1.0 - threshold).to(torch.uint8)
    return code


def with_depth(code: Tensor, network_output: Tensor) -> Tensor:
    """graph.WithDepth of codes N x H x W and a network's output N x C x H x W."""
    return torch.stack([code.float(), network_output[:, -1].float()], 1)


def _probabilities(logits: Tensor, mirrored: bool) -> Tensor:
    p = logits.softmax(1)
    if not mirrored:
        return p
    frames, mirror_images = p.chunk(2)
    return (frames + mirror_images.flip(3)) * 0.5


_SIMPLE: dict[type, Callable[..., Tensor]] = {
    Relu: torch.relu,
    Unpool2x: unpool_2x,
    Upsample2x: upsample_2x,
    Add: lambda *tensors: functools.reduce(torch.add, tensors),
    Multiply: torch.mul,
    FrameMean: lambda x: x.mean((2, 3), keepdim=True),
    Sigmoid: torch.sigmoid,
    WithDepth: with_depth,
    WithMirrored: lambda x: torch.cat([x, x.flip(3)]),
}


def _format(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
