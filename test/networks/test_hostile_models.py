"""Hostile weights, model cards, graphs and ONNX files: refused before their tensors are read or anything is run."""

from __future__ import annotations

import dataclasses
import json
import struct

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from fcn_follow.errors import UserError
from fcn_follow.inference import foreign
from fcn_follow.networks.keras.graph import GraphLayer, KerasGraph, build_graph
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import CARD_KEY, ModelCard, load_weights


def weights_file(path, change=lambda tensors: None, **card):
    torch.manual_seed(0)
    tensors = dict(build_network("fcn_001").state_dict())
    change(tensors)
    values = {**dataclasses.asdict(ModelCard("fcn_001", 32, 32)), **card}
    save_file(tensors, path, metadata={CARD_KEY: json.dumps(values)})
    return path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_with_nan_or_infinity_are_refused_by_the_tensors_name(tmp_path, value):
    name = next(name for name, tensor in build_network("fcn_001").state_dict().items() if tensor.dim() == 4)

    def spoil(tensors):
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[-1] = value

    with pytest.raises(UserError, match=f"its tensor {name} holds NaN or infinite numbers"):
        load_weights(weights_file(tmp_path / "a.safetensors", spoil))


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"network": 0}, "has 0 as network; it must be str"),
        ({"network": None}, "has None as network"),
        ({"input_height_px": 32.0}, "has 32.0 as input_height_px; it must be int"),
        ({"flip_average": "no"}, "has 'no' as flip_average; it must be bool"),
        ({"scores": {"a": "b"}}, "has 'b' as the score 'a'"),
        ({"scores": [1]}, "as scores"),
        ({"hero_min_area_px": True}, "has True as hero_min_area_px"),
        ({"depth": ["x" * 999]}, "as depth; it must be str"),
        ({"input_height_px": 4096, "input_width_px": 4096}, "impossible input size of 4096x4096"),
        ({"graph": {"input_px": [8, 8], "layers": [{"name": 1, "kind": [], "inputs": 3}]}}, "no possible network"),
    ],
)
def test_cards_of_wrong_types_are_refused(tmp_path, card, expected):
    with pytest.raises(UserError, match=expected):
        load_weights(weights_file(tmp_path / "a.safetensors", **card))


def test_a_card_nested_without_end_and_a_header_of_gigabytes_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={CARD_KEY: "[" * 100_000})
    with pytest.raises(UserError, match="its model card cannot be read"):
        load_weights(path)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 90 << 20))
        file.truncate(100 << 20)
    with pytest.raises(UserError, match="larger than that of any network"):
        load_weights(path)


def test_tensors_of_another_network_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = weights_file(tmp_path / "a.safetensors", lambda tensors: tensors.update(more=torch.zeros(100)))
    monkeypatch.setattr("fcn_follow.networks.weights.finite_tensors", lambda *_: pytest.fail("they were read"))
    with pytest.raises(UserError, match="more is not part of it"):
        load_weights(path)


def test_a_graph_that_needs_more_than_any_computer_has_is_refused():
    def layers(*kinds):
        names = ["input", *(f"l{index}" for index in range(len(kinds)))]
        return tuple(
            GraphLayer(names[i + 1], kind, (names[i],) * (1 + (kind == "add")), **options)
            for i, (kind, options) in enumerate(kinds)
        )

    wide = layers(("conv", {"filters": 8192}), ("conv", {"filters": 3}))
    with pytest.raises(UserError, match="layers give more than"):
        build_graph(KerasGraph(1024, 1024, wide))
    slow = layers(
        ("conv", {"filters": 64}), *[("conv", {"filters": 64, "kernel_px": (15, 15)})] * 4, ("conv", {"filters": 3})
    )
    with pytest.raises(UserError, match="multiplies more than"):
        build_graph(KerasGraph(1024, 1024, slow))


def onnx_file(path, *nodes, initializers=(), size=(1, 3)):
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, size)
    graph = helper.make_graph(list(nodes), "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
                              [output], list(initializers))  # fmt: skip
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_onnx_files_that_would_compute_without_end_are_refused(tmp_path):
    path = tmp_path / "a.onnx"
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [10**6, 10**6])
    onnx_file(path, helper.make_node("ConstantOfShape", ["s"], ["y"]), initializers=[shape])
    with pytest.raises(UserError, match="operation 'ConstantOfShape'"):
        foreign.onnx_metadata(path)
    doubled = [helper.make_node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], axis=1) for i in range(28)]
    onnx_file(
        path,
        helper.make_node("Relu", ["x"], ["v0"]),
        *doubled,
        helper.make_node("Relu", ["v28"], ["y"]),
        size=["N", "M"],
    )
    with pytest.raises(UserError, match="has a result of 805,306,368 numbers"):
        foreign.onnx_metadata(path)
    huge = helper.make_tensor("w", TensorProto.FLOAT, [2], [0.0, 0.0])
    huge.dims[:] = [2**31, 2**31]
    onnx_file(path, helper.make_node("Add", ["x", "w"], ["y"]), initializers=[huge])
    with pytest.raises(UserError, match="tensor 'w' has an impossible size"):
        foreign.onnx_metadata(path)
    outside = helper.make_tensor("w", TensorProto.FLOAT, [1, 3], [0.0] * 3)
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    onnx_file(path, helper.make_node("Add", ["x", "w"], ["y"]), initializers=[outside])
    with pytest.raises(UserError, match="refers to other files"):
        foreign.onnx_metadata(path)


def test_an_onnx_file_of_millions_of_empty_nodes_is_not_parsed(tmp_path, monkeypatch):
    nodes = b"\x0a\x00" * (5 << 20)  # field 1 of a graph, empty
    (tmp_path / "a.onnx").write_bytes(b"\x3a" + varint(len(nodes)) + nodes)
    monkeypatch.setattr(onnx, "load_model_from_string", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(UserError, match="more than 8 MB that are not weights"):
        foreign.onnx_metadata(tmp_path / "a.onnx")


def varint(value):
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
