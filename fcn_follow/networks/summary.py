"""What a network is made of: its layer table in Keras' shape, its parameters and its multiply-accumulates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Layer:
    """A row of the layer table: Keras-like name, class, output height x width x channels, parameters."""

    name: str
    kind: str
    output_hwc: tuple[int, int, int]
    parameters: int


@dataclass(frozen=True)
class ParameterCount:
    """Parameters as Keras counts them: a batch norm has four vectors, of which two are not trainable."""

    total: int
    trainable: int


def count_parameters(module: nn.Module) -> ParameterCount:
    """Parameters of a module by Keras' count."""
    trainable = sum(parameter.numel() for parameter in module.parameters())
    moving = sum(b.numel() for name, b in module.named_buffers() if name.split(".")[-1].startswith("running_"))
    return ParameterCount(trainable + moving, trainable)


def count_macs(network: nn.Module, height_px: int, width_px: int) -> int:
    """Multiply-accumulates of one forward pass of one H x W image (half of what PyTorch counts as FLOPs)."""
    network = network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, height_px, width_px, device=device))
    return int(counter.get_total_flops()) // 2


def layer_table(network: nn.Module, height_px: int, width_px: int) -> list[Layer]:
    """The layers in the order in which they run, with what each gives out for one image of this size."""
    seen: Counter[str] = Counter({"input": 1})
    rows = [Layer("input_1", "InputLayer", (height_px, width_px, 3), 0)]

    def record(module: nn.Module, _inputs: object, result: Tensor | tuple[Tensor, ...]) -> None:
        output = result if isinstance(result, Tensor) else result[0]
        kind = type(module).__name__
        name = getattr(module, "keras_name", kind.lower())
        seen[name] += 1
        _, channels, height, width = output.shape
        rows.append(Layer(f"{name}_{seen[name]}", kind, (height, width, channels), count_parameters(module).total))

    hooks = [module.register_forward_hook(record) for module in _layers(network)]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, height_px, width_px))
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def _layers(module: nn.Module) -> list[nn.Module]:
    """The modules that count as one layer: those with a Keras name, and below no such, the leaves."""
    if hasattr(module, "keras_name") or not list(module.children()):
        return [module]
    return [layer for child in module.children() for layer in _layers(child)]
