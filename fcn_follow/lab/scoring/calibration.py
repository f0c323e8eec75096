"""When the hero counts as seen: confirming probability and area, chosen on the choosing runs of config/split.yaml.

The probability is the mean over folds, each of which leaves one run out, so that no single run decides. A level changes
the result of a frame only where it drops a blob; so a frame is judged once for each number of kept blobs, which gives
its result at every level.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO
from fcn_follow.lab.plots import write_png
from fcn_follow.lab.scoring.detection import SIZE_NAMES, seen_from
from fcn_follow.lab.scoring.evaluation import Evaluation, FrameResult, LabelledFrame, judge, summarise
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.labels import blob_peaks

MAX_FALSE_ALARMS_PER_1000 = 8.0
MAX_LOGIT = 4.6
"""The highest level, 0.99: nearer to 1, hundredths of a logit decide, and new frames differ by more."""
LEVELS = (0.0, *(round(1.0 / (1.0 + math.exp(-logit / 10)), 6) for logit in range(1, round(10 * MAX_LOGIT) + 1)))
AREAS_PX = (4, 6, 8, 10, 12, 15, 20)
RULES = ("false_alarms", "score")


@dataclass(frozen=True)
class JudgedFrame:
    """One frame's result at each of LEVELS with the smallest of AREAS_PX; scale is its width / the network's."""

    results: tuple[FrameResult, ...]
    scale: float
    run: str

    def at(self, level: int, area_px: int) -> FrameResult:
        """The result at a level, by index, where a hero needs at least `area_px` pixels of the network's size."""
        result = self.results[level]
        return dataclasses.replace(result, finding=seen_from(result.finding, area_px * self.scale**2))


@dataclass(frozen=True)
class Level:
    """A confirming probability with an area, and the figures that they give."""

    confirm: float
    area_px: int
    evaluation: Evaluation

    @property
    def false_alarms_per_1000(self) -> float:
        return self.evaluation.detection.false_alarms_per_1000 or 0.0


def judge_at_levels(
    frame: LabelledFrame, probabilities: NDArray[np.floating], card: ModelCard, run: str = ""
) -> JudgedFrame:
    """A frame's results from its probabilities h x w x 3."""
    peaks = blob_peaks(probabilities[..., HERO], card.hero_probability_threshold)
    by_kept: dict[int, FrameResult] = {}
    results = []
    for confirm in LEVELS:
        kept = int((peaks >= confirm).sum())
        if kept not in by_kept:
            at_level = dataclasses.replace(card, hero_confirm_probability=confirm, hero_min_area_px=AREAS_PX[0])
            by_kept[kept] = judge(frame, probabilities, at_level)
        results.append(by_kept[kept])
    return JudgedFrame(tuple(results), frame.mask.shape[1] / probabilities.shape[1], run)


def calibration_curve(frames: Sequence[JudgedFrame], area_px: int) -> list[Level]:
    """The figures of all frames at each of LEVELS, for one area."""
    return [
        Level(confirm, area_px, summarise([frame.at(i, area_px) for frame in frames]))
        for i, confirm in enumerate(LEVELS)
    ]


def best_level(curves: Sequence[Sequence[Level]], rule: str = "false_alarms") -> Level:
    """The level for the card.

    false_alarms: the level with at most MAX_FALSE_ALARMS_PER_1000 that finds most heroes; if there is none, as score.
    score: the level with the best Follow-Me score. Ties go to the better score, then to the smaller area, then to the
    lower level.
    """
    levels = [level for curve in curves for level in curve]
    allowed = [level for level in levels if level.false_alarms_per_1000 <= MAX_FALSE_ALARMS_PER_1000]
    finding = [level for level in allowed if level.evaluation.detection.recall]
    if rule == "false_alarms" and finding:
        return max(
            finding, key=lambda level: (level.evaluation.detection.recall, level.evaluation.follow_me.final_score)
        )
    return max(levels, key=lambda level: level.evaluation.follow_me.final_score)


def chosen_level(frames: Sequence[JudgedFrame], rule: str = "false_alarms") -> Level:
    """The level for the card: the best area of all frames, and the mean of the folds' levels for it, in logits.

    With one run it is that run's best level.
    """
    area_px = best_level([calibration_curve(frames, area_px) for area_px in AREAS_PX], rule).area_px
    runs = sorted({frame.run for frame in frames})
    folds = [[frame for frame in frames if frame.run != run] for run in runs] if len(runs) > 1 else [list(frames)]
    chosen = [LEVELS.index(best_level([calibration_curve(fold, area_px)], rule).confirm) for fold in folds]
    return calibration_curve(frames, area_px)[round(float(np.mean(chosen)))]


def draw_curve(path: Path, curve: Sequence[Level], best: Level, title: str) -> None:
    """Recall by size of the hero against false alarms, as a PNG."""
    from matplotlib.figure import Figure  # here: it takes a second to import, and only this function draws

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    alarms = [level.false_alarms_per_1000 for level in curve]
    for size in SIZE_NAMES:
        recall = [level.evaluation.detection.by_size_px[size].recall for level in curve]
        axes.plot(alarms, [math.nan if r is None else r for r in recall], marker=".", label=f"{size} px")
    axes.axvline(best.false_alarms_per_1000, color="grey", linestyle=":", label=f"chosen: {best.confirm:.6f}")
    axes.set(
        title=f"{title}: heroes found, by their size; seen from {best.area_px} px on",
        xlabel="false alarms per 1000 frames without a hero",
        ylabel="recall", ylim=(0, 1.02),
    )  # fmt: skip
    axes.legend()
    axes.grid(alpha=0.3)
    write_png(path, figure)
