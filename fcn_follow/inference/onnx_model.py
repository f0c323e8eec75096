"""A graph as an ONNX model: what ONNX Runtime, OpenVINO and TensorRT read. The model card goes into its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

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

OPSET, IR_VERSION = 18, 10  # what runtimes of the last two years read
INPUT = "images"
_SIMPLE = {Relu: "Relu", Add: "Sum", Multiply: "Mul", Sigmoid: "Sigmoid"}


def onnx_model(
    graph: Graph,
    metadata: Mapping[str, str] | None = None,
    batch: int | None = None,
    outputs: Sequence[str] = (),
) -> bytes:
    """The model, serialised. Input `images` uint8 N x H x W x 3, N is `batch` or free.

    Its outputs are the nodes of these names, that of the graph's output where none are given: codes uint8 N x H x W,
    codes with depth float N x 2 x H x W, anything else float N x 3 x H x W.
    """
    writer = _Writer()
    for name, node in graph.nodes.items():
        writer.write(name, node.operation, list(node.inputs) or [INPUT])
    size: list[int | str] = [batch or "N", *graph.size_px]
    results = []
    for name in outputs or (graph.output,):
        operation = graph.nodes[name].operation
        if isinstance(operation, Codes):
            results.append(helper.make_tensor_value_info(name, TensorProto.UINT8, size))
        else:
            channels = 2 if isinstance(operation, WithDepth) else 3
            results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [size[0], channels, *size[1:]]))
    images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [*size, 3])
    model = helper.make_model(
        helper.make_graph(writer.nodes, "fcn_follow", [images], results, writer.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fcn_follow",
    )
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any] | Tensor | float) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def channels(self, name: str, value: Tensor) -> str:
        return self.constant(name, value.reshape(1, -1, 1, 1))

    def write(self, name: str, operation: Operation, inputs: list[str]) -> None:
        if isinstance(operation, Pixels):
            self._pixels(name, inputs)
        elif isinstance(operation, Convolution):
            self._convolution(name, operation, inputs)
        elif isinstance(operation, MaxPool):
            window: dict[str, Any] = {
                "kernel_shape": operation.pool,
                "strides": operation.stride,
                "pads": _pads(operation.padding),
            }
            self.add("MaxPool", inputs, name, **window)
        elif isinstance(operation, Unpool2x):
            self._unpool(name, *inputs)
        elif isinstance(operation, Affine):
            scaled = self.add("Mul", [inputs[0], self.channels(f"{name}.scale", operation.scale)], f"{name}.scaled")
            self.add("Add", [scaled, self.channels(f"{name}.shift", operation.shift)], name)
        elif isinstance(operation, Shift):
            self.add("Add", [inputs[0], self.channels(f"{name}.shift", operation.shift)], name)
        elif isinstance(operation, Upsample2x):
            self._upsample(name, operation, inputs)
        elif isinstance(operation, Crop):
            self._slice(name, inputs[0], [0, 0], [operation.height_px, operation.width_px], [2, 3])
        elif isinstance(operation, Join):
            self.add("Concat", inputs, name, axis=1)
        elif isinstance(operation, FrameMean):
            self.add("GlobalAveragePool", inputs, name)
        elif isinstance(operation, WithMirrored):
            self._mirror(f"{name}.mirrored", inputs[0])
            self.add("Concat", [inputs[0], f"{name}.mirrored"], name, axis=0)
        elif isinstance(operation, Probabilities):
            self._probabilities(name, operation, inputs)
        elif isinstance(operation, Codes):
            self._codes(name, operation, inputs)
        elif isinstance(operation, FirstChannels):
            self._slice(name, inputs[0], [0], [operation.count], [1])
        elif isinstance(operation, WithDepth):
            self._with_depth(name, *inputs)
        else:
            self.add(_SIMPLE[type(operation)], inputs, name)

    def _pixels(self, name: str, inputs: list[str]) -> None:
        channels_first = self.add("Transpose", inputs, f"{name}.nchw", perm=[0, 3, 1, 2])
        as_float = self.add("Cast", [channels_first], f"{name}.float", to=TensorProto.FLOAT)
        scaled = self.add("Div", [as_float, self.constant(f"{name}.half", 127.5)], f"{name}.scaled")
        self.add("Sub", [scaled, self.constant(f"{name}.one", 1.0)], name)

    def _convolution(self, name: str, operation: Convolution, inputs: list[str]) -> None:
        weight = self.constant(f"{name}.weight", operation.weight)
        bias = self.constant(f"{name}.bias", operation.bias)
        self.add(
            "Conv",
            [inputs[0], weight, bias],
            name,
            group=operation.groups,
            strides=operation.stride,
            dilations=operation.dilation,
            pads=_pads(operation.padding),
        )

    def _upsample(self, name: str, operation: Upsample2x, inputs: list[str]) -> None:
        channels = operation.few_channels
        if not channels:
            scales = self.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
            form = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
            self.add("Resize", [inputs[0], "", scales], name, **form)
            return
        # every runtime's Resize takes few channels one by one: as a convolution to the four pixels that one becomes
        means = np.zeros((2, 2, channels, channels, 2, 2), np.float32)
        for row, column, channel in np.ndindex(2, 2, channels):
            means[row, column, channel, channel, : row + 1, : column + 1] = 1 / ((row + 1) * (column + 1))
        pads = self.constant(f"{name}.pads", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
        padded = self.add("Pad", [inputs[0], pads], f"{name}.padded", mode="edge")
        weight = self.constant(f"{name}.means", means.reshape(4 * channels, channels, 2, 2))
        four = self.add("Conv", [padded, weight], f"{name}.four")
        self.add("DepthToSpace", [four], name, blocksize=2, mode="DCR")

    def _unpool(self, name: str, coarse: str, fine: str) -> None:
        # OpenVINO has no MaxUnpool: each of four pixels takes the value where it is the largest, else passes it on
        four = self.add("SpaceToDepth", [fine], f"{name}.four", blocksize=2)
        pixels = [f"{name}.pixel{i}" for i in range(4)]
        self.nodes.append(helper.make_node("Split", [four], pixels, name=f"{name}.split", axis=1, num_outputs=4))
        largest = self.add("Max", pixels, f"{name}.largest")
        zero, left, placed = self.constant(f"{name}.zero", 0.0), coarse, []
        for i, pixel in enumerate(pixels[:-1]):
            here = self.add("Equal", [pixel, largest], f"{name}.here{i}")
            placed.append(self.add("Where", [here, left, zero], f"{name}.placed{i}"))
            left = self.add("Where", [here, zero, left], f"{name}.left{i}")
        joined = self.add("Concat", [*placed, left], f"{name}.joined", axis=1)
        self.add("DepthToSpace", [joined], name, blocksize=2, mode="DCR")

    def _probabilities(self, name: str, operation: Probabilities, inputs: list[str]) -> None:
        if not operation.mirrored:
            self.add("Softmax", inputs, name, axis=1)
            return
        both = self.add("Softmax", inputs, f"{name}.both", axis=1)
        halves = [f"{name}.frames", f"{name}.mirror_images"]
        self.nodes.append(helper.make_node("Split", [both], halves, name=f"{name}.split", axis=0, num_outputs=2))
        back = self._mirror(f"{name}.back", halves[1])
        total = self.add("Add", [halves[0], back], f"{name}.total")
        self.add("Mul", [total, self.constant(f"{name}.half", 0.5)], name)

    def _codes(self, name: str, operation: Codes, inputs: list[str]) -> None:
        background, people = (
            self.add("Gather", [inputs[0], self.constant(f"{name}.{i}", np.array(i))], f"{name}.class{i}", axis=1)
            for i in range(2)
        )
        doubt = self.add("Add", [background, people], f"{name}.doubt")
        likelier = self.add("Greater", [people, background], f"{name}.likelier")
        code = self.add("Cast", [likelier], f"{name}.code", to=TensorProto.UINT8)
        two = self.constant(f"{name}.two", np.array(2, np.uint8))
        for i, threshold in enumerate(operation.thresholds):
            limit = self.constant(f"{name}.limit{i}", 1.0 - threshold)
            reached = self.add("LessOrEqual", [doubt, limit], f"{name}.reached{i}")
            step = self.add("Cast", [reached], f"{name}.step{i}", to=TensorProto.UINT8)
            twice = self.add("Mul", [step, two], f"{name}.twice{i}")
            last = i + 1 == len(operation.thresholds)
            code = self.add("Add", [code, twice], name if last else f"{name}.sum{i}")

    def _with_depth(self, name: str, codes: str, network_output: str) -> None:
        as_float = self.add("Cast", [codes], f"{name}.float", to=TensorProto.FLOAT)
        axis = self.constant(f"{name}.axis", np.array([1], np.int64))
        channel = self.add("Unsqueeze", [as_float, axis], f"{name}.codes")
        depth = self._slice(f"{name}.depth", network_output, [-1], [np.iinfo(np.int64).max], [1])
        self.add("Concat", [channel, depth], name, axis=1)

    def _mirror(self, name: str, x: str) -> str:
        return self._slice(name, x, [-1], [np.iinfo(np.int64).min], [3], [-1])

    def _slice(
        self, name: str, x: str, starts: list[int], ends: list[int], axes: list[int], steps: list[int] | None = None
    ) -> str:
        values = {"starts": starts, "ends": ends, "axes": axes, **({"steps": steps} if steps else {})}
        constants = [self.constant(f"{name}.{key}", np.array(value, np.int64)) for key, value in values.items()]
        return self.add("Slice", [x, *constants], name)


def _pads(padding: tuple[int, int, int, int]) -> list[int]:
    top, bottom, left, right = padding
    return [top, left, bottom, right]
