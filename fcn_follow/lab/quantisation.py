"""A network in int8, by ONNX Runtime's static quantisation: as ONNX with QuantizeLinear and DequantizeLinear nodes.

The ranges of the activations are the least and greatest values on calibration frames; weights have a scale for each
channel. The first and the last convolution and the squeeze-excite gates stay float: they are few and decide much.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import Output, check_installed, deployed_graph
from fcn_follow.inference.graph import Graph
from fcn_follow.inference.operations import Convolution, FrameMean, Relu
from fcn_follow.lab.export import metadata_of, write_whole
from fcn_follow.networks.weights import LoadedWeights

CALIBRATION_FRAMES = 128
MOST_FALL = 0.005  # of the Follow-Me score, from fp32 to int8
_READY = {"onnx.quant.pre_process": "onnxruntime.quant"}  # the graph needs none of ONNX Runtime's own preparation


def quantised(weights: LoadedWeights, frames: Iterable[NDArray[np.uint8]]) -> bytes:
    """The network in int8 as ONNX, with the inputs and outputs of an exported file, without its metadata.

    frames are RGB frames uint8 H x W x 3 of the card's size to calibrate with.

    Raises UserError for a network with a depth head, which a score of masks cannot judge, and without ONNX Runtime.
    """
    if weights.card.depth:
        raise UserError(f"int8 is judged by the masks alone; {weights.card.network} has a depth head and stays float")
    check_installed("onnxruntime")
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    from fcn_follow.inference.onnx_model import onnx_model

    graph = deployed_graph(weights, Output.CODES)
    model = onnx_model(graph, _READY, outputs=[Output.CODES.value, Output.PROBABILITIES.value])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            onnx.load_model_from_string(model),
            path,
            _Reader(frames),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Relu"],
            nodes_to_quantize=nodes_for_int8(graph),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return path.read_bytes()


def nodes_for_int8(graph: Graph) -> list[str]:
    """The convolutions that become int8 and the ReLUs that merge with them."""
    of_one_pixel: set[str] = set()  # the gates: what follows a mean over the frame, up to where it scales the frame
    for name, node in graph.nodes.items():
        if isinstance(node.operation, FrameMean) or (node.inputs and of_one_pixel.issuperset(node.inputs)):
            of_one_pixel.add(name)
    first, *_, last = (name for name, node in graph.nodes.items() if isinstance(node.operation, Convolution))
    return [
        name
        for name, node in graph.nodes.items()
        if isinstance(node.operation, (Convolution, Relu)) and name not in {first, last, *of_one_pixel}
    ]


def write_int8(weights: LoadedWeights, model: bytes, scores: Mapping[str, float], path: Path) -> None:
    """Write what `quantised` made of weights, whole or not at all; its model card states the scores of int8.

    Raises UserError for a place that cannot be written.
    """
    import onnx

    with_card = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(with_card, metadata_of(weights, "int8", scores))
    write_whole(path, with_card.SerializeToString())


class _Reader:
    """Frames as ONNX Runtime's calibration asks for them: one a call, and None behind the last."""

    def __init__(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        self._frames: Iterator[NDArray[np.uint8]] = iter(frames)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {"images": frame[None]}
