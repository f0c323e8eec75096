"""`fcn-follow export`: what it writes is read again, flown and scored; what is not what it says is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from command_line import fcn_follow, figures
from frame_folders import write_frames
from made_weights import lived_in
from ros_tools import ROOT, finish, interrupt, parameter_arguments, start_node

from fcn_follow.errors import UserError
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import Output
from fcn_follow.inference.exported import EXPORT_KEY, choose_for, load_model
from fcn_follow.inference.verification import Verification
from fcn_follow.lab.export import export
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import CARD_KEY, LoadedWeights, ModelCard, load_weights, save_weights
from fcn_follow.perception.segmenter import Segmenter

FCN_001 = ROOT / "weights" / "fcn_001.safetensors"


@pytest.fixture(scope="module")
def small() -> LoadedWeights:
    torch.manual_seed(1)
    return LoadedWeights(lived_in(build_network("fcn_001")), ModelCard("fcn_001", 40, 56, data="drawn by a test"))


def test_weights_in_place_of_the_file_to_write_are_reported():
    finished = fcn_follow("export", "weights/fcn_001.safetensors")
    assert finished.returncode == 1
    printed = " ".join(finished.stderr.split())
    assert "such as fcn_001.onnx, and the weights with --weights weights/fcn_001.safetensors" in printed


@pytest.fixture
def onnx_file(small, tmp_path):
    (path,) = export(small, tmp_path / "small.onnx")
    return path


@pytest.mark.parametrize(("suffix", "engines"), [(".onnx", ["openvino", "onnxruntime"]), (".xml", ["openvino"])])
def test_an_exported_file_carries_its_card_and_gives_what_pytorch_gives(small, tmp_path, suffix, engines):
    written = export(small, tmp_path / "deep" / f"small{suffix}")
    assert sorted(tmp_path.rglob("*.*")) == sorted(written)
    model = load_model(tmp_path / "deep" / f"small{suffix}")
    assert model.card == small.card
    verification = Verification(small)
    for engine in engines:
        chosen = choose_for(model, EngineRequest(engine, precision="fp32"))
        assert chosen.engine.spec.name == engine
        assert verification.problem(chosen.engine) == ""
        p = choose_for(model, EngineRequest(engine, precision="fp32"), output=Output.PROBABILITIES).engine
        with torch.inference_mode():
            x = torch.from_numpy(verification.frames[:1]).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            np.testing.assert_allclose(
                p.run(verification.frames[:1]).classes, small.network(x).softmax(1).numpy(), atol=1e-4
            )
    labels = Segmenter(model, choose_for(model, EngineRequest()).engine).segment(verification.frames[0])
    assert labels.shape == (40, 56)


def test_any_runtime_takes_the_onnx_file_for_any_number_of_frames(small, onnx_file):
    session = onnxruntime.InferenceSession(onnx_file)
    assert json.loads(session.get_modelmeta().custom_metadata_map[CARD_KEY])["network"] == "fcn_001"
    verification = Verification(small)
    codes, probabilities = session.run(["codes", "probabilities"], {"images": verification.frames})
    assert (codes == verification.expected).mean() > 0.9999
    assert probabilities.shape == (len(codes), 3, 40, 56)


def test_torch_export(small, tmp_path):
    (path,) = export(small, tmp_path / "small.pt2")
    files = {CARD_KEY: ""}
    program = torch.export.load(path, extra_files=files)
    assert json.loads(files[CARD_KEY])["network"] == "fcn_001"
    verification = Verification(small)
    codes = program.module()(torch.from_numpy(verification.frames[:1]))
    assert (codes.numpy() == verification.expected[:1]).mean() > 0.9999
    with pytest.raises(UserError, match=r"PyTorch unpickles it.*; use the weights, or an export to \.onnx or \.xml"):
        load_model(path)


def test_score_takes_an_exported_file(tmp_path):
    frames = write_frames(tmp_path / "frames", 6)
    done = fcn_follow("export", tmp_path / "fcn_001.onnx", "--weights", FCN_001)
    assert done.returncode == 0, done.stderr
    of_weights, of_export = (
        figures("score", "--data", frames, "--weights", path) for path in (FCN_001, tmp_path / "fcn_001.onnx")
    )
    assert of_export["network"] == "fcn_001"
    for folder, expected in of_weights["folders"].items():
        assert of_export["folders"][folder] == pytest.approx(expected, abs=1e-3)


def test_the_node_flies_an_exported_file_and_refuses_one_of_another_version(onnx_file, domain_id):
    node = start_node("segmenter", domain_id, *parameter_arguments({"weights": onnx_file, "precision": "fp32"}))
    ready = next(line for line in node.stdout if "waiting for" in line)
    assert "small.onnx (fcn_001) by openvino fp32 on cpu, as it was exported" in ready
    interrupt(node)
    rewrite(onnx_file, lambda values, _: about(values, version=2))
    node = start_node("segmenter", domain_id, *parameter_arguments({"weights": onnx_file}))
    assert "small.onnx: exported in version 2, this package reads 1" in finish(node)
    assert node.returncode == 1


def rewrite(path, change) -> None:
    model = onnx.load(path)
    values = {item.key: item.value for item in model.metadata_props}
    change(values, model)
    onnx.helper.set_model_props(model, values)
    onnx.save(model, path)


def about(values: dict, **changes) -> None:
    values[EXPORT_KEY] = json.dumps({**json.loads(values[EXPORT_KEY]), **changes})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda values, _: about(values, version=2), "exported in version 2, this package reads 1; export it again"),
        (lambda values, _: about(values, expected="AAAA"), "the metadata of its export cannot be read"),
        (lambda values, _: about(values, expected=7), "the metadata of its export cannot be read"),
        (lambda values, _: values.update({EXPORT_KEY: "{"}), "the metadata of its export cannot be read"),
        (lambda values, _: about(values, precision="int8"), "exported in 'int8', which this package does not read"),
        (lambda values, _: values.pop(CARD_KEY), "has no model card of fcn_follow"),
        (lambda values, _: values.update({CARD_KEY: "{}"}), "its model card cannot be read"),
        (
            lambda _, model: model.graph.initializer[5].external_data.add(key="location", value="/etc/passwd"),
            "refers to",
        ),
    ],
)
def test_files_that_are_refused(onnx_file, change, expected):
    rewrite(onnx_file, change)
    with pytest.raises(UserError, match=expected):
        load_model(onnx_file)


def test_a_file_whose_tensors_were_changed_does_not_fly(onnx_file):
    def change(_values, model):
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if tensor.name.endswith(".weight"):
                turned = np.ascontiguousarray(-array[::-1])
                tensor.CopyFrom(onnx.numpy_helper.from_array(turned, tensor.name))

    rewrite(onnx_file, change)
    with pytest.raises(UserError, match=r"no engine runs it; openvino fp32 on cpu: only \d+.* of its pixels"):
        choose_for(load_model(onnx_file), EngineRequest(precision="fp32"))


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_damaged_missing_and_foreign_files(small, tmp_path, suffix):
    path = tmp_path / f"small{suffix}"
    with pytest.raises(UserError, match="there is no such exported file"):
        load_model(path)
    export(small, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(UserError, match=r"truncated|without a model card"):
        load_model(path)


def test_an_export_of_older_weights_than_those_beside_it_is_reported(small, onnx_file):
    save_weights(onnx_file.with_suffix(".safetensors"), small.network, small.card)
    load_model(onnx_file)
    changed = dataclasses.replace(small.card, hero_confirm_probability=0.9)
    save_weights(onnx_file.with_suffix(".safetensors"), small.network, changed)
    with pytest.raises(UserError, match=r"exported from other weights than small\.safetensors beside it"):
        load_model(onnx_file)


def test_export_reports_what_is_wrong(tmp_path):
    for out, expected in (
        (tmp_path / "a.tflite", "it must be one of .onnx, .xml, .pt2"),
        (tmp_path / "b" / "c.onnx", "written"),
    ):
        (tmp_path / "b").write_text("a file in the way") if out.parent != tmp_path else None
        with pytest.raises(UserError, match=expected):
            export(load_weights(FCN_001), out)
