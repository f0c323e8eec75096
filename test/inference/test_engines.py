"""Engines against plain PyTorch, and how one is chosen: measured, kept, refused."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_weights import lived_in
from ros_tools import ROOT

from fcn_follow.errors import UserError
from fcn_follow.inference import choice as choosing
from fcn_follow.inference import engine as engines
from fcn_follow.inference.cache import cache_folder
from fcn_follow.inference.choice import EngineRequest, candidates, choose_engine
from fcn_follow.inference.engine import Answer, EngineSpec, Output, open_engine
from fcn_follow.inference.kinds import ENGINES
from fcn_follow.inference.verification import Verification, drawn_frames
from fcn_follow.lab.scoring.prefetch import map_in_order
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import LoadedWeights, ModelCard, load_weights
from fcn_follow.perception.labels import labels_of, labels_of_codes
from fcn_follow.perception.segmenter import Segmenter

SHIPPED = sorted(path.stem for path in (ROOT / "weights").glob("*.safetensors"))
QUICK = [("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"), ("torch", "bf16")]


@cache
def shipped(name: str) -> LoadedWeights:
    return load_weights(ROOT / "weights" / f"{name}.safetensors")


@cache
def verification_of(name: str) -> Verification:
    return Verification(shipped(name))


@pytest.fixture
def small(tmp_path, monkeypatch) -> LoadedWeights:
    """Random weights, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return LoadedWeights(lived_in(build_network("fcn_001")), ModelCard("fcn_001", 40, 56))


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_several_threads_at_once_get_what_one_gets(engine):
    weights = shipped("fcn_001")
    frames = [frame[None] for frame in verification_of("fcn_001").frames] * 3
    several = open_engine(EngineSpec(engine, streams=3), weights, Output.PROBABILITIES)
    one = open_engine(EngineSpec(engine), weights, Output.PROBABILITIES)
    for frame, got in zip(
        frames, map_in_order(lambda frame: several.run(frame).classes.copy(), frames, 3), strict=True
    ):
        np.testing.assert_allclose(got, one.run(frame).classes, atol=1e-6)


def kept_files() -> list:
    return sorted(cache_folder().glob("*"))


@pytest.mark.parametrize(
    ("name", "engine", "precision"),
    [(name, *how) for name in SHIPPED for how in QUICK if (name, how[1]) != ("segnet_separable", "bf16")],
)
def test_an_engine_gives_what_plain_pytorch_gives(name, engine, precision):
    weights = shipped(name)
    verification = verification_of(name)
    opened = open_engine(EngineSpec(engine, precision=precision), weights)
    assert verification.problem(opened) == ""
    assert opened.run(verification.frames[:1]).classes.dtype == np.uint8


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_segnet_in_bf16_is_refused_for_its_unpooling_goes_by_what_is_rounded(engine):
    opened = open_engine(EngineSpec(engine, precision="bf16"), shipped("segnet_separable"))
    assert "those of plain PyTorch" in verification_of("segnet_separable").problem(opened)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
@pytest.mark.parametrize("flip_average", [False, True])
def test_probabilities_and_codes_lead_to_the_same_labels(engine, flip_average):
    weights = shipped("hero_net")
    card = dataclasses.replace(weights.card, flip_average=flip_average, hero_confirm_probability=0.8)
    weights = LoadedWeights(weights.network, card)
    frames = drawn_frames(card.input_height_px, card.input_width_px)[:2]
    spec = EngineSpec(engine)
    probabilities = open_engine(spec, weights, Output.PROBABILITIES, batch=2).run(frames).classes.copy()
    codes = open_engine(spec, weights, batch=2).run(frames).classes
    assert probabilities.shape == (2, 3, card.input_height_px, card.input_width_px)
    for p, c in zip(probabilities, codes, strict=True):
        assert (labels_of(p.transpose(1, 2, 0), card) == labels_of_codes(c)).mean() > 0.9999
    with torch.inference_mode():
        x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        p = weights.network(x).softmax(1)
        if flip_average:
            p = (p + weights.network(x.flip(3)).softmax(1).flip(3)) / 2
    np.testing.assert_allclose(probabilities, p.numpy(), atol=1e-4)


def test_labels_of_codes_keep_only_blobs_with_a_sure_pixel():
    codes = np.array([[0, 2, 2, 0, 3, 1], [0, 0, 4, 0, 3, 0], [5, 0, 0, 0, 0, 1]], np.uint8)
    assert labels_of_codes(codes).tolist() == [[0, 2, 2, 0, 1, 1], [0, 0, 2, 0, 1, 0], [2, 0, 0, 0, 0, 1]]
    assert labels_of_codes(np.where(codes >= 4, 2, codes).astype(np.uint8)).max() == 1
    assert labels_of_codes(np.where(codes >= 2, 4, codes).astype(np.uint8)).tolist()[0] == [0, 2, 2, 0, 2, 1]


