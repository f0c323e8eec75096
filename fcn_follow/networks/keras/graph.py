"""Imported networks as graphs of Keras layers: described as data, built as a torch module.

An imported network is not in the registry; its graph is part of the model card (`to_card`, `from_card`). A graph from
a card or a Keras file is checked before a network is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fcn_follow.errors import UserError, shown
from fcn_follow.networks.keras.layers import (
    BATCH_NORM_EPSILON,
    Add,
    AveragePool2d,
    BatchNorm,
    BilinearUpsample2x,
    Concatenate,
    Conv2dSame,
    MaxPool2d,
    SeparableConv2dSame,
)
from fcn_follow.networks.summary import count_macs

KINDS = (
    "conv",
    "separable_conv",
    "batch_norm",
    "upsample",
    "concatenate",
    "max_pool",
    "average_pool",
    "dropout",
    "add",
)
JOINING = ("concatenate", "add")
INPUT = "input"
CLASS_COUNT = 3
MAX_LAYERS = 500
MAX_FILTERS = 8192
MAX_PARAMETERS = 100_000_000
MAX_VALUES = 1 << 29  # of all layers, 2 GB, though not at the same time
MAX_MACS = 100_000_000_000
INPUT_PX = (8, 1024)


@dataclass(frozen=True)
class GraphLayer:
    """One layer: its kind, and the names of its input layers (`input` for the image).

    kernel_px, stride_px and dilation_px are (rows, columns); kernel_px is the window of a pooling and the factor of an
    upsample. Fields that a kind does not have keep their defaults.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    filters: int = 0
    kernel_px: tuple[int, int] = (1, 1)
    stride_px: tuple[int, int] = (1, 1)
    dilation_px: tuple[int, int] = (1, 1)
    same: bool = True
    relu: bool = False
    bias: bool = True
    epsilon: float = BATCH_NORM_EPSILON
    rate: float = 0.0


@dataclass(frozen=True)
class KerasGraph:
    """Layers in the order in which they run; the output of the last one are the logits of the three classes."""

    input_height_px: int
    input_width_px: int
    layers: tuple[GraphLayer, ...]

    def __post_init__(self) -> None:
        low, high = INPUT_PX
        if not (low <= self.input_height_px <= high and low <= self.input_width_px <= high):
            size = f"{self.input_width_px}x{self.input_height_px}"
            raise UserError(f"an input of {size} pixels is not possible; each side must be {low} to {high}")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise UserError(f"a network of {len(self.layers)} layers is not possible; it must have 1 to {MAX_LAYERS}")
        known = {INPUT}
        for layer in self.layers:
            problem = _layer_problem(layer, known)
            if problem:
                raise UserError(f"layer {shown(layer.name)}: {problem}")
            known.add(layer.name)


