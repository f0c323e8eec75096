"""Exact rewriting of a graph: the same outputs up to rounding, with less arithmetic and memory traffic.

Each rule is a function from a graph to a new one. `rewritten` applies them in order, because some prepare others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from fcn_follow.inference.graph import Graph, Node
from fcn_follow.inference.operations import Add, Affine, Convolution, Crop, Join, Relu, Shift, Upsample2x

FEW_CHANNELS = 4  # a dense convolution of these is cheaper than one more pass over memory

Rule = Callable[[Graph], Graph]


def head_before_upsampling(graph: Graph) -> Graph:
    """Move a 1x1 convolution to fewer channels before the preceding upsampling or crop.

    These act on every channel alike, and interpolation weights sum to one, so that the bias commutes too.
    """
    for kind in (Upsample2x, Crop):
        for before, after in graph.chains(kind, Convolution):
            head, moved = graph.nodes[after].operation, graph.nodes[before].operation
            assert isinstance(head, Convolution)
            if head.is_pointwise and head.weight.shape[0] < head.weight.shape[1]:
                return head_before_upsampling(graph.with_operations({before: head, after: moved}))
    return graph


def fold_norm_before_relu(graph: Graph) -> Graph:
    """Fold a batch norm after a convolution into its weight and bias."""
    for name, norm_name in list(graph.chains(Convolution, Affine)):
        convolution, norm = graph.nodes[name].operation, graph.nodes[norm_name].operation
        assert isinstance(convolution, Convolution)
        assert isinstance(norm, Affine)
        graph = graph.with_operations({name: _scaled(convolution, norm)}).without(norm_name)
    return graph


def fold_norm_after_relu(graph: Graph) -> Graph:
    """Fold the scale a of a batch norm a*y + b after a ReLU into the convolution before it, if every a > 0.

    a * max(z, 0) + b = max(a*z, 0) + b; runtimes fuse the remaining b with the convolution.
    """
    for names in list(graph.chains(Convolution, Relu, Affine)):
        convolution, _, norm = (graph.nodes[name].operation for name in names)
        assert isinstance(convolution, Convolution)
        assert isinstance(norm, Affine)
        if bool((norm.scale > 0).all()):
            scaled = _scaled(convolution, Affine(norm.scale, torch.zeros_like(norm.shift)))
            graph = graph.with_operations({names[0]: scaled, names[2]: Shift(norm.shift)})
    return graph


def merge_first_layer(graph: Graph) -> Graph:
    """Merge a depthwise convolution of the image's few channels and the following pointwise one into a dense one."""
    for name, pointwise_name in list(graph.chains(Convolution, Convolution)):
        depthwise, pointwise = graph.nodes[name].operation, graph.nodes[pointwise_name].operation
        assert isinstance(depthwise, Convolution)
        assert isinstance(pointwise, Convolution)
        if depthwise.is_depthwise and depthwise.groups <= FEW_CHANNELS and pointwise.is_pointwise:
            weight = pointwise.weight * depthwise.weight.permute(1, 0, 2, 3)
            bias = pointwise.bias + pointwise.weight[:, :, 0, 0] @ depthwise.bias
            dense = replace(depthwise, weight=weight, bias=bias, groups=1)
            graph = graph.with_operations({name: dense}).without(pointwise_name)
    return graph


def split_joined(graph: Graph) -> Graph:
    """Apply depthwise and pointwise after a join to each part and add the results, without a joined copy."""
    for names in list(graph.chains(Join, Convolution, Convolution)):
        depthwise, pointwise = (graph.nodes[name].operation for name in names[1:])
        assert isinstance(depthwise, Convolution)
        assert isinstance(pointwise, Convolution)
        if not (depthwise.is_depthwise and pointwise.is_pointwise):
            continue
        parts: dict[str, Node] = {}
        begin = 0
        for i, source in enumerate(graph.nodes[names[0]].inputs):
            end = begin + graph.channels(source)
            part = replace(
                depthwise, weight=depthwise.weight[begin:end], bias=depthwise.bias[begin:end], groups=end - begin
            )
            bias = pointwise.bias if i == 0 else torch.zeros_like(pointwise.bias)
            mixed = replace(pointwise, weight=pointwise.weight[:, begin:end], bias=bias)
            parts[f"{names[1]}_{i}"] = Node(part, (source,))
            parts[f"{names[2]}_{i}"] = Node(mixed, (f"{names[1]}_{i}",))
            begin = end
        parts[names[2]] = Node(Add(), tuple(parts)[1::2])
        graph = graph.with_replaced(names, parts)
    return graph


def name_few_channels(graph: Graph) -> Graph:
    """Set the number of channels of upsamplings of few channels; `Upsample2x` has a faster form for these."""
    few = {
        name: Upsample2x(graph.channels(name))
        for name, node in graph.nodes.items()
        if isinstance(node.operation, Upsample2x) and graph.channels(name) <= FEW_CHANNELS
    }
    return graph.with_operations(few)


RULES: tuple[Rule, ...] = (
    head_before_upsampling, fold_norm_before_relu, fold_norm_after_relu, merge_first_layer, split_joined,
    name_few_channels,
)  # fmt: skip


def rewritten(graph: Graph) -> Graph:
    """The graph after all rules."""
    with torch.no_grad():
        for rule in RULES:
            graph = rule(graph)
    return graph


def _scaled(convolution: Convolution, norm: Affine) -> Convolution:
    weight = convolution.weight * norm.scale[:, None, None, None]
    bias = convolution.bias * norm.scale + norm.shift
    return replace(convolution, weight=weight, bias=bias)