def test_auto_takes_the_fastest_and_the_second_start_measures_nothing(small, monkeypatch):
    reported: list[str] = []
    first = choose_engine(small, EngineRequest(), reported.append)
    assert "engines are measured" in reported[0]
    assert "the fastest of" in first.reason
    assert "measured now" in first.reason
    (path,) = kept_files()
    trials = json.loads(path.read_text())["trials"]
    times = {(t["spec"]["name"], t["spec"]["precision"]): t["frame_ms"] for t in trials if not t["problem"]}
    assert {("torch", "fp32"), ("openvino", "fp32"), ("onnxruntime", "fp32")} <= set(times)
    spec = first.engine.spec
    assert min(times, key=times.__getitem__) == (spec.name, spec.precision)

    monkeypatch.setattr(choosing, "try_all", lambda *_: pytest.fail("measured again"))
    reported.clear()
    second = choose_engine(small, EngineRequest(), reported.append)
    assert second.engine.spec == spec
    assert "as measured at the first start" in second.reason
    assert reported == []


def test_other_weights_another_size_or_question_are_measured_anew(small):
    request = EngineRequest("openvino", precision="fp32")
    choose_engine(small, request)
    choose_engine(small, request)
    assert len(kept_files()) == 1
    choose_engine(LoadedWeights(small.network, dataclasses.replace(small.card, input_width_px=64)), request)
    choose_engine(small, EngineRequest("openvino", precision="fp32", threads=2))
    with torch.no_grad():
        next(small.network.parameters()).add_(0.01)
    choose_engine(small, request)
    assert len(kept_files()) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[" * 50_000,
        lambda text: "null",
        lambda text: text.replace("openvino", "rm -rf"),
        lambda text: text.replace('"threads": 1', '"threads": "1"'),
        lambda text: text.replace('"frame_ms": ', '"frame_ms": NaN, "x": '),
        lambda text: text.replace('"key": "', '"key": "other '),
        lambda text: text + " " * 1_000_000,
    ],
)
def test_a_damaged_cache_is_rebuilt(small, damage):
    request = EngineRequest("openvino", precision="fp32")
    choose_engine(small, request)
    (path,) = kept_files()
    whole = path.read_text()
    path.write_text(damage(whole))
    chosen = choose_engine(small, request)
    assert chosen.engine.spec.name == "openvino"
    assert "measured now" in chosen.reason
    assert json.loads(path.read_text())["key"] == json.loads(whole)["key"]
    assert kept_files() == [path]


def test_a_cache_that_cannot_be_written_does_not_stop_the_start(small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert choose_engine(small, EngineRequest("openvino", precision="fp32")).engine.spec.name == "openvino"


@pytest.mark.parametrize("request_", [EngineRequest("openvino"), EngineRequest()])
def test_an_engine_whose_output_differs_is_refused_and_plain_pytorch_runs(small, monkeypatch, request_):
    from fcn_follow.inference import onnxruntime_engine, openvino_engine

    for module, name in ((openvino_engine, "OpenVinoEngine"), (onnxruntime_engine, "OnnxRuntimeEngine")):
        right = getattr(module, name).run
        monkeypatch.setattr(
            getattr(module, name), "run", lambda self, images, right=right: Answer(right(self, images).classes ^ 1)
        )
    for again in (False, True):
        reported: list[str] = []
        chosen = choose_engine(small, request_, reported.append)
        assert chosen.engine.spec.name == "torch"
        refusals = [line for line in reported if "openvino fp32 on cpu is not used: only" in line]
        assert len(refusals) == (0 if again and request_.engine == "auto" else 1), reported


def test_an_engine_that_breaks_is_tried_again_at_the_next_start(small, monkeypatch):
    from fcn_follow.inference import openvino_engine

    with monkeypatch.context() as patch:
        patch.setattr(openvino_engine.OpenVinoEngine, "run", lambda *_: {}["what nobody foresaw"])
        reported: list[str] = []
        assert choose_engine(small, EngineRequest("openvino"), reported.append).engine.spec.name == "torch"
        assert any("openvino fp32 on cpu is not used: KeyError" in line for line in reported)
    assert choose_engine(small, EngineRequest("openvino")).engine.spec.name == "openvino"


def test_requests_that_cannot_be_met(monkeypatch):
    with pytest.raises(UserError, match="engine 'openvin' is not known; it must be one of auto, torch, torch-compiled"):
        candidates(EngineRequest("openvin"))
    with pytest.raises(UserError, match="precision 'int4' is not known"):
        candidates(EngineRequest(precision="int4"))
    with pytest.raises(UserError, match="precision fp16 needs a CUDA device"):
        candidates(EngineRequest(device="cpu", precision="fp16"))
    with pytest.raises(UserError, match="engine onnxruntime cannot compute in bf16 on cpu"):
        candidates(EngineRequest("onnxruntime", "cpu", "bf16"))
    monkeypatch.setattr(
        engines.importlib.util,
        "find_spec",
        lambda name, real=importlib.util.find_spec: None if name == "openvino" else real(name),
    )
    with pytest.raises(UserError, match="engine openvino is not installed; install it with: pip install onnx op"):
        candidates(EngineRequest("openvino"))
    assert "openvino" not in {spec.name for spec in candidates(EngineRequest(device="cpu"))}


def test_more_threads_than_cores_are_reported(small):
    reported: list[str] = []
    choose_engine(small, EngineRequest("openvino", precision="fp32", threads=64), reported.append)
    assert any("64 threads are more than the" in line for line in reported)


def test_engines_that_need_a_gpu_say_so(small):
    for name in ENGINES:
        if name == "openvino":
            with pytest.raises(UserError, match="computes on the CPU"):
                open_engine(EngineSpec(name, "cuda"), small)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="finds no CUDA GPU here"):
            candidates(EngineRequest("torch-compiled", "cuda"))
        with pytest.raises(UserError, match="engine tensorrt"):
            candidates(EngineRequest("tensorrt"))


