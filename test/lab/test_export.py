"""`fcn-follow export`: what it writes is read again, flown and scored; what is not what it says is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from frame_folders import write_frames
from made_weights import lived_in
from ros_tools import ROOT, finish, interrupt, parameter_arguments, start_node

from fcn_follow.cli.export import export_network
from fcn_follow.errors import UserError
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import Output, deployed_graph
from fcn_follow.inference.exported import EXPORT_KEY, choose_for, load_model
from fcn_follow.inference.verification import Verification, answers_of
from fcn_follow.lab.export import export
from fcn_follow.lab.quantisation import nodes_for_int8, quantised
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import CARD_KEY, LoadedWeights, ModelCard, load_weights, save_weights
from fcn_follow.perception.segmenter import Segmenter

FCN_000, FCN_001, HERO_NET = (ROOT / "weights" / f"{name}.safetensors" for name in ("fcn_000", "fcn_001", "hero_net"))


def fcn_follow(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fcn_follow", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)


@pytest.fixture(scope="module")
def small() -> LoadedWeights:
    torch.manual_seed(1)
    return LoadedWeights(lived_in(build_network("fcn_001")), ModelCard("fcn_001", 40, 56, data="drawn by a test"))


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
    with pytest.raises(UserError, match=r"PyTorch unpickles it.*; take the weights, or an export to \.onnx or \.xml"):
        load_model(path)


def test_score_takes_an_exported_file(tmp_path):
    frames = str(write_frames(tmp_path / "frames", 6))
    done = fcn_follow("export", str(tmp_path / "fcn_001.onnx"), "--weights", str(FCN_001))
    assert done.returncode == 0, done.stderr
    of_weights, of_export = (
        json.loads(fcn_follow("score", "--data", frames, "--weights", str(path), "--json").stdout)
        for path in (FCN_001, tmp_path / "fcn_001.onnx")
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
    ("change", "told"),
    [
        (lambda values, _: about(values, version=2), "exported in version 2, this package reads 1; export it again"),
        (lambda values, _: about(values, expected="AAAA"), "what it says of its export cannot be read"),
        (lambda values, _: about(values, expected=7), "what it says of its export cannot be read"),
        (lambda values, _: values.update({EXPORT_KEY: "{"}), "what it says of its export cannot be read"),
        (lambda values, _: about(values, precision="int4"), "exported in 'int4', which this package does not read"),
        (lambda values, _: values.pop(CARD_KEY), "without a model card of fcn_follow"),
        (lambda values, _: values.update({CARD_KEY: "{}"}), "its model card cannot be read"),
        (
            lambda _, model: model.graph.initializer[5].external_data.add(key="location", value="/etc/passwd"),
            "refers to",
        ),
    ],
)
def test_files_that_are_refused(onnx_file, change, told):
    rewrite(onnx_file, change)
    with pytest.raises(UserError, match=told):
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


def test_an_export_of_older_weights_than_those_beside_it_is_told(small, onnx_file):
    save_weights(onnx_file.with_suffix(".safetensors"), small.network, small.card)
    load_model(onnx_file)
    changed = dataclasses.replace(small.card, hero_confirm_probability=0.9)
    save_weights(onnx_file.with_suffix(".safetensors"), small.network, changed)
    with pytest.raises(UserError, match=r"exported from other weights than small\.safetensors beside it"):
        load_model(onnx_file)


@pytest.fixture(scope="module")
def run_frames(tmp_path_factory):
    """Two runs of drawn frames and a split file that holds out the second, as the arguments of --data and --split."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, run in ((1, "1_run1"), (2, "2_run1")):
        write_frames(folder / run, 9, seed=seed, run=run, size=96, hero_heights=(0, 16, 40))
    (folder / "split.yaml").write_text("held_out_runs: [2_run1]")
    return ["--data", str(folder / "1_run1"), "--data", str(folder / "2_run1"), "--split", str(folder / "split.yaml")]


