"""Checks of ONNX and OpenVINO files before a runtime runs them: their size, operations and results.

Such a file is a program, and a short one can request terabytes. Only the operations of this package's exports are
allowed, none of which loops, and no result may be larger than a network's results for a frame.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from fcn_follow.errors import UserError, shown

MAX_MODEL_BYTES = 256 << 20
MAX_STRUCTURE_BYTES = 8 << 20
MAX_VALUES = 1 << 27  # numbers in one result, 512 MB
ONNX_OPERATIONS = """
    Add Cast Concat Conv DepthToSpace DequantizeLinear Div Equal Gather GlobalAveragePool Greater LessOrEqual Max
    MaxPool Mul Pad QuantizeLinear Relu Resize Sigmoid Slice Softmax SpaceToDepth Split Sub Sum Transpose Unsqueeze
    Where
"""
OPENVINO_OPERATIONS = """
    Add Broadcast Concat Constant Convert Convolution DepthToSpace Divide Equal FakeQuantize Gather Greater
    GroupConvolution Interpolate LessEqual MaxPool Maximum Multiply Pad Parameter Range ReduceMean Relu Reshape Result
    Select ShapeOf Sigmoid Slice Softmax SpaceToDepth Split Squeeze Subtract Transpose Unsqueeze VariadicSplit
"""
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # field numbers of onnx.proto3


def onnx_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file by key. Raises UserError, naming the file, if it is damaged or refused."""
    import onnx
    from google.protobuf.message import DecodeError

    content = path.read_bytes()
    try:
        _check_structure(content)
        model = onnx.load_model_from_string(content)
        _check_onnx(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (DecodeError, ValueError, IndexError, RuntimeError, onnx.shape_inference.InferenceError) as error:
        raise UserError(f"{path}: not an ONNX file, or a damaged one ({shown(error)})") from error
    sizes = {
        value.name: math.prod(side.dim_value or 1 for side in value.type.tensor_type.shape.dim)
        for value in [*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input]
        if value.type.tensor_type.HasField("shape")
    }
    _check_results(path, (sizes.get(name, math.inf) for node in model.graph.node for name in node.output if name))
    return {item.key: item.value for item in model.metadata_props}


def openvino_metadata(path: Path, keys: Collection[str]) -> dict[str, str]:
    """The metadata of an .xml with its .bin by key. Raises UserError, naming it, if it is damaged or refused."""
    import openvino

    if path.stat().st_size > MAX_STRUCTURE_BYTES:
        raise UserError(f"{path}: larger than the description of any network")
    try:
        model = openvino.Core().read_model(path)
        operations = model.get_ops()
        strange = sorted({operation.get_type_name() for operation in operations} - set(OPENVINO_OPERATIONS.split()))
        shapes = [output.get_partial_shape() for operation in operations for output in operation.outputs()]
        sizes = [
            math.prod(side.get_length() if side.is_static else 1 for side in shape)
            if shape.rank.is_static else math.inf
            for shape in shapes
        ]  # fmt: skip
        metadata = {key: str(model.get_rt_info([key]).astype(str)) for key in keys if model.has_rt_info([key])}
    except (RuntimeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not an OpenVINO IR with its .bin beside it, or truncated") from error
    if strange:
        raise UserError(f"{path}: has an operation {shown(strange[0])}, which no export of this package has")
    _check_results(path, iter(sizes))
    return metadata


def _check_results(path: Path, sizes: Iterator[float]) -> None:
    largest = max(sizes, default=0)
    if largest > MAX_VALUES:
        much = "unknown size" if largest == math.inf else f"{largest:,} numbers"
        raise UserError(f"{path}: has a result of {much}; at most {MAX_VALUES:,} are allowed")


def _check_onnx(model: Any) -> None:
    """Raise UserError for functions, other operations, inner graphs, and weights that are not in the file."""
    if model.functions or model.graph.sparse_initializer or model.training_info:
        raise UserError("has functions of its own, or sparse weights, which no export of this package has")
    known = set(ONNX_OPERATIONS.split())
    for node in model.graph.node:
        if node.op_type not in known or node.domain not in ("", "ai.onnx"):
            raise UserError(f"has an operation {shown(node.op_type)}, which no export of this package has")
    for tensor in model.graph.initializer:
        if tensor.external_data or tensor.data_location:
            raise UserError("refers to other files, which no file of this package does")
        if not all(side >= 0 for side in tensor.dims) or math.prod(tensor.dims) > MAX_VALUES:
            raise UserError(f"its tensor {shown(tensor.name)} has an impossible size")


def _check_structure(content: bytes) -> None:
    """Raise UserError if a file has too much structure: each byte of it may become a hundred in memory."""
    view = memoryview(content)
    raw = sum(
        len(data)
        for graph in _fields(view, _GRAPH)
        for tensor in _fields(graph, _INITIALIZER)
        for data in _fields(tensor, _RAW_DATA)
    )
    if len(content) - raw > MAX_STRUCTURE_BYTES:
        raise UserError(f"has more than {MAX_STRUCTURE_BYTES >> 20} MB that are not weights")


def _fields(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The length-delimited fields of one number in a protobuf message, not parsed further."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == 0:
            _, position = _varint(message, position)
        elif wire == 2:
            length, position = _varint(message, position)
            if length > len(message) - position:
                raise UserError("not an ONNX file, or a truncated one")
            if key >> 3 == wanted:
                yield message[position : position + length]
            position += length
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise UserError("not an ONNX file, or a damaged one")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value, position