def test_tensorrt_keeps_its_engine_in_a_folder_of_this_model_and_these_versions(small, monkeypatch):
    from fcn_follow.inference import onnxruntime_engine

    def options(model=b"a model", precision="fp16", tensorrt="10.9"):
        monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__=tensorrt))
        engine = object.__new__(onnxruntime_engine.TensorRtEngine)  # opening it takes a GPU
        provider, given = engine._provider(EngineSpec("tensorrt", "cuda", precision), model)
        assert provider == "TensorrtExecutionProvider"
        return given

    folder = Path(options()["trt_engine_cache_path"])
    assert options() == {
        "trt_fp16_enable": True, "trt_cuda_graph_enable": True,
        "trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder),
    }  # fmt: skip
    assert folder.is_dir()
    assert folder.parent == cache_folder().with_name("tensorrt")
    others = [options(b"another"), options(tensorrt="10.10")]
    monkeypatch.setattr(onnxruntime_engine.onnxruntime, "__version__", "2.0")
    others.append(options())
    assert len({str(folder), *(other["trt_engine_cache_path"] for other in others)}) == 4
    folder.parent.rename(folder.parent.with_name("gone"))
    folder.parent.write_text("in the way")
    assert set(options()) == {"trt_fp16_enable", "trt_cuda_graph_enable"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_compiled_graph_gives_what_plain_pytorch_gives(small):
    opened = open_engine(EngineSpec("torch-compiled"), small)
    assert Verification(small).problem(opened) == ""


def test_the_graph_without_torch_compile_gives_what_plain_pytorch_gives(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    weights = shipped("fcn_001")
    assert Verification(weights).problem(open_engine(EngineSpec("torch-compiled"), weights)) == ""


def test_a_missing_compiler_is_reported(small, monkeypatch):
    def no_compiler(*_: object) -> None:
        raise RuntimeError("no C++ compiler was found")

    monkeypatch.setattr(torch, "compile", lambda module, **_: no_compiler)
    with pytest.raises(UserError, match=r"torch.compile does not work here \(RuntimeError: no C\+\+ compiler"):
        open_engine(EngineSpec("torch-compiled"), small)


@pytest.mark.parametrize("name", ["torch", "torch-compiled"])
def test_fp32_is_not_rounded_to_tf32(small, monkeypatch, name):
    """On a GPU convolutions of TF32 differ so much from the CPU's that the verification refused them."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    open_engine(EngineSpec(name, precision="fp32"), small)
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    ("name", "precision"),
    [("torch", "fp32"), ("torch", "fp16"), ("torch-compiled", "fp32"), ("torch-compiled", "fp16")],
)
def test_engines_on_a_gpu_give_what_plain_pytorch_gives(name, precision):
    weights = shipped("fcn_000")
    verification = Verification(weights)
    assert verification.problem(open_engine(EngineSpec(name, "cuda", precision), weights)) == ""


def test_the_segmenter_runs_on_any_engine():
    weights = shipped("hero_net")
    (frame, *_) = drawn_frames(240, 320)
    expected = Segmenter(weights, open_engine(EngineSpec(), weights)).segment(frame)
    found = Segmenter(weights, open_engine(EngineSpec("openvino"), weights)).segment(frame)
    assert found.shape == (240, 320)
    assert (found == expected).mean() > 0.9999
    assert expected.any()
