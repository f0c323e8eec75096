"""When the hero counts as seen: the confirming probability, chosen on held-out runs from a curve.

One number for all frames, so that there is little to fit. A level changes a frame only where it drops a blob; so a
frame is judged once for each number of blobs that it keeps, and is then known at every level.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.data.frames import HERO
from fcn_follow.networks.weights import ModelCard
from fcn_follow.perception.labels import blob_peaks
from fcn_follow.scoring.evaluation import Evaluation, FrameResult, LabelledFrame, judge, summarise
from fcn_follow.scoring.honest import SIZE_NAMES

ALLOWED_FALSE_ALARMS_PER_1000 = 20.0
LEVELS = (0.0, *(round(1.0 / (1.0 + math.exp(-logit / 10)), 6) for logit in range(1, 111)))
RULES = ("false_alarms", "score")


@dataclass(frozen=True)
class Level:
    """A confirming probability and what it gives on the frames."""

    confirm: float
    evaluation: Evaluation

    @property
    def false_alarms_per_1000(self) -> float:
        return self.evaluation.honest.false_alarms_per_1000 or 0.0


def judge_at_levels(frame: LabelledFrame, probabilities: NDArray[np.floating], card: ModelCard) -> list[FrameResult]:
    """A frame's result at each of LEVELS, from its probabilities h x w x 3."""
    peaks = blob_peaks(probabilities[..., HERO], card.hero_probability_threshold)
    by_kept: dict[int, FrameResult] = {}
    results = []
    for confirm in LEVELS:
        kept = int((peaks >= confirm).sum())
        if kept not in by_kept:
            at_level = dataclasses.replace(card, hero_confirm_probability=confirm)
            by_kept[kept] = judge(frame, probabilities, at_level)
        results.append(by_kept[kept])
    return results


def calibration_curve(frames: Sequence[Sequence[FrameResult]]) -> list[Level]:
    """The figures of the whole set at each of LEVELS, from each frame's results there."""
    return [Level(confirm, summarise([frame[i] for frame in frames])) for i, confirm in enumerate(LEVELS)]


def best_level(curve: Sequence[Level], rule: str = "false_alarms") -> Level:
    """The level that is written into the card.

    false_alarms: the lowest with at most ALLOWED_FALSE_ALARMS_PER_1000, so that no more heroes are lost than that
    needs; without such a level, as score. score: the lowest of those with the best Follow-Me score.
    """
    if rule == "false_alarms":
        for level in curve:
            if level.false_alarms_per_1000 <= ALLOWED_FALSE_ALARMS_PER_1000:
                return level
    return max(curve, key=lambda level: level.evaluation.follow_me.final_score)


def draw_curve(path: Path, curve: Sequence[Level], best: Level, title: str) -> None:
    """Recall by size of the hero against false alarms, as a PNG."""
    from matplotlib.figure import Figure  # here: a second to import, and only this function draws

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    alarms = [level.false_alarms_per_1000 for level in curve]
    for size in SIZE_NAMES:
        recall = [level.evaluation.honest.by_size_px[size].recall for level in curve]
        axes.plot(alarms, [math.nan if r is None else r for r in recall], marker=".", label=f"{size} px")
    axes.axvline(best.false_alarms_per_1000, color="grey", linestyle=":", label=f"chosen: {best.confirm:.6f}")
    axes.set(
        title=f"{title}: heroes found, by their size", xlabel="false alarms per 1000 frames without a hero",
        ylabel="recall", ylim=(0, 1.02),
    )  # fmt: skip
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
