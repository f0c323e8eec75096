"""The Follow-Me score against counts made by hand, and `fcn-follow score`."""

import csv
import dataclasses
import json
import threading
import zipfile

import cv2
import numpy as np
import pytest
from command_line import fcn_follow
from frame_folders import draw_frame, write_frames

from fcn_follow.lab.scoring.calibration import LEVELS, best_level, calibration_curve, chosen_level, judge_at_levels
from fcn_follow.lab.scoring.detection import detection_figures, examine_frame
from fcn_follow.lab.scoring.evaluation import LabelledFrame, judge, judge_labels, kind_of_mask, summarise
from fcn_follow.lab.scoring.follow_me import (
    FrameScore,
    Kind,
    follow_me_score,
    prediction_mask,
    score_frame,
    score_interval,
)
from fcn_follow.lab.scoring.prefetch import map_in_order
from fcn_follow.lab.scoring.score_report import hero_words
from fcn_follow.lab.scoring.tables import FOLDER_NOTE, SIZES_NOTE, folder_rows
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import ModelCard, save_weights


def mask(size, label_at):
    labels = np.zeros((size, size), np.uint8)
    for label, rows, columns in label_at:
        labels[rows, columns] = label
    return np.stack([labels == i for i in range(3)], axis=2).astype(np.uint8)


def test_probability_128_of_255_is_the_threshold_and_classes_stand_alone():
    p = np.array([[[127.9 / 255, 128.0 / 255, 0.6]]])
    assert prediction_mask(p).tolist() == [[[False, True, True]]]


def test_iou_of_a_frame_counted_by_hand():
    truth = mask(10, [(2, slice(0, 4), slice(0, 4))])
    predicted = mask(10, [(2, slice(0, 4), slice(2, 6))])
    frame = score_frame(truth, predicted)
    assert frame.iou == (76 / 92, 0.0, 8 / 24)
    assert (frame.truth_hero_px, frame.predicted_hero_px) == (16, 16)


def test_a_pixel_of_no_class_or_of_several_counts_for_each_class_alone():
    rng = np.random.default_rng(0)
    truth, predicted = (rng.random((13, 17, 3)) < 0.4 for _ in range(2))
    result = score_frame(truth.astype(np.uint8), predicted)
    iou = [(truth & predicted)[..., i].sum() / (truth | predicted)[..., i].sum() for i in range(3)]
    assert result.iou == pytest.approx(iou)
    assert (result.truth_hero_px, result.predicted_hero_px) == (truth[..., 2].sum(), predicted[..., 2].sum())


def test_work_by_several_threads_comes_in_order_and_its_errors_in_their_turn():
    both_at_work = threading.Barrier(2, timeout=10)
    asked = []

    def items():
        for index in range(100):
            asked.append(index)
            yield index

    def work(index):
        if index < 2:
            both_at_work.wait()
        return 10 // (5 - index)

    got = []
    with pytest.raises(ZeroDivisionError):
        got.extend(iter(map_in_order(work, items(), 2)))
    assert got == [2, 2, 3, 5, 10]
    assert len(asked) <= 5 + 2 * 2


def frame(hero_iou, truth_px, predicted_px):
    return FrameScore((1.0, 0.0, hero_iou), truth_px, predicted_px)


def test_final_score_counted_by_hand():
    score = follow_me_score(
        {
            Kind.NEAR: [frame(0.9, 100, 90), frame(0.7, 100, 80)],
            Kind.FAR: [frame(0.5, 10, 8), frame(0.0, 10, 3), frame(0.1, 2, 0)],
            Kind.NONE: [frame(0.0, 0, 4), frame(0.0, 3, 3)],
        }
    )
    assert score.weight == 3 / 5  # three found, one missed, one false alarm; three pixels are not seen
    assert score.final_iou == pytest.approx((0.8 + 0.2) / 2)
    assert score.final_score == pytest.approx(0.6 * 0.5)
    assert score.folders["patrol_with_targ"].false_negatives == 1


def test_nothing_found_scores_zero_without_dividing_by_it():
    assert follow_me_score({}).final_score == 0.0
    assert follow_me_score({Kind.NEAR: [frame(0.0, 50, 0)]}).weight == 0.0


def test_kinds_by_what_the_mask_holds():
    assert kind_of_mask(mask(256, [])) is Kind.NONE
    assert kind_of_mask(mask(256, [(2, 0, slice(0, 3))])) is Kind.NONE
    assert kind_of_mask(mask(256, [(2, slice(0, 10), slice(0, 10))])) is Kind.FAR
    assert kind_of_mask(mask(256, [(2, slice(0, 20), slice(0, 20))])) is Kind.NEAR


