"""From a network in eval mode to its graph; for layers of networks/keras and plain PyTorch layers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from fcn_follow.errors import UserError
from fcn_follow.inference.graph import Graph, Node
from fcn_follow.inference.operations import (
    Add,
    Affine,
    Convolution,
    Crop,
    FrameMean,
    Join,
    MaxPool,
    Multiply,
    Operation,
    Patches,
    Pixels,
    Relu,
    Sigmoid,
    Unpool2x,
    Upsample2x,
)
from fcn_follow.networks.keras.layers import Add as KerasAdd
from fcn_follow.networks.keras.layers import (
    AveragePool2d,
    BatchNorm,
    BilinearUpsample2x,
    Concatenate,
    Conv2dSame,
    MaxPool2d,
    pad_same,
    same_padding,
)
from fcn_follow.networks.sizes import require_multiple

_KERAS_LAYERS = (Conv2dSame, BilinearUpsample2x, Concatenate, MaxPool2d, AveragePool2d, KerasAdd, BatchNorm)
_SIZE_FUNCTIONS = (pad_same, require_multiple)  # sizes are not known during tracing


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        super().__init__(autowrap_functions=_SIZE_FUNCTIONS)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _KERAS_LAYERS) or super().is_leaf_module(m, module_qualified_name)


class _Builder:
    """Converts traced nodes one by one; `names` maps a traced node to the graph's node with its output."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.nodes: dict[str, Node] = {}
        self.names: dict[fx.Node, str] = {}
        self._modules = modules

    def add(self, traced: fx.Node, operation: Operation, *inputs: str, suffix: str = "") -> str:
        """Add a node for a traced one."""
        name = traced.name + suffix
        self.nodes[name] = Node(operation, inputs)
        self.names[traced] = name
        return name

    def take(self, traced: fx.Node) -> None:
        """Convert a traced node."""
        if traced.op == "placeholder":
            self.add(traced, Pixels())
        elif traced.op == "call_module":
            self._take_module(traced, self._modules[str(traced.target)])
        elif traced.op == "call_function":
            self._take_function(traced, traced.target)
        elif traced.op != "call_method" and traced.op != "output":
            raise _unknown(traced.op)

    def _take_module(self, traced: fx.Node, module: nn.Module) -> None:
        first = traced.args[0]
        assert isinstance(first, fx.Node)
        if isinstance(module, nn.Conv2d):
            self._take_convolution(traced, first, module)
        elif isinstance(module, nn.BatchNorm2d):
            self.add(traced, _affine(module), self.names[first])
        elif isinstance(module, BilinearUpsample2x):
            self.add(traced, Upsample2x(), self.names[first])
        elif isinstance(module, MaxPool2d):
            padding = _same(_size(first), module.pool, module.stride) if module.same else (0, 0, 0, 0)
            self.add(traced, MaxPool(module.pool, module.stride, padding), self.names[first])
        elif isinstance(module, AveragePool2d):
            self.add(traced, _average(first, module), self.names[first])
        elif isinstance(module, nn.ConvTranspose2d) and _is_patches(module):
            assert module.bias is not None
            self.add(traced, Patches(module.weight.detach(), module.bias.detach()), self.names[first])
        elif isinstance(module, nn.MaxPool2d):
            (rows, columns), pool, stride = _pair(module.padding), _pair(module.kernel_size), _pair(module.stride)
            self.add(traced, MaxPool(pool, stride, (rows, rows, columns, columns)), self.names[first])
        elif isinstance(module, nn.MaxUnpool2d) and _pair(module.kernel_size) == _pair(module.stride) == (2, 2):
            values, indices = traced.args
            assert isinstance(values, fx.Node)
            assert isinstance(indices, fx.Node)
            self.add(traced, Unpool2x(), self.names[values], self.names[indices])
        elif isinstance(module, nn.Dropout):
            self.names[traced] = self.names[first]
        elif isinstance(module, KerasAdd):
            self.add(traced, Add(), *(self.names[part] for part in traced.args if isinstance(part, fx.Node)))
        elif isinstance(module, Concatenate):
            parts = [part for part in traced.args if isinstance(part, fx.Node)]
            cut = [self._cropped(part, _size(parts[-1]), f"{traced.name}_{i}") for i, part in enumerate(parts)]
            self.add(traced, Join(), *cut)
        elif type(module) in _MODULES:
            self.add(traced, _MODULES[type(module)], self.names[first])
        else:
            raise _unknown(type(module).__name__)

    def _take_convolution(self, traced: fx.Node, before: fx.Node, module: nn.Conv2d) -> None:
        kernel, stride, dilation = _pair(module.kernel_size), _pair(module.stride), _pair(module.dilation)
        rows, columns = _pair(module.padding)
        padding = (rows, rows, columns, columns)
        if isinstance(module, Conv2dSame):
            padding = _same(_size(before), kernel, stride, dilation)
        elif before.target is pad_same:
            before, *padded_for = before.args  # type: ignore[assignment]
            assert padded_for[:2] == [kernel, stride]
            padding = _same(_size(before), kernel, stride, dilation)
        weight = module.weight.detach()
        bias = weight.new_zeros(module.out_channels) if module.bias is None else module.bias.detach()
        operation = Convolution(weight, bias, stride, padding, dilation, module.groups)
        name = self.add(traced, operation, self.names[before])
        if getattr(module, "relu", False):
            self.add(traced, Relu(), name, suffix="_relu")

    def _take_function(self, traced: fx.Node, function: Any) -> None:
        tensors = [part for part in traced.args if isinstance(part, fx.Node) and part in self.names]
        names = [self.names[part] for part in tensors]
        if function in _FUNCTIONS and len(names) == len(traced.args):
            self.add(traced, _FUNCTIONS[function], *names)
        elif function is operator.getitem and names:
            self._take_part(traced, tensors[0], traced.args[1])
        elif function not in (*_SIZE_FUNCTIONS, getattr, operator.getitem):
            raise _unknown(function.__name__)

    def _take_part(self, traced: fx.Node, whole: fx.Node, part: Any) -> None:
        if isinstance(self._modules.get(str(whole.target)), nn.MaxPool2d):
            (fine,) = whole.all_input_nodes  # Unpool2x finds the maxima in it and needs no indices
            self.names[traced] = self.names[whole if part == 0 else fine]
        elif len(traced.meta["tensor_meta"].shape) == 4:
            self.names[traced] = self._cropped(whole, _size(traced), traced.name)

    def _cropped(self, traced: fx.Node, size: tuple[int, int], name: str) -> str:
        if _size(traced) == size:
            return self.names[traced]
        self.nodes[f"{name}_crop"] = Node(Crop(*size), (self.names[traced],))
        return f"{name}_crop"


