"""Engines: their input and output, and how to open one by name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.graph import Graph
from fcn_follow.inference.kinds import ENGINES, check_installed
from fcn_follow.inference.operations import Codes, FirstChannels, Probabilities, WithDepth, WithMirrored
from fcn_follow.inference.rewriting import rewritten
from fcn_follow.inference.tracing import graph_of
from fcn_follow.networks.registry import NETWORKS
from fcn_follow.networks.weights import METRES, LoadedWeights, ModelCard, require_metres


class Output(str, Enum):
    """The output of an engine; the value is the name of the output in an exported file."""

    CODES = "codes"
    PROBABILITIES = "probabilities"
    CODES_AND_DEPTH = "codes_and_depth"


@dataclass(frozen=True)
class Answer:
    """The answer for N frames; its arrays may be views that the next run in the same thread overwrites.

    classes are codes uint8 N x H x W (`perception/labels.py` reads them) or probabilities float N x 3 x H x W. depth is
    the channel of the depth head, float N x H x W, None without one.
    """

    classes: NDArray[Any]
    depth: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, output: Output, array: NDArray[Any]) -> Answer:
        """The answer in an output array; codes with depth are float N x 2 x H x W."""
        if output is Output.CODES_AND_DEPTH:
            return cls(array[:, 0].astype(np.uint8), array[:, 1])
        return cls(array)


@dataclass(frozen=True)
class EngineSpec:
    """An engine by name, its device (cpu or cuda), precision (fp32, bf16 or fp16) and number of CPU threads.

    streams is the number of threads that may call `run` at once, each with its own frame.
    """

    name: str = "torch"
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    streams: int = 1

    def __str__(self) -> str:
        return f"{self.name} {self.precision} on {self.device}"


class Engine(Protocol):
    """A network ready to run on a fixed number of frames of one size."""

    spec: EngineSpec
    device_name: str

    def run(self, images: NDArray[np.uint8]) -> Answer:
        """The answer for RGB images uint8 N x H x W x 3."""
        ...


def open_engine(spec: EngineSpec, weights: LoadedWeights, output: Output = Output.CODES, batch: int = 1) -> Engine:
    """The engine of a spec with a network, for `batch` frames of the card's size.

    Raises UserError if the engine is unknown, not installed, or cannot compute as the spec says on this machine.
    """
    check_installed(spec.name)
    if not ENGINES[spec.name].needs:
        return _make(spec, weights, output, batch)
    from fcn_follow.inference.onnx_model import onnx_model  # here: onnx may be missing

    return _make(spec, onnx_model(deployed_graph(weights, output), batch=batch), output, batch)


def open_model(spec: EngineSpec, model: bytes | Path, output: Output) -> Engine:
    """An engine with an exported model: ONNX as bytes, or the path of an OpenVINO IR.

    Raises UserError if the engine is not installed, does not take such a model, or cannot compute as the spec says.
    """
    check_installed(spec.name)
    if not ENGINES[spec.name].needs or (isinstance(model, Path) and spec.name != "openvino"):
        raise UserError(f"engine {spec.name} cannot run this exported model; use openvino")
    return _make(spec, model, output, batch=1)


def _make(spec: EngineSpec, network: LoadedWeights | bytes | Path, output: Output, batch: int) -> Engine:
    kind = ENGINES[spec.name]
    engine: Engine = getattr(importlib.import_module(kind.module), kind.class_name)(spec, network, output, batch)
    return engine


def deployed_graph(weights: LoadedWeights, output: Output) -> Graph:
    """The rewritten graph of a network, from pixels to `output`. Raises UserError like `check_output`."""
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
    graph = graph.then("codes", Codes(card.thresholds))
    return graph if output is Output.CODES else graph.then("codes_and_depth", WithDepth(), network_output)


def check_output(card: ModelCard, output: Output) -> None:
    """Raise UserError if a network lacks some classes, or depth in metres that `output` needs."""
    info = NETWORKS.get(card.network)
    if card.graph is None and info and info.mask_channels != len(card.classes):
        raise UserError(
            f"the network {card.network} separates one class from the rest; it must have {', '.join(card.classes)}"
        )
    if output is Output.CODES_AND_DEPTH:
        require_metres(card)


def flying_output(card: ModelCard) -> Output:
    """The output that the nodes use: with depth if it is in metres."""
    return Output.CODES_AND_DEPTH if card.depth == METRES else Output.CODES
