"""When the hero counts as seen: the confirming probability, chosen on held-out runs from a curve."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.networks.weights import ModelCard
from fcn_follow.scoring.evaluation import Evaluation, LabelledFrame, judge, summarise
from fcn_follow.scoring.honest import SIZE_NAMES

ALLOWED_FALSE_ALARMS_PER_1000 = 20.0
LEVELS = (
    0.0,
    *(1.0 / (1.0 + math.exp(-logit)) for logit in (2.0, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0)),
)


@dataclass(frozen=True)
class Level:
    """A confirming probability and what it gives on the frames."""

    confirm: float
    evaluation: Evaluation


def calibration_curve(
    card: ModelCard,
    frames: Sequence[tuple[LabelledFrame, NDArray[np.floating]]],
    on_level: Callable[[], None] = lambda: None,
) -> list[Level]:
    """Judge frames with their probabilities at each of LEVELS."""
    curve = []
    for confirm in LEVELS:
        at_level = dataclasses.replace(card, hero_confirm_probability=confirm)
        curve.append(Level(confirm, summarise([judge(frame, p, at_level) for frame, p in frames])))
        on_level()
    return curve


def best_level(curve: Sequence[Level]) -> Level:
    """The lowest level with at most ALLOWED_FALSE_ALARMS_PER_1000; without one, that with the best Follow-Me score."""
    for level in curve:
        if (level.evaluation.honest.false_alarms_per_1000 or 0.0) <= ALLOWED_FALSE_ALARMS_PER_1000:
            return level
    return max(curve, key=lambda level: level.evaluation.follow_me.final_score)


def draw_curve(path: Path, curve: Sequence[Level], title: str) -> None:
    """Recall by size of the hero against false alarms, as a PNG."""
    from matplotlib.figure import Figure  # here: a second to import, and only this function draws

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    alarms = [level.evaluation.honest.false_alarms_per_1000 or 0.0 for level in curve]
    for size in SIZE_NAMES:
        recall = [level.evaluation.honest.by_size_px[size].recall for level in curve]
        axes.plot(alarms, [math.nan if value is None else value for value in recall], marker="o", label=f"{size} px")
    best = best_level(curve)
    axes.axvline(
        best.evaluation.honest.false_alarms_per_1000 or 0.0, color="grey", linestyle=":",
        label=f"chosen: {best.confirm:.4f}",
    )  # fmt: skip
    axes.set(
        title=f"{title}: heroes found, by their size", xlabel="false alarms per 1000 frames without a hero",
        ylabel="recall", ylim=(0, 1.02),
    )  # fmt: skip
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