@pytest.fixture(scope="module")
def int8_file(run_frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "fcn_000.onnx"
    done = fcn_follow("export", str(path), "--int8", "--weights", str(FCN_000), *run_frames)
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_an_int8_file_is_judged_on_the_held_out_run_and_scores_what_was_said(int8_file, run_frames):
    path, told = int8_file
    assert "fcn_000 on 9 held-out frames, by openvino" in told
    scores = dict(re.findall(r"(fp32|int8) │ (0\.\d{4})", told))
    for weights, precision in ((FCN_000, "fp32"), (path, "int8")):
        done = fcn_follow("score", *run_frames, "--weights", str(weights), "--engine", "openvino", "--json")
        assert json.loads(done.stdout)["final_score"] == pytest.approx(float(scores[precision]), abs=6e-5)
    assert float(scores["int8"]) >= float(scores["fp32"]) - 0.005
    assert load_model(path).card.scores["final_score"] == pytest.approx(float(scores["int8"]), abs=6e-5)


def test_int8_layers_are_int8_and_both_engines_give_what_they_should(int8_file):
    path, _ = int8_file
    graph = onnx.load(path).graph
    int8 = {
        tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8 and tensor.dims[1:]
    }
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    assert {name.split(".")[0] for name in int8} == set(convolutions) - {
        "encoders_0_0_depthwise",
        "last_upsample",
        "head.four",
    }
    assert path.stat().st_size < 0.4 * FCN_000.stat().st_size
    model, verification = load_model(path), Verification(load_weights(FCN_000))
    for engine in ("openvino", "onnxruntime"):
        chosen = choose_for(model, EngineRequest(engine, precision="fp32"))
        assert chosen.reason == f"{engine} fp32 on cpu, as it was exported, in int8"
        given = answers_of(chosen.engine, verification.frames).classes
        assert (given == verification.expected).mean() > 0.97
        assert (given != verification.expected).any()


def test_the_gates_of_squeeze_excite_stay_float():
    graph = deployed_graph(load_weights(HERO_NET), Output.CODES)
    chosen = nodes_for_int8(graph)
    assert {"encoders_0_0_depthwise", "encoders_0_0_relu", "decoders_3_2_pointwise"} < set(chosen)
    assert not {"stem_0", "head", "encoders_2_3_gate_1", "encoders_2_3_gate_2", "encoders_2_3_gate_3"} & set(chosen)


def test_int8_that_loses_score_is_refused_with_both_figures_and_leaves_what_was_there(run_frames, tmp_path):
    flat = write_frames(tmp_path / "flat", 6, run="1_run1")  # ranges of a grey frame, which the others overflow
    for image in (flat / "images").iterdir():
        cv2.imwrite(str(image), np.full((96, 96, 3), 128, np.uint8))
    (tmp_path / "a.onnx").write_text("of before")
    done = fcn_follow(
        "export", str(tmp_path / "a.onnx"), "--int8", "--weights", str(FCN_000), "--data", str(flat), *run_frames[2:]
    )
    assert done.returncode == 1
    assert "not written; the score falls from" in done.stderr
    assert (tmp_path / "a.onnx").read_text() == "of before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.onnx"]


def test_an_int8_file_whose_scales_were_changed_does_not_fly(int8_file, tmp_path):
    model = onnx.load(int8_file[0])
    for tensor in model.graph.initializer:
        if tensor.name.endswith("weight_scale"):
            turned = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor)[::-1])
            tensor.CopyFrom(onnx.numpy_helper.from_array(turned, tensor.name))
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(UserError, match="no engine runs it; openvino fp32 on cpu: "):
        choose_for(load_model(tmp_path / "a.onnx"), EngineRequest(precision="fp32"))


@pytest.mark.parametrize(
    ("out", "int8", "data", "told"),
    [
        ("a.xml", True, [ROOT], "with --int8 the file is an .onnx"),
        ("a.onnx", True, None, "--int8 needs frames with masks"),
        ("a.onnx", False, [ROOT], "--data and --split are for --int8"),
    ],
)
def test_int8_tells_what_is_wrong(out, int8, data, told):
    with pytest.raises(UserError, match=told):
        export_network(Path(out), int8=int8, data=data)


def test_int8_is_not_judged_by_frames_that_show_no_hero(run_frames, tmp_path):
    empty = write_frames(tmp_path / "empty", 4, run="2_run1", hero_heights=(0,))
    with pytest.raises(UserError, match="the score is 0 in fp32 already, so that nothing is judged"):
        export_network(
            tmp_path / "a.onnx", FCN_000, int8=True, data=[Path(run_frames[1]), empty], split=Path(run_frames[-1])
        )
    assert not (tmp_path / "a.onnx").exists()


def test_int8_wants_runs_to_calibrate_with_and_runs_to_be_judged_by(tmp_path):
    frames = write_frames(tmp_path / "frames", 3, run="1_run1")
    for held_out, told in (
        ("1_run1", "none is left to calibrate"),
        ("2_run1", "none of the frames is of the held-out"),
    ):
        (tmp_path / "split.yaml").write_text(f"held_out_runs: [{held_out}]")
        with pytest.raises(UserError, match=told):
            export_network(tmp_path / "a.onnx", int8=True, data=[frames], split=tmp_path / "split.yaml")


def test_a_network_with_a_depth_head_stays_float():
    with pytest.raises(UserError, match="has a depth head and stays float"):
        quantised(load_weights(ROOT / "weights" / "mask_depth_separable.safetensors"), [])


def test_export_tells_what_is_wrong(tmp_path):
    for out, told in ((tmp_path / "a.tflite", "allowed is .onnx, .xml, .pt2"), (tmp_path / "b" / "c.onnx", "written")):
        (tmp_path / "b").write_text("a file in the way") if out.parent != tmp_path else None
        with pytest.raises(UserError, match=told):
            export(load_weights(FCN_001), out)