class GraphNetwork(nn.Module):
    """The network of a graph: images N x 3 x H x W of the graph's size to logits N x 3 x H x W.

    Tensors are created on the device of the torch.device context; `meta` checks a graph without memory.
    """

    def __init__(self, graph: KerasGraph) -> None:
        super().__init__()
        self.graph = graph
        channels = {INPUT: 3}
        layers = []
        for layer in graph.layers:
            taken = [channels[name] for name in layer.inputs]
            layers.append(_module(layer, taken))
            channels[layer.name] = layer.filters or (sum(taken) if layer.kind == "concatenate" else taken[0])
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size."""
        last_use = {name: i for i, layer in enumerate(self.graph.layers) for name in layer.inputs}
        values = {INPUT: image}
        result = image
        for i, (layer, module) in enumerate(zip(self.graph.layers, self.layers, strict=True)):
            result = values[layer.name] = module(*(values[name] for name in layer.inputs))
            for name in set(layer.inputs):
                if last_use[name] == i:
                    del values[name]
        return result


def build_graph(graph: KerasGraph) -> GraphNetwork:
    """The network of a graph on the `meta` device, with all shapes checked.

    Raises UserError if the layers do not fit each other, or the output is not three classes of the input's size.
    """
    size = (graph.input_height_px, graph.input_width_px)
    values = 0

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal values
        values += output.numel()
        if values > MAX_VALUES:
            raise UserError(f"the layers give more than {MAX_VALUES:,} numbers for an image; no computer flies that")

    with torch.device("meta"):
        try:
            network = GraphNetwork(graph).eval()
            if sum(p.numel() for p in network.parameters()) > MAX_PARAMETERS:
                raise UserError(f"the network has more than {MAX_PARAMETERS:,} parameters")
            hooks = [layer.register_forward_hook(count) for layer in network.layers]
            shape = tuple(network(torch.empty(1, 3, *size)).shape)
            for hook in hooks:
                hook.remove()
            if count_macs(network, *size) > MAX_MACS:
                raise UserError(f"the network multiplies more than {MAX_MACS:,} times for an image")
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"the layers do not fit each other: {error}") from error
    if shape != (1, CLASS_COUNT, *size):
        raise UserError(
            f"its output is {shape[3]}x{shape[2]} of {shape[1]} classes; "
            f"it must be {size[1]}x{size[0]} of background, other people, hero"
        )
    return network


def to_card(graph: KerasGraph) -> dict[str, Any]:
    """The graph as values for JSON, without defaults."""
    layers = []
    for layer in graph.layers:
        values = dataclasses.asdict(layer)
        layers.append({f.name: values[f.name] for f in dataclasses.fields(layer) if values[f.name] != f.default})
    return {"input_px": [graph.input_height_px, graph.input_width_px], "layers": layers}


def from_card(values: Mapping[str, Any]) -> KerasGraph:
    """The graph of a card. Raises UserError, TypeError, KeyError or ValueError if it is impossible."""
    height, width = values["input_px"]
    layers = tuple(GraphLayer(**{name: _tuple(value) for name, value in layer.items()}) for layer in values["layers"])
    return KerasGraph(height, width, layers)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _layer_problem(layer: GraphLayer, known: set[str]) -> str:
    """Why a layer is impossible, or an empty text; `known` are the names before it."""
    if layer.kind not in KINDS:
        return f"{shown(layer.kind)} is not known"
    if layer.name in known:
        return "there are two of this name"
    if not layer.inputs or (len(layer.inputs) > 1) != (layer.kind in JOINING):
        return f"takes {len(layer.inputs)} inputs"
    missing = [name for name in layer.inputs if name not in known]
    if missing:
        return f"takes {shown(missing[0])}, which does not come before it"
    if layer.kind in ("conv", "separable_conv") and not 1 <= layer.filters <= MAX_FILTERS:
        return f"has {shown(layer.filters)} filters; it must have 1 to {MAX_FILTERS}"
    for name, pair in (("kernel", layer.kernel_px), ("stride", layer.stride_px), ("dilation", layer.dilation_px)):
        if len(pair) != 2 or not all(type(value) is int and 1 <= value <= 64 for value in pair):
            return f"has an impossible {name} of {shown(pair)}"
    if layer.kind == "upsample" and (layer.kernel_px[0] != layer.kernel_px[1] or layer.kernel_px[0] not in (2, 4, 8)):
        return f"enlarges by {shown(layer.kernel_px)}; known are 2, 4 and 8 in both directions"
    if not 0.0 < layer.epsilon < 1.0 or not 0.0 <= layer.rate < 1.0:
        return f"has an impossible epsilon of {shown(layer.epsilon)} or rate of {shown(layer.rate)}"
    return ""


def _module(layer: GraphLayer, channels: Sequence[int]) -> nn.Module:
    """The module of a layer for inputs of these numbers of channels."""
    if layer.kind in ("conv", "separable_conv"):
        kind = Conv2dSame if layer.kind == "conv" else SeparableConv2dSame
        return kind(
            channels[0], layer.filters, layer.kernel_px, layer.stride_px,
            dilation=layer.dilation_px, relu=layer.relu, bias=layer.bias,
        )  # fmt: skip
    if layer.kind == "batch_norm":
        return BatchNorm(channels[0], layer.epsilon)
    if layer.kind == "upsample":  # twice by two is exactly once by four: linear between the same points
        doublings = [BilinearUpsample2x() for _ in range(layer.kernel_px[0].bit_length() - 1)]
        return doublings[0] if len(doublings) == 1 else nn.Sequential(*doublings)
    if layer.kind == "max_pool":
        return MaxPool2d(layer.kernel_px, layer.stride_px, same=layer.same)
    if layer.kind == "average_pool":
        return AveragePool2d(layer.kernel_px, layer.stride_px, same=layer.same)
    if layer.kind == "dropout":
        return nn.Dropout(layer.rate)
    return Concatenate() if layer.kind == "concatenate" else Add()
