"""The record of a training beside its weights: settings, data, machine, and the curves as an image."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from fcn_follow.files import write_whole
from fcn_follow.lab.plots import write_png
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.lab.training.trainer import MAIN_FIGURES, EpochReport
from fcn_follow.networks.weights import ModelCard


def write_record(out: Path, parameters: TrainingParameters, card: ModelCard, history: Sequence[EpochReport]) -> None:
    """Write NAME.training.json and NAME.training.png beside the weights."""
    record = {
        "command": card.command,
        "data": card.data,
        "parameters": dataclasses.asdict(parameters),
        "history": [dataclasses.asdict(report) for report in history],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
    }
    write_whole(out.with_suffix(".training.json"), json.dumps(record, indent=1) + "\n")
    draw_history(out.with_suffix(".training.png"), history, title=parameters.network)


def draw_history(path: Path, history: Sequence[EpochReport], title: str) -> None:
    """Loss and scores over the epochs, as a PNG."""
    from matplotlib.figure import Figure  # here: a second to import, and only this function draws

    figure = Figure(figsize=(9, 4), layout="constrained")
    loss, score = figure.subplots(1, 2)
    loss.plot([report.epoch + 1 for report in history], [report.loss for report in history], marker=".")
    loss.set(title=f"{title}: training loss", xlabel="epoch", yscale="log")
    judged = [report for report in history if report.score is not None]
    for name in list(judged[0].figures)[:MAIN_FIGURES] if judged else ():
        points = [(report.epoch + 1, report.figures[name]) for report in judged if name in report.figures]
        score.plot(*zip(*points, strict=True), label=name, marker=".")
    score.set(title="held-out frames", xlabel="epoch", ylim=(0, 1))
    score.legend()
    score.grid(alpha=0.3)
    write_png(path, figure)