_MODULES: dict[type[nn.Module], Operation] = {
    nn.ReLU: Relu(), nn.Sigmoid: Sigmoid(), nn.AdaptiveAvgPool2d: FrameMean(),
}  # fmt: skip
_FUNCTIONS: dict[Callable[..., Any], Operation] = {F.relu: Relu(), operator.add: Add(), operator.mul: Multiply()}


def graph_of(network: nn.Module, height_px: int, width_px: int) -> Graph:
    """The graph of a network in eval mode for images of one size; it shares the tensors of the network.

    Raises UserError for a network with a layer that has no operation.
    """
    try:
        traced = fx.GraphModule(network, _Tracer().trace(network))
    except fx.proxy.TraceError as error:
        raise _unknown("a branch on the input's size") from error
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, 3, height_px, width_px, device=device))
    builder = _Builder(dict(network.named_modules()))
    for node in traced.graph.nodes:
        builder.take(node)
    return Graph(builder.nodes, (height_px, width_px))


def _affine(norm: nn.BatchNorm2d) -> Affine:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    return Affine(scale, norm.bias.detach() - norm.running_mean * scale)


def _average(traced: fx.Node, pooling: AveragePool2d) -> Convolution:
    """The average as a convolution of each channel. Raises UserError if windows reach over the edge."""
    no_padding = (0, 0, 0, 0)
    if pooling.same and _same(_size(traced), pooling.pool, pooling.stride) != no_padding:
        raise _unknown("an average over windows that reach over the edge")
    channels = int(traced.meta["tensor_meta"].shape[1])
    weight = torch.full((channels, 1, *pooling.pool), 1.0 / math.prod(pooling.pool))
    return Convolution(weight, torch.zeros(channels), pooling.stride, no_padding, (1, 1), channels)


def _is_patches(module: nn.ConvTranspose2d) -> bool:
    """Whether each input pixel makes a patch of its own."""
    whole = _pair(module.kernel_size) == _pair(module.stride) and module.kernel_size[0] == module.kernel_size[1]
    plain = {_pair(module.padding), _pair(module.output_padding)} == {(0, 0)} and _pair(module.dilation) == (1, 1)
    return whole and plain and module.groups == 1 and module.bias is not None


def _pair(size: int | str | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(size, str):  # PyTorch's own names of paddings
        raise _unknown(f"padding {size}")
    rows, columns = (size, size) if isinstance(size, int) else size
    return rows, columns


def _same(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> tuple[int, int, int, int]:
    """TensorFlow's "same" padding as (top, bottom, left, right)."""
    top, bottom = same_padding(size[0], kernel[0], stride[0], dilation[0])
    left, right = same_padding(size[1], kernel[1], stride[1], dilation[1])
    return top, bottom, left, right


def _size(traced: fx.Node) -> tuple[int, int]:
    height_px, width_px = traced.meta["tensor_meta"].shape[2:]
    return int(height_px), int(width_px)


def _unknown(what: str) -> UserError:
    return UserError(f"this network cannot be converted to a graph: {what} is not supported; use engine torch")
