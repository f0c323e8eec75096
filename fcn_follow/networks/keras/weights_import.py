"""The import of the course's Keras files as a network with its weights; no content of the files is executed.

The weights are HDF5 (`model.save` or `model.save_weights` of Keras 2, `model.save("NAME.h5")` of Keras 3). The
architecture is `model.to_json()`, in its own file, also as a JSON string inside JSON, or in the attribute
`model_config` of the weights file. Links out of the HDF5 file, filters (which may be plug-ins) and sizes above the
limits are refused.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn_follow.errors import MAX_SHOWN, UserError, shown
from fcn_follow.networks.keras.graph import INPUT, MAX_PARAMETERS, GraphLayer, GraphNetwork, KerasGraph, build_graph

Arrays = dict[str, NDArray[np.float32]]

LAYER_KINDS = {
    "SeparableConv2DKeras": "separable_conv",
    "SeparableConv2D": "separable_conv",
    "Conv2D": "conv",
    "BatchNormalization": "batch_norm",
    "BilinearUpSampling2D": "upsample",
    "Concatenate": "concatenate",
    "MaxPooling2D": "max_pool",
    "AveragePooling2D": "average_pool",
    "Dropout": "dropout",
    "Add": "add",
}
MAX_JSON_BYTES = 16 << 20
MAX_DATASETS = 10_000
MAX_DEPTH = 8
SAVE_AGAIN = "save it there with model.save('NAME.h5'), which this package reads"


def import_keras(weights: Path, architecture: Path | None = None) -> GraphNetwork:
    """The network of a Keras weights file and its architecture file, in eval mode on the CPU.

    Without an architecture file the weights file must hold the architecture itself, as `model.save` writes it.

    Raises UserError, naming file and layer, when a file is missing, is none of Keras', holds a layer or an option
    that this family does not have, or when architecture and weights do not belong together.
    """
    with _open(weights) as file:
        if "layers" in file and "model_weights" not in file and "layer_names" not in file.attrs:
            raise UserError(f"{weights}: weights alone, as Keras 3 saves them (.weights.h5); {SAVE_AGAIN}")
        text = _architecture_text(architecture) if architecture else _architecture_inside(weights, file)
        source = f"{architecture or weights}{' (written by Keras 3)' if 'registered_name' in text else ''}"
        try:
            graph = parse_architecture(text)
            network = build_graph(graph)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        try:
            arrays = _read_arrays(file)
            tensors = _tensors(graph, arrays, network)
        except UserError as error:
            raise UserError(f"{weights}: {error}") from error
    network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return network.eval()


def parse_architecture(text: str) -> KerasGraph:
    """The graph that `model.to_json()` describes (encoded once or twice). Raises UserError if it describes none."""
    try:
        content = json.loads(text)
        if isinstance(content, str):
            content = json.loads(content)
        config = content["config"]
        layers, outputs = config["layers"], config["output_layers"]
        name, first = _input_layer(layers)
        height, width, channels = (first.get("batch_input_shape") or first["batch_shape"])[1:]
        if channels != 3:
            raise UserError(f"layer {shown(name)}: takes {channels} channels; they must be the 3 of an RGB image")
        last = outputs[0][0] if isinstance(outputs[0], list) else outputs[0]
        graph = [_layer(entry, name, last) for entry in layers if entry["class_name"] != "InputLayer"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise UserError(
            f"not the architecture of a Keras network (its functional API's to_json): {shown(error)}"
        ) from error
    if not graph or graph[-1].name != last:
        raise UserError(f"its output {shown(str(last))} is not its last layer")
    return KerasGraph(height, width, tuple(graph))


def _input_layer(layers: list[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    inputs = [entry for entry in layers if entry["class_name"] == "InputLayer"]
    if len(inputs) != 1:
        raise UserError(f"it has {len(inputs)} inputs; it must have one image")
    return inputs[0]["name"], inputs[0]["config"]


def _layer(entry: Mapping[str, Any], input_name: str, output_name: str) -> GraphLayer:
    """One layer of the JSON. Raises UserError, naming it, for a kind or an option that is not supported."""
    name, kind, config = entry["name"], entry["class_name"], entry["config"]
    where = f"layer {shown(name)} ({str(kind)[:MAX_SHOWN]})"
    if kind not in LAYER_KINDS:
        raise UserError(f"{where}: this layer is not known; known are {', '.join(LAYER_KINDS)}")
    if len(entry["inbound_nodes"]) != 1:
        raise UserError(f"{where}: is used {len(entry['inbound_nodes'])} times; each layer may be used once")
    taken = tuple(INPUT if before == input_name else before for before in _inbound(entry["inbound_nodes"][0]))
    layer_kind = LAYER_KINDS[kind]
    is_conv = layer_kind in ("conv", "separable_conv")
    activation = config.get("activation") or "linear"
    softmax = activation == "softmax" and name == output_name and layer_kind == "conv"
    kernel = _pair(config.get("kernel_size", config.get("pool_size", config.get("size", 1))))
    same = config.get("padding", "same") == "same"
    unknown = f"the activation {shown(activation)} is not known"
    for wrong, problem in (
        (config.get("data_format") == "channels_first", "has its channels first; they must be last"),
        (is_conv and not (softmax or activation in ("linear", "relu")), unknown),
        (name == output_name and not softmax, "is the output; it must be a Conv2D with softmax"),
        (is_conv and not same and kernel != (1, 1), "the padding must be 'same'"),
        (config.get("depth_multiplier", 1) != 1, f"has a depth_multiplier of {shown(config.get('depth_multiplier'))}"),
        (config.get("groups", 1) != 1, f"has {shown(config.get('groups'))} groups"),
        (layer_kind in ("batch_norm", "concatenate") and config.get("axis", -1) not in (-1, 3, [3], [-1]),
         f"works along the axis {shown(config.get('axis'))}; it must be that of the channels"),
    ):  # fmt: skip
        if wrong:
            raise UserError(f"{where}: {problem}")
    return GraphLayer(
        name=name,
        kind=layer_kind,
        inputs=taken,
        filters=config["filters"] if is_conv else 0,
        kernel_px=kernel,
        stride_px=_pair(config.get("strides") or kernel),
        dilation_px=_pair(config.get("dilation_rate", 1)),
        same=same,
        relu=activation == "relu",
        bias=config.get("use_bias", True),
        epsilon=config.get("epsilon", 1e-3),
        rate=config.get("rate", 0.0),
    )


def _inbound(node: Any) -> list[str]:
    """The layers before one: [[name, 0, 0, {}], ...] in Keras 2, {"args": [tensor or list of tensors]} in Keras 3."""
    if not isinstance(node, dict):
        return [tensor[0] for tensor in node]
    tensors = node["args"][0] if isinstance(node["args"][0], list) else node["args"]
    return [tensor["config"]["keras_history"][0] for tensor in tensors]


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, int) else value
    return rows, columns


def _architecture_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path}: too large for the architecture of a network")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as an architecture file (JSON): {error}") from error


def _architecture_inside(path: Path, file: h5py.File) -> str:
    text = file.attrs.get("model_config")
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str) or len(text) > MAX_JSON_BYTES:
        raise UserError(
            f"{path}: holds weights alone; name the architecture file too (the course's config_model_weights)"
        )
    return text


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if zipfile.is_zipfile(path):
            raise UserError(f"{path}: a zip, as Keras 3 saves a model (.keras); {SAVE_AGAIN}") from error
        raise UserError(
            f"{path}: not an HDF5 file, or a damaged one; it must be written by Keras' model.save"
        ) from error


def _read_arrays(file: h5py.File) -> dict[str, Arrays]:
    """The arrays of each layer by the last part of their names (kernel, gamma ...)."""
    try:
        root = file
        if file.get("model_weights", getclass=True, getlink=True) is h5py.HardLink:
            root = file["model_weights"]
        layers: dict[str, Arrays] = {}
        found = floats = 0
        for layer, name, dataset in _datasets(root):
            found, floats = found + 1, floats + dataset.size
            if found > MAX_DATASETS or floats > 2 * MAX_PARAMETERS:
                raise UserError("holds more than a network of this family can have")
            layers.setdefault(layer, {})[name.split(":")[0]] = np.asarray(dataset[()], np.float32)
    except (OSError, RuntimeError, KeyError, ValueError, UnicodeError) as error:
        raise UserError(f"damaged, it cannot be read ({error})") from error
    return layers


def _datasets(root: h5py.Group) -> Iterator[tuple[str, str, h5py.Dataset]]:
    """(layer, name, dataset) of all datasets in the groups of layers; links are refused."""
    pending = [(name, root, name, 1) for name in root]
    while pending:
        layer, parent, name, depth = pending.pop()
        where = f"{parent.name}/{name}"[:200]
        if parent.get(name, getclass=True, getlink=True) is not h5py.HardLink:
            raise UserError(f"{where} is a link; only plain data is read")
        item = parent[name]
        if isinstance(item, h5py.Group):
            if depth == MAX_DEPTH or len(pending) + len(item) > MAX_DATASETS:
                raise UserError(f"{where} is nested deeper or wider than Keras writes")
            pending += [(layer, item, inner, depth + 1) for inner in item]
        elif depth > 1 and isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external or item.id.get_create_plist().get_nfilters() or item.dtype.kind != "f":
                raise UserError(f"{where} is not plain numbers as Keras writes them")
            yield layer, name, item


def _tensors(graph: KerasGraph, arrays: Mapping[str, Arrays], network: GraphNetwork) -> dict[str, Tensor]:
    """The state of the network from Keras' arrays. Raises UserError, naming the layer, if one does not fit."""
    names = {layer.name for layer in graph.layers}
    strange = sorted(name for name, content in arrays.items() if content and name not in names)
    if strange:
        raise UserError(f"holds weights of {shown(strange[0])}, a layer that the architecture does not have")
    state: dict[str, Tensor] = {}
    for i, (layer, module) in enumerate(zip(graph.layers, network.layers, strict=True)):
        given = _torch_arrays(arrays.get(layer.name, {}))
        for key, expected in module.state_dict().items():
            if key == "num_batches_tracked":
                given[key] = np.zeros((), np.int64)
            elif key not in given and layer.kind == "batch_norm" and key in ("weight", "bias"):
                given[key] = np.full(expected.shape, float(key == "weight"), np.float32)  # scale or center is off
            if key not in given:
                raise UserError(f"layer {shown(layer.name)}: its {key} is missing")
            if given[key].shape != expected.shape:
                shapes = f"{given[key].shape} instead of {tuple(expected.shape)}"
                raise UserError(
                    f"layer {shown(layer.name)}: its {key} is {shapes}; architecture and weights do not fit"
                )
            if not np.isfinite(given[key]).all():
                raise UserError(f"layer {shown(layer.name)}: its {key} holds NaN or infinite numbers")
            state[f"layers.{i}.{key}"] = torch.from_numpy(np.ascontiguousarray(given[key]))
    return state


def _torch_arrays(keras: Arrays) -> dict[str, NDArray[Any]]:
    """Keras' arrays of one layer with PyTorch's names and order of axes (filters first)."""
    separable = "depthwise_kernel" in keras
    names = {
        "kernel": "weight",
        "depthwise_kernel": "depthwise.weight",
        "pointwise_kernel": "pointwise.weight",
        "bias": "pointwise.bias" if separable else "bias",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    result = {}
    for name, array in keras.items():
        if name not in names:
            raise UserError(f"holds an array {shown(name)}, which no layer of this family has")
        if array.ndim == 4:  # rows, columns, in, out; a depthwise kernel has its channels where others have inputs
            array = array.transpose((2, 3, 0, 1) if name == "depthwise_kernel" else (3, 2, 0, 1))
        result[names[name]] = array
    return result
