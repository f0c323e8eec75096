"""The layer table of a network in Keras' format, its parameters and its multiply-accumulates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fcn_follow.errors import UserError


@dataclass(frozen=True)
class Layer:
    """A row of the layer table: a name like Keras', class, output height x width x channels, parameters."""

    name: str
    kind: str
    output_hwc: tuple[int, int, int]
    parameters: int


@dataclass(frozen=True)
class Convolution:
    """A convolution, or a depthwise one with the following pointwise one; for one image."""

    in_channels: int
    filters: int
    output_hw: tuple[int, int]
    parameters: int
    macs: int


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
    with FlopCounterMode(display=False) as counter:
        _run(network, height_px, width_px)
    return int(counter.get_total_flops()) // 2


def layer_table(network: nn.Module, height_px: int, width_px: int) -> list[Layer]:
    """The layers in the order in which they run, with their output shapes for one image of this size."""
    seen: Counter[str] = Counter({"input": 1})
    rows = [Layer("input_1", "InputLayer", (height_px, width_px, 3), 0)]

    def record(module: nn.Module, _inputs: object, result: Tensor | tuple[Tensor, ...]) -> None:
        output = result if isinstance(result, Tensor) else result[0]
        kind = type(module).__name__
        name = getattr(module, "keras_name", kind.lower())
        seen[name] += 1
        _, channels, height, width = output.shape
        rows.append(Layer(f"{name}_{seen[name]}", kind, (height, width, channels), count_parameters(module).total))

    _run_hooked(network, _layers(network), record, height_px, width_px)
    return rows


def convolutions(network: nn.Module, height_px: int, width_px: int) -> list[Convolution]:
    """The convolutions in the order in which they run on one image of this size."""
    runs: list[tuple[nn.Conv2d, Convolution]] = []

    def record(module: nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        hw = (output.shape[-2], output.shape[-1])
        macs = hw[0] * hw[1] * module.weight.numel()
        parameters = count_parameters(module).total
        runs.append((module, Convolution(module.in_channels, module.out_channels, hw, parameters, macs)))

    _run_hooked(network, [m for m in network.modules() if isinstance(m, nn.Conv2d)], record, height_px, width_px)
    found: list[Convolution] = []
    depthwise: Convolution | None = None
    for module, layer in runs:
        if module.groups == module.in_channels > 1:
            depthwise = layer
            continue
        if depthwise is not None:
            parameters, macs = layer.parameters + depthwise.parameters, layer.macs + depthwise.macs
            layer = replace(layer, parameters=parameters, macs=macs)
        depthwise = None
        found.append(layer)
    return found


def convolution_pairs(
    standard: nn.Module, depthwise: nn.Module, height_px: int, width_px: int
) -> list[tuple[Convolution, Convolution]]:
    """The convolutions of two networks of the same plan in pairs. Raises UserError if the plans differ."""
    first, second = (convolutions(network, height_px, width_px) for network in (standard, depthwise))
    plans = [[(layer.in_channels, layer.filters, layer.output_hw) for layer in layers] for layers in (first, second)]
    if plans[0] != plans[1]:
        raise UserError("these networks have not the same plan: their convolutions differ in number or shape")
    return list(zip(first, second, strict=True))


def _run_hooked(
    network: nn.Module, modules: Sequence[nn.Module], hook: Callable[..., None], height_px: int, width_px: int
) -> None:
    """Run the network once on an empty image, with a forward hook on these modules."""
    hooks = [module.register_forward_hook(hook) for module in modules]
    try:
        _run(network, height_px, width_px)
    finally:
        for handle in hooks:
            handle.remove()


def _run(network: nn.Module, height_px: int, width_px: int) -> None:
    """Run the network once on an empty image on its own device; the meta device does no arithmetic."""
    device = next(network.parameters()).device
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, height_px, width_px, device=device))


def _layers(module: nn.Module) -> list[nn.Module]:
    """The modules that count as one layer: those with a Keras name, and the leaves outside of them."""
    if hasattr(module, "keras_name") or not list(module.children()):
        return [module]
    return [layer for child in module.children() for layer in _layers(child)]
