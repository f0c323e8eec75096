"""`fcn-follow bench`: engines, the live chain over DDS, scoring, and the page of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import pytest
import torch
from command_line import fcn_follow, figures, invoke, process
from frame_folders import write_frames
from ros_tools import ROOT

from fcn_follow.cli import bench as cli_bench
from fcn_follow.errors import UserError
from fcn_follow.inference.engine import EngineSpec
from fcn_follow.inference.verification import Verification
from fcn_follow.lab.bench import engines as bench_engines
from fcn_follow.lab.bench import performance_page
from fcn_follow.lab.bench.engines import Speed
from fcn_follow.lab.bench.hardware_limits import HardwareLimit, best_s, measure_limit
from fcn_follow.lab.bench.performance_page import page_text
from fcn_follow.lab.export import export
from fcn_follow.networks.weights import load_weights

HERO_NET = str(ROOT / "weights" / "hero_net.safetensors")
FCN_001 = str(ROOT / "weights" / "fcn_001.safetensors")


def measured(options: str) -> dict:
    """What `bench engines` prints for fcn_001."""
    return figures("bench", "engines", "--weights", FCN_001, *options.split())


def test_engines_are_measured_against_plain_pytorch_in_one_run():
    result = measured("--size 64 --rounds 10 --batch 3")
    assert result["command"].startswith("fcn-follow bench engines --weights fcn_001.safetensors --size 64")
    rows = {(r["engine"], r["precision"], r["batch"]): r for r in result["engines"]}
    assert {("torch", "fp32", 3), ("onnxruntime", "fp32", 3), ("openvino", "bf16", 3)} <= rows.keys()
    more = measured("--size 64 --rounds 5 --batch 1,3 --precision fp32 --engines openvino")
    batches = {(r["engine"], r["batch"]): r for r in more["engines"]}
    assert batches.keys() == {("torch", 1), ("torch", 3), ("openvino", 1), ("openvino", 3)}
    for engine, batch in batches:
        found, base = batches[engine, batch], batches["torch", batch]
        assert found["times_faster"] == pytest.approx(base["best_ms"] / found["best_ms"])
    for row in rows.values():
        base = rows["torch", "fp32", row["batch"]]
        assert not row["problem"]
        assert (row["height_px"], row["width_px"], row["threads"]) == (64, 64, 1)
        assert 0 < row["best_ms"] <= row["median_ms"] <= row["p99_ms"]
        assert row["times_faster"] == pytest.approx(base["best_ms"] / row["best_ms"])
        assert row["frames_per_s"] == pytest.approx(1e3 * row["batch"] / row["best_ms"])
        assert row["share_of_limit"] > 0
    assert {engine for engine, _, _ in rows} == {
        "torch", "torch.onnx", "openvino.convert_model", "onnxruntime", "openvino"
    }  # fmt: skip
    assert {row["engine"] for row in rows.values() if row["ours"]} == {"onnxruntime", "openvino"}
    assert {(limit["precision"], limit["threads"]) for limit in result["limits"]} == {("fp32", 1), ("bf16", 1)}
    assert result["versions"]["openvino"] != "-"


@pytest.mark.slow
def test_torch_compile_of_the_plain_network_is_measured_too():
    (_, row) = measured("--size 64 --precision fp32 --rounds 5 --engines torch.compile")["engines"]
    assert (row["engine"], row["ours"], row["problem"]) == ("torch.compile", False, "")
    assert row["best_ms"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_is_measured():
    rows = measured("--device cuda --rounds 5 --precision fp16 --engines torch-compiled")["engines"]
    assert [(row["engine"], row["problem"]) for row in rows] == [("torch", ""), ("torch-compiled", "")]


def test_a_contender_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setattr(bench_engines, "missing_for", lambda name: "pip install it" if name == "onnxruntime" else "")
    rows = measured("--size 32 --rounds 5 --engines torch.onnx,openvino")["engines"]
    assert {row["engine"]: row["problem"] for row in rows if row["precision"] == "fp32"} == {
        "torch": "", "torch.onnx": "not installed: pip install it", "openvino": ""
    }  # fmt: skip


def test_a_reference_that_a_device_computes_otherwise_is_reported_and_the_others_measured(monkeypatch):
    """An H100 did so: plain PyTorch there was not what the CPU gives."""
    sound = Verification.problem

    def problem(self, engine):
        return "is off" if engine.spec == EngineSpec() else sound(self, engine)

    monkeypatch.setattr(Verification, "problem", problem)
    rows = measured("--size 32 --rounds 5 --engines openvino")["engines"]
    by_engine = {row["engine"]: row for row in rows if row["precision"] == "fp32"}
    assert by_engine["torch"]["problem"] == "is off"
    assert by_engine["openvino"]["best_ms"] > 0
    assert by_engine["openvino"]["times_faster"] == 0.0


def test_the_shortest_time_is_that_of_the_slower_of_arithmetic_and_memory():
    limit = HardwareLimit("cpu", "fp32", 1, gflop_s=100.0, memory_gb_s=10.0)
    assert limit.shortest_ms(macs=50_000_000, moved_bytes=10) == pytest.approx(1.0)
    assert limit.shortest_ms(macs=10, moved_bytes=20_000_000) == pytest.approx(2.0)
    measured = measure_limit("cpu", "fp32", 1)
    assert measured.gflop_s > 1
    assert measured.memory_gb_s > 0.1


def test_the_best_of_few_times_is_not_below_them():
    assert best_s([3.0, 1.0, 2.0]) >= 1.0
    assert best_s([5.0] * 99 + [1.0]) == 5.0  # one lucky time is not what the machine does


def test_the_live_chain_from_image_to_command(tmp_path):
    exported = str(tmp_path / "hero_net.onnx")
    export(load_weights(Path(HERO_NET)), Path(exported))
    command = ["bench", "chain", "--weights", exported, "--sizes", "320x240", "--rates", "10", "--seconds", "3"]
    done = process(*command, "--endurance", "4", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    row, longer = result["chain"]
    (steps,) = result["steps"]
    assert (steps["width_px"], steps["height_px"]) == (320, 240)
    assert 0 < steps["steps_ms"]["inference"] < steps["steps_ms"]["all from pixels to positions"]
    assert (longer["rate_hz"], longer["seconds"], longer["sent"]) == (10.0, 4.0, 40)
    assert min(longer["age_begin_ms"], longer["age_end_ms"]) > 0
    assert (row["width_px"], row["height_px"], row["rate_hz"], row["sent"]) == (320, 240, 10.0, 30)
    assert 0 < row["commanded"] <= 30
    assert row["masks"] > 0
    assert 0 < row["inference_median_ms"] < row["perception_median_ms"]  # over other seconds than the ages
    assert 0 < row["age_median_ms"] <= row["age_p99_ms"] <= row["age_max_ms"]
    assert 0 < row["cores"] < 16


def a_speed(network: str, engine: str, ours: bool, best_ms: float, problem: str = "") -> dict:
    """A row as `bench engines --json` prints it."""
    row = Speed(network, engine, ours, "bf16", "cpu", 1, 1, 160, 160, problem=problem)
    if not problem:
        row = replace(row, best_ms=best_ms, median_ms=1.25 * best_ms, p99_ms=2 * best_ms, times_faster=30 / best_ms)
    return asdict(row)


ABOUT = {
    "command": "fcn-follow bench something",
    "machine": "a machine",
    "versions": {"torch": "9.8", "openvino": "-"},
    "load_average": 0.25,
}
LIMITS = [asdict(HardwareLimit("cpu", "bf16", 1, 521.0, 41.3))]
ENGINES = ABOUT | {
    "limits": LIMITS,
    "engines": [
        a_speed("fcn_001", "torch", False, 30.0),
        a_speed("fcn_001", "openvino.convert_model", False, 9.0),
        a_speed("fcn_001", "openvino", True, 4.0),
        a_speed("hero_net", "torch", False, 30.0),
        a_speed("hero_net", "openvino.convert_model", False, 2.0, "does not take it"),
        a_speed("hero_net", "onnxruntime", True, 25.0),
        a_speed("hero_net", "openvino", True, 1.0, "differs"),
    ],
}


def test_the_page_sets_ours_beside_the_best_of_the_others_and_says_where_it_is_less(tmp_path):
    folder = tmp_path / "performance"
    folder.mkdir()
    (folder / "engines.json").write_text(json.dumps(ENGINES))
    text = page_text(folder)
    assert "`fcn-follow bench something` on a machine; torch 9.8. Load average at the end: 0.2." in text
    assert (
        "| fcn_001, 160x160 | openvino.convert_model bf16 | 11.2 | 18.0 | openvino bf16 | 5.0 | 8.0 | 2.25 times |"
        in text
    )
    assert "| hero_net, 160x160 | torch bf16 | 37.5 | 60.0 | onnxruntime bf16 | 31.2 | 50.0 | 1.20 times |" in text
    assert "It is reached by fcn_001 (2.25). **It is not reached by hero_net (1.20).**" in text
    assert "| **openvino** | bf16 | 1 | 1 | differs |" in text
    assert "- limit of cpu in bf16 on 1 thread(s): 521 GFLOP/s, memory 41.3 GB/s" in text


def test_the_page_says_what_was_not_measured_and_shows_every_gpu(tmp_path):
    assert page_text(tmp_path).count("\nNot measured.\n") == 3
    assert "no GPU was available" in page_text(tmp_path)
    for name in ("gpu", "gpu-compiled"):
        (tmp_path / f"{name}.json").write_text(json.dumps(ENGINES | {"machine": f"the card of {name}"}))
    text = page_text(tmp_path)
    assert "on the card of gpu;" in text and "on the card of gpu-compiled;" in text
    assert "no GPU was available" not in text
    assert "TensorRT, with a cache of its engines in" in text and "was not measured" in text


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", json.dumps(ABOUT | {"engines": [{"network": "a"}], "limits": []})]
)
def test_figures_that_cannot_be_read_are_refused(tmp_path, content):
    (tmp_path / "engines.json").write_text(content)
    with pytest.raises(UserError, match=str(tmp_path)):
        page_text(tmp_path)


def test_the_page_of_the_project_is_what_its_figures_give():
    assert (ROOT / "docs" / "performance.md").read_text() == page_text(ROOT / "docs" / "performance")


def test_the_page_is_measured_and_written_whole_with_its_plots(tmp_path, monkeypatch):
    quick = f"engines --weights {FCN_001} --size 32 --rounds 5 --engines openvino"
    monkeypatch.setattr(
        performance_page, "MEASUREMENTS", {"engines": quick, "scoring": f"scoring FRAMES --weights {FCN_001}"}
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = tmp_path / "docs" / "performance.md"
    page.parent.mkdir()
    page.write_text("what was there")
    frames = write_frames(tmp_path / "frames", 6)
    invoke("bench", "page", "--frames", frames, "--to", page)
    text = page.read_text()
    assert "what was there" not in text
    assert "| fcn_001 | 32x32 | **openvino** | bf16 | 1 | 1 |" in text
    assert "`fcn-follow bench scoring frames --weights fcn_001.safetensors --json` on" in text
    assert str(tmp_path) not in text
    plot = page.parent / "images" / "performance" / "engines.png"
    assert cv2.imread(str(plot)).std() > 5
    written = page.stat().st_mtime_ns
    invoke("bench", "page", "--to", page)  # renders what is there
    assert page.read_text() == text
    assert page.stat().st_mtime_ns > written


def test_a_measurement_that_fails_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(performance_page, "MEASUREMENTS", {"engines": "engines --nothing"})
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = fcn_follow("bench", "page", "--frames", tmp_path / "nowhere", "--to", tmp_path / "page.md")
    assert done.returncode == 1
    assert "fcn-follow bench engines --nothing: " in " ".join(done.stderr.split())


def test_scoring(tmp_path):
    (result,) = figures("bench", "scoring", write_frames(tmp_path / "frames", 6), "--weights", FCN_001)["scoring"]
    assert (result["network"], result["frames"]) == ("fcn_001", 6)
    assert result["engines"][0]["engine"] == "torch fp32"
    for row in result["engines"]:
        limit_hz = 1 / (1 / result["decoding_hz"] + 1 / result["judging_hz"] + 1 / row["network_hz"])
        assert row["share_of_limit"] == pytest.approx(row["scoring_hz"] / limit_hz)
        assert row["share_of_decoding"] == pytest.approx(row["scoring_hz"] / result["decoding_hz"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["engines", "--engines", "openvine"],
            "engine 'openvine' is not known on cpu; it must be one of torch, torch.compile",
        ),
        (["engines", "--precision", "fp8"], "--precision fp8: it must be one of fp32, bf16, fp16"),
        (["engines", "--threads", "two"], "--threads two: give whole numbers from 1 on"),
        (["engines", "--batch", "0"], "--batch 0: give whole numbers from 1 on"),
        (["chain", "--sizes", "640"], "--sizes 640: give WIDTHxHEIGHT"),
        (["engines", "--weights", "nowhere.safetensors"], "nowhere.safetensors: there is no such weights file"),
        (["chain", "--weights", "nowhere.safetensors"], "there is no such weights file"),
    ],
)
def test_bench_reports_what_is_wrong(arguments, expected):
    done = fcn_follow("bench", *arguments)
    assert done.returncode == 1
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_results_puts_all_weights_in_one_table():
    done = process("results", "--markdown", "--rounds", 5, "--weights", FCN_001, "--weights", HERO_NET)
    assert done.returncode == 0, done.stderr
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
    table = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert table["fcn_001"]["parameters"] == "95,961" and table["fcn_001"]["MMACs"] == "296"
    card = load_weights(Path(HERO_NET)).card
    assert float(table["hero_net"]["score"]) == pytest.approx(card.scores["final_score"], abs=1e-4)
    assert table["hero_net"]["31-100 px"] == f"{100 * card.scores['recall_31-100_px']:.1f} %"
    assert float(table["hero_net"]["torch fp32 ms"]) > 0.0


def test_the_command_beside_the_figures_names_no_folder_of_this_machine(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fcn-follow", "bench", "scoring", "../data/a.zip", "/data/b.zip", "c.zip"])
    cli_bench._finish({}, as_json=True)
    assert json.loads(capsys.readouterr().out)["command"] == "fcn-follow bench scoring a.zip b.zip c.zip"