def test_perfect_masks_score_below_one_at_160_as_the_metric_says():
    """Resizing the truth leaves soft borders out; with perfect masks only empty unions cost anything."""
    random = np.random.default_rng(3)
    results = []
    card = ModelCard("hero_net", 160, 160)
    for i in range(9):
        image, truth = draw_frame(random, 256, (0, 12, 80)[i % 3])
        small = np.stack([cv2.resize(truth[..., c], (160, 160), interpolation=cv2.INTER_AREA) for c in range(3)], 2)
        results.append(judge(LabelledFrame(str(i), image, truth, kind_of_mask(truth)), small.astype(np.float32), card))
    result = summarise(results)
    assert 0.8 < result.follow_me.final_score < 1.0
    assert result.detection.recall == 1.0
    assert result.detection.false_alarms_per_1000 == 0.0


def test_detection_figures_counted_by_hand():
    truth = np.zeros((40, 40), np.uint8)
    truth[4:14, 4:9] = 2
    shifted = np.zeros_like(truth)
    shifted[4:14, 6:11] = 2
    elsewhere = np.zeros_like(truth)
    elsewhere[30:36, 30:36] = 2
    empty = np.zeros_like(truth)
    findings = [
        examine_frame(truth, shifted, 200, 2.0, 4),
        examine_frame(truth, elsewhere, 200, 2.0, 4),
        examine_frame(empty, elsewhere, 0, 2.0, 4),
        examine_frame(empty, empty, 0, 2.0, 4),
    ]
    figures = detection_figures(findings)
    assert figures.recall == 0.5
    assert figures.precision == pytest.approx(1 / 3)
    assert figures.centroid_error_px_median == 4.0
    assert figures.false_alarms_per_1000 == 500.0
    assert figures.iou["people"] is None
    assert figures.iou["hero"] == pytest.approx(30 / (70 + 50 + 36 + 36))
    assert figures.by_size_px["101-300"].recall == 0.5
    assert figures.by_size_px["4-30"].frames == 0
    assert figures.background_as_people == pytest.approx((20 + 36 + 36) / (2 * 1550 + 2 * 1600))


def test_the_interval_of_the_score_holds_it_and_narrows_with_more_frames():
    random = np.random.default_rng(6)
    widths = []
    for count in (100, 1600):
        frames = {
            Kind.NEAR: [frame(float(iou), 500, 500) for iou in random.uniform(0.7, 1.0, count)],
            Kind.FAR: [frame(float(iou), 50, 50 * (iou > 0.5)) for iou in random.uniform(0.4, 1.0, count)],
            Kind.NONE: [frame(0.0, 0, 9 * (i % 20 == 0)) for i in range(count)],
        }
        low, high = score_interval(frames)
        assert low < follow_me_score(frames).final_score < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3
    assert score_interval({}) is None
    assert score_interval({Kind.NEAR: [frame(0.9, 500, 500)] * 19}) is None, "one block has nothing to resample"


def test_calibration_takes_the_lowest_level_that_drops_the_false_alarms():
    """A true hero at 0.999 in every third frame, false ones at 0.98 in the others."""
    random = np.random.default_rng(4)
    card = ModelCard("hero_net", 64, 64)
    judged, frames = [], []
    for i in range(9):
        image, truth = draw_frame(random, 64, 16 if i % 3 == 0 else 0)
        p = truth * 0.999 + (1 - truth) * 0.0005
        if i % 3:
            p[20:24, 20:24] = (0.01, 0.01, 0.98)
        frames.append((LabelledFrame(str(i), image, truth, kind_of_mask(truth)), p))
        judged.append(judge_at_levels(*frames[-1], card))
    curve = calibration_curve(judged, 4)
    for i, area in ((0, 4), (20, 20), (45, 4)):  # the short cut over the blobs gives what judging at the level gives
        at_level = dataclasses.replace(card, hero_confirm_probability=LEVELS[i], hero_min_area_px=area)
        wanted = summarise([judge(frame, p, at_level) for frame, p in frames])
        assert calibration_curve(judged, area)[i].evaluation == wanted
    alarms = [level.evaluation.detection.false_alarms_per_1000 for level in curve]
    assert alarms[0] == 1000.0
    chosen = best_level([curve])
    assert chosen.evaluation.detection.false_alarms_per_1000 == 0.0
    assert 0.98 < chosen.confirm < 0.999
    assert chosen.evaluation.detection.recall == 1.0
    assert all(level.evaluation.detection.false_alarms_per_1000 for level in curve if level.confirm < chosen.confirm)
    large_only = best_level([calibration_curve(judged, 4)[:30], calibration_curve(judged, 20)[:30]])
    assert large_only.area_px == 20  # the false ones have 16 pixels
    assert large_only.evaluation.detection.false_alarms_per_1000 == 0.0
    best = max(level.evaluation.follow_me.final_score for level in curve)
    assert best_level([curve], "score").evaluation.follow_me.final_score == best


