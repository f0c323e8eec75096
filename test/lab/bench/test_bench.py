"""`fcn-follow bench`: engines, the live chain over DDS, scoring, and the page of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from command_line import fcn_follow, figures, process
from frame_folders import write_frames
from ros_tools import ROOT

from fcn_follow.errors import UserError
from fcn_follow.lab.bench.hardware_limits import HardwareLimit, best_s, measure_limit
from fcn_follow.lab.bench.performance_page import write_section
from fcn_follow.lab.export import export
from fcn_follow.networks.weights import load_weights

HERO_NET = str(ROOT / "weights" / "hero_net.safetensors")
FCN_001 = str(ROOT / "weights" / "fcn_001.safetensors")


def test_engines_are_measured_against_plain_pytorch_in_one_run():
    result = figures("bench", "engines", "--weights", FCN_001, "--size", "64", "--rounds", "10", "--batch", "1,3")
    rows = {(r["engine"], r["precision"], r["batch"]): r for r in result["engines"]}
    assert {("torch", "fp32", 1), ("openvino", "fp32", 1), ("onnxruntime", "fp32", 3), ("openvino", "bf16", 3)} <= set(
        rows
    )
    for row in rows.values():
        base = rows["torch", "fp32", row["batch"]]
        assert not row["problem"]
        assert (row["height_px"], row["width_px"], row["threads"]) == (64, 64, 1)
        assert 0 < row["best_ms"] <= row["median_ms"] <= row["p99_ms"]
        assert row["times_faster"] == pytest.approx(base["best_ms"] / row["best_ms"])
        assert row["frames_per_s"] == pytest.approx(1e3 * row["batch"] / row["best_ms"])
        assert row["share_of_limit"] > 0
    assert {(limit["precision"], limit["threads"]) for limit in result["limits"]} == {("fp32", 1), ("bf16", 1)}
    assert result["versions"]["openvino"] != "-"


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


def test_the_live_chain_from_image_to_command_and_the_page_of_it(tmp_path):
    exported = str(tmp_path / "hero_net.onnx")
    export(load_weights(Path(HERO_NET)), Path(exported))
    command = ["bench", "chain", "--weights", exported, "--sizes", "320x240", "--rates", "10", "--seconds", "3"]
    done = process(*command, "--endurance", "4", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    row, longer = result["chain"]
    assert (longer["rate_hz"], longer["seconds"], longer["sent"]) == (10.0, 4.0, 40)
    assert min(longer["age_begin_ms"], longer["age_end_ms"]) > 0
    assert (row["width_px"], row["height_px"], row["rate_hz"], row["sent"]) == (320, 240, 10.0, 30)
    assert 0 < row["commanded"] <= 30
    assert row["masks"] > 0
    assert 0 < row["perception_median_ms"] < row["age_median_ms"] <= row["age_p99_ms"] <= row["age_max_ms"]
    assert 0 < row["cores"] < 16
    theirs = row["ros2_benchmark"]
    assert theirs["BasicPerformanceMetrics.NUM_MISSED_FRAMES"] == 30 - row["commanded"]
    assert theirs["BasicPerformanceMetrics.MEAN_LATENCY"] == row["age_mean_ms"]

    quick = figures("bench", "engines", "--weights", FCN_001, "--size", "32", "--rounds", "5", "--engines", "openvino")
    page = tmp_path / "docs" / "performance.md"
    page.parent.mkdir()
    page.write_text(
        "# Speed\n<!-- measured: engines -->\nold\n<!-- end -->\n<!-- measured: chain -->\n<!-- end -->\nend\n"
    )
    plots = [
        *write_section(page, "engines", quick, "fcn-follow bench engines --rounds 3")[1:],
        *write_section(page, "chain", result, "fcn-follow bench chain")[1:],
    ]
    text = page.read_text()
    assert "`fcn-follow bench engines --rounds 3` on" in text
    assert "| fcn_001 | openvino | bf16 | 32x32 | 1 | 1 |" in text
    assert f"| 320x240 | 10 | 3 | 30 | {row['commanded']} | {row['age_median_ms']:.1f} |" in text
    assert result["machine"] in text
    assert text.startswith("# Speed\n") and text.endswith("<!-- end -->\nend\n") and "old" not in text
    assert len(plots) == 2
    for plot in plots:
        assert f"images/performance/{plot.name}" in text
        assert cv2.imread(str(plot)).std() > 5


def test_a_page_without_the_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- measured: chain -->\n")
    for path, expected in (
        (page, "has no part between '<!-- measured: chain -->' and"),
        (tmp_path / "no.md", "cannot be"),
    ):
        with pytest.raises(UserError, match=expected):
            write_section(path, "chain", {}, "")


def test_the_page_of_the_project_has_a_part_for_each_measurement():
    page = (ROOT / "docs" / "performance.md").read_text()
    parts = page.split("<!-- measured: ")[1:]
    assert [part.partition(" ")[0] for part in parts] == ["engines", "chain", "scoring"]
    assert all("<!-- end -->" in part for part in parts)


def test_scoring(tmp_path):
    (result,) = figures("bench", "scoring", write_frames(tmp_path / "frames", 6), "--weights", FCN_001)["scoring"]
    assert (result["network"], result["frames"]) == ("fcn_001", 6)
    assert result["engines"][0]["engine"] == "torch fp32"
    for row in result["engines"]:
        limit_hz = 1 / (1 / result["decoding_hz"] + 1 / row["network_hz"])
        assert row["share_of_limit"] == pytest.approx(row["scoring_hz"] / limit_hz)
        assert row["share_of_decoding"] == pytest.approx(row["scoring_hz"] / result["decoding_hz"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["engines", "--engines", "openvine"], "engine 'openvine' is not known; allowed is auto, torch"),
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
