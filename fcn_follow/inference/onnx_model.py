"""A graph as an ONNX model for ONNX Runtime, OpenVINO and TensorRT; the model card is part of the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from fcn_follow.inference.graph import Graph
from fcn_follow.inference.operations import Codes

OPSET, IR_VERSION = 18, 10  # supported by runtimes of the last two years
INPUT = "images"


def onnx_model(
    graph: Graph,
    metadata: Mapping[str, str] | None = None,
    batch: int | None = None,
    outputs: Sequence[str] = (),
) -> bytes:
    """The model, serialised. Its input `images` is uint8 N x H x W x 3, where N is `batch` or free.

    Its outputs are the named nodes, or the output of the graph: codes uint8 N x H x W, others float N x C x H x W.
    """
    nodes = OnnxNodes()
    for name, node in graph.nodes.items():
        node.operation.write(nodes, name, *(node.inputs or [INPUT]))
    size: list[int | str] = [batch or "N", *graph.size_px]
    results = []
    for name in outputs or (graph.output,):
        if isinstance(graph.nodes[name].operation, Codes):
            results.append(helper.make_tensor_value_info(name, TensorProto.UINT8, size))
        else:
            shape = [size[0], graph.channels(name), *size[1:]]
            results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [*size, 3])
    model = helper.make_model(
        helper.make_graph(nodes.nodes, "fcn_follow", [images], results, nodes.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fcn_follow",
    )
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


class OnnxNodes:
    """The nodes and constants of a model; operations add them. Each method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node of one output, named as the output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def split(self, name: str, x: str, outputs: list[str], axis: int) -> list[str]:
        """Equal parts of a tensor along an axis."""
        count = len(outputs)
        self.nodes.append(helper.make_node("Split", [x], outputs, name=f"{name}.split", axis=axis, num_outputs=count))
        return outputs

    def cast(self, x: str, output: str, dtype: DTypeLike) -> str:
        """A tensor in another type."""
        return self.add("Cast", [x], output, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def slice(
        self, name: str, x: str, starts: list[int], ends: list[int], axes: list[int], steps: list[int] | None = None
    ) -> str:
        """A part of a tensor."""
        values = {"starts": starts, "ends": ends, "axes": axes, **({"steps": steps} if steps else {})}
        constants = [self.constant(f"{name}.{key}", np.array(value, np.int64)) for key, value in values.items()]
        return self.add("Slice", [x, *constants], name)

    def mirror(self, name: str, x: str) -> str:
        """A tensor with its columns reversed."""
        return self.slice(name, x, [-1], [np.iinfo(np.int64).min], [3], [-1])

    def constant(self, name: str, value: NDArray[Any] | Tensor | float) -> str:
        """A constant; float64 becomes float32."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def channel_constant(self, name: str, value: Tensor) -> str:
        """A constant of one value for each channel, 1 x C x 1 x 1."""
        return self.constant(name, value.reshape(1, -1, 1, 1))