def test_the_level_is_the_mean_of_those_with_one_run_left_out():
    """Only run a has false heroes of 0.9, only b of 0.6: without a run its level is not needed."""
    random = np.random.default_rng(5)
    card = ModelCard("hero_net", 64, 64)
    judged = []
    for i in range(12):
        image, truth = draw_frame(random, 64, 16 if i % 3 == 0 else 0)
        p = truth * 0.98 + (1 - truth) * 0.0005
        false = 0.9 if i % 2 else 0.6
        if i % 3:
            p[20:24, 20:24] = (0.0, 1.0 - false, false)
        frame = LabelledFrame(str(i), image, truth, kind_of_mask(truth))
        judged.append(judge_at_levels(frame, p, card, "ab"[i % 2 == 0]))
    folds = [[frame for frame in judged if frame.run == run] for run in "ab"]
    alone = [best_level([calibration_curve(fold, 4)]).confirm for fold in folds]
    assert alone[0] > 0.9 > alone[1] > 0.6
    assert LEVELS.index(chosen_level(judged).confirm) == pytest.approx(np.mean([LEVELS.index(a) for a in alone]), abs=1)
    assert max(LEVELS) == pytest.approx(0.99, abs=1e-3)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, build_network("fcn_001"), ModelCard("fcn_001", 32, 32))
    return path


def test_score_of_the_courses_three_folders_as_json_and_report(tmp_path, weights):
    course = tmp_path / "course"
    for kind, height in ((Kind.NEAR, 24), (Kind.FAR, 5), (Kind.NONE, 0)):
        write_frames(course / kind.value, 4, hero_heights=(height,))
    truncated = course / Kind.FAR.value / "images" / "1_run1cam1_00002.jpeg"
    truncated.write_bytes(truncated.read_bytes()[:300])
    result = fcn_follow("score", "--weights", weights, "--data", course, "--json", "--report", tmp_path / "report")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert {"final_score", "final_iou", "weight", "detection", "folders"} <= set(figures)
    assert [figures["folders"][kind.value]["frames"] for kind in Kind] == [4, 3, 4]
    assert len(figures["skipped"]) == 1
    assert "00002.jpeg: truncated" in figures["skipped"][0]
    with (tmp_path / "report" / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    assert np.mean([float(r["iou_hero"]) for r in rows if r["kind"] == "following_images"]) == pytest.approx(
        figures["folders"]["following_images"]["iou_hero"], abs=1e-6
    )
    picture = cv2.imread(str(tmp_path / "report" / "worst_frames.png"))
    assert picture is not None
    assert picture.shape[1] == 2 * 3 * 256


def test_the_courses_evaluation_set_scores_the_same_under_its_own_names_and_zipped(tmp_path, weights):
    sets = {name: tmp_path / name for name in ("renamed", "own_names")}
    for folder in sets.values():
        for seed, (kind, height) in enumerate(((Kind.NEAR, 24), (Kind.FAR, 5), (Kind.NONE, 0))):
            write_frames(folder / kind.value, 4, seed, run="0_run1", hero_heights=(height,))
    for path in sets["own_names"].rglob("*.png"):
        path.rename(path.with_name(path.name.replace("0_run1_mask", "0__mask")))
    sets["zipped"] = tmp_path / "sample_evaluation_data.zip"
    with zipfile.ZipFile(sets["zipped"], "w") as archive:
        for path in sorted(sets["own_names"].rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    results = [fcn_follow("score", "--weights", weights, "--data", path, "--json") for path in sets.values()]
    first, *others = [json.loads(result.stdout) for result in results]
    assert first["folders"]["following_images"]["frames"] == 4
    assert others == [first, first]


def test_score_prints_tables(tmp_path, weights):
    result = fcn_follow("score", "--weights", weights, "--data", write_frames(tmp_path / "town", 3))
    assert result.returncode == 0
    assert "final_score" in result.stdout
    assert "false alarms" in result.stdout
    words = " ".join(result.stdout.split())
    assert FOLDER_NOTE in words
    assert SIZES_NOTE in words


def test_an_iou_of_what_is_not_there_is_a_dash_and_no_zero():
    hero, nobody = np.full((8, 8), 2, np.uint8), np.zeros((8, 8), np.uint8)
    near, alarm = judge_labels("a", Kind.NEAR, hero, hero, 4), judge_labels("b", Kind.NONE, nobody, hero, 4)
    assert [row[2:5] for row in folder_rows(summarise([near, alarm]))] == [
        ["0.0000", "0.0000", "1.0000"],
        ["-", "-", "-"],
        ["0.0000", "0.0000", "-"],
    ]
    assert [hero_words(frame) for frame in (near, alarm)] == ["IoU 1.00", "false alarm"]


def test_score_refuses_in_one_line(tmp_path, weights):
    write_frames(tmp_path / "course" / Kind.NEAR.value, 1)
    for data, message in ((tmp_path / "nowhere", "no such folder"), (tmp_path / "course", "needs three folders")):
        result = fcn_follow("score", "--weights", weights, "--data", data)
        assert result.returncode == 1
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
