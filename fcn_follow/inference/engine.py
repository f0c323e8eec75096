"""What every engine is: uint8 frames in, bytes (or probabilities) out; and how one is opened by name."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.graph import Graph
from fcn_follow.inference.operations import Codes, FirstChannels, Probabilities, WithDepth, WithMirrored
from fcn_follow.inference.rewriting import rewritten
from fcn_follow.inference.tracing import graph_of
from fcn_follow.networks.registry import NETWORKS
from fcn_follow.networks.weights import METRES, LoadedWeights, ModelCard, require_metres

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


class Output(str, Enum):
    """What an engine gives: the bytes that perception/labels.py reads, or probabilities float N x 3 x H x W.

    Or, of a network with a depth head, those codes and the depth head's channel, float N x 2 x H x W.
    """

    CODES = "codes"
    PROBABILITIES = "probabilities"
    CODES_AND_DEPTH = "codes_and_depth"


@dataclass(frozen=True)
class EngineSpec:
    """An engine by name and how it computes: on cpu or cuda, in fp32, bf16 or fp16, on how many threads of the CPU.

    streams is how many threads may call `run` at once, each with a frame of its own.
    """

    name: str = "torch"
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    streams: int = 1

    def __str__(self) -> str:
        return f"{self.name} {self.precision} on {self.device}"


class Engine(Protocol):
    """A network ready to run, for one size of frames and a fixed number of them."""

    spec: EngineSpec
    device_name: str

    def run(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """The result of RGB images uint8 N x H x W x 3; it may be a view that this thread's next run overwrites."""
        ...


@dataclass(frozen=True)
class EngineKind:
    """Where an engine's class is, what must be importable for it, and how that is installed.

    What needs nothing is PyTorch and takes the network itself; the others take it as ONNX.
    """

    module: str
    class_name: str
    needs: tuple[str, ...] = ()
    install: str = ""


_HERE = "fcn_follow.inference"
ENGINES = {
    "torch": EngineKind(f"{_HERE}.torch_engines", "EagerEngine"),
    "torch-compiled": EngineKind(f"{_HERE}.torch_engines", "CompiledEngine"),
    "onnxruntime": EngineKind(
        f"{_HERE}.onnxruntime_engine", "OnnxRuntimeEngine", ("onnx", "onnxruntime"),
        "pip install onnx onnxruntime (with a CUDA GPU: onnx onnxruntime-gpu)",
    ),
    "openvino": EngineKind(
        f"{_HERE}.openvino_engine", "OpenVinoEngine", ("onnx", "openvino"), "pip install onnx openvino"
    ),
    "tensorrt": EngineKind(
        f"{_HERE}.onnxruntime_engine", "TensorRtEngine", ("onnx", "onnxruntime", "tensorrt"),
        "pip install onnx onnxruntime-gpu tensorrt",
    ),
}  # fmt: skip


def missing_for(name: str) -> str:
    """What has to be installed for an engine, as a command; empty where nothing is missing."""
    kind = ENGINES[name]
    return "" if all(importlib.util.find_spec(package) for package in kind.needs) else kind.install


def open_engine(spec: EngineSpec, weights: LoadedWeights, output: Output = Output.CODES, batch: int = 1) -> Engine:
    """The engine of a spec with a network, for `batch` frames of the card's size at a time.

    Raises UserError when the engine is not known, not installed, or cannot compute so on this machine.
    """
    check_installed(spec.name)
    if not ENGINES[spec.name].needs:
        return _make(spec, weights, output, batch)
    from fcn_follow.inference.onnx_model import onnx_model  # here: onnx may be missing

    return _make(spec, onnx_model(deployed_graph(weights, output), batch=batch), output, batch)


def open_model(spec: EngineSpec, model: bytes | Path, output: Output, batch: int = 1) -> Engine:
    """An engine with a model that was exported: ONNX as bytes, or the path of an OpenVINO IR.

    Raises UserError when the engine is not installed, takes no such model, or cannot compute as the spec says.
    """
    check_installed(spec.name)
    if not ENGINES[spec.name].needs or (isinstance(model, Path) and spec.name != "openvino"):
        raise UserError(f"engine {spec.name} does not take this exported model; take openvino")
    return _make(spec, model, output, batch)


def _make(spec: EngineSpec, network: LoadedWeights | bytes | Path, output: Output, batch: int) -> Engine:
    kind = ENGINES[spec.name]
    engine: Engine = getattr(importlib.import_module(kind.module), kind.class_name)(spec, network, output, batch)
    return engine


def check_installed(name: str) -> None:
    """Raises UserError for an engine that is not known, or not installed."""
    if name not in ENGINES:
        raise UserError(f"engine {name!r} is not known; allowed is auto, {', '.join(ENGINES)}")
    if install := missing_for(name):
        raise UserError(f"engine {name} is not installed; its install line is: {install}")


def deployed_graph(weights: LoadedWeights, output: Output) -> Graph:
    """The rewritten graph of a network, from bytes to `output`. Raises UserError as `check_output`."""
    card = weights.card
    check_output(card, output)
    graph = rewritten(graph_of(weights.network, card.input_height_px, card.input_width_px))
    network_output = graph.output
    if card.depth:
        graph = graph.then("logits", FirstChannels(len(card.classes)))
    if card.flip_average:
        first, *_ = graph.nodes
        graph = graph.after(first, "with_mirrored", WithMirrored())
    graph = graph.then("probabilities", Probabilities(card.flip_average))
    if output is Output.PROBABILITIES:
        return graph
    graph = graph.then("codes", Codes(thresholds(card)))
    return graph if output is Output.CODES else graph.then("codes_and_depth", WithDepth(), network_output)


def check_output(card: ModelCard, output: Output) -> None:
    """Raises UserError where a network has not all classes, or no depth in metres though `output` has one."""
    info = NETWORKS.get(card.network)
    if card.graph is None and info and info.mask_channels != len(card.classes):
        raise UserError(
            f"the network {card.network} tells one class from the rest; wanted are {', '.join(card.classes)}"
        )
    if output is Output.CODES_AND_DEPTH:
        require_metres(card)


def flying_output(card: ModelCard) -> Output:
    """What the nodes take of a network: its depth too where that is in metres."""
    return Output.CODES_AND_DEPTH if card.depth == METRES else Output.CODES


def thresholds(card: ModelCard) -> tuple[float, float]:
    """The hero's probabilities from which on a pixel is a candidate, and from which on it is sure."""
    return card.hero_probability_threshold, max(card.hero_probability_threshold, card.hero_confirm_probability)
