"""The report of a scored recording: one HTML page, a CSV with every frame, the worst frames as images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.files import write_csv, write_whole
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.pages import jpeg_url, render, svg
from fcn_follow.lab.plots import write_png
from fcn_follow.lab.recordings.reading import stamp_text
from fcn_follow.lab.scoring.bag import BagFrame, BagResult
from fcn_follow.lab.scoring.bag_figures import BagScore
from fcn_follow.lab.scoring.detection import CLASS_NAMES, FrameFinding
from fcn_follow.lab.scoring.evaluation import Evaluation, FrameResult
from fcn_follow.lab.scoring.follow_me import Kind
from fcn_follow.lab.scoring.score_report import (
    CELL_PX,
    CSV_COLUMNS,
    WORST,
    csv_row,
    hero_words,
    picture_row,
    worst_frames,
)
from fcn_follow.lab.scoring.tables import FOLDER_COLUMNS, FOLDER_NOTE, folder_rows

Table = tuple[list[str], list[list[str]]]
"""The names of the columns, and the rows."""
RIGHT, WRONG, MISSED = "#2a7a2e", "#b02020", "#e0a030"
FLIGHT_COLUMNS = ("stamp_s", "in_flight_iou_hero", "in_flight_found", "in_flight_right", "latency_ms", "same_mask")


class WorstPictures:
    """Keeps the images of the worst frames while a bag is scored; never more than twice WORST."""

    def __init__(self) -> None:
        self._alarms: list[_Picture] = []
        self._heroes: list[_Picture] = []

    def add(self, frame: BagFrame, labels: UInt8Array, result: FrameResult) -> None:
        """Add a frame; `labels` are the prediction, H x W of any size."""
        if result.kind is Kind.NONE and result.score.predicted_seen:
            self._keep(self._alarms, result.score.predicted_hero_px, frame, labels, result)
        if result.score.truth_seen:
            self._keep(self._heroes, -result.score.iou[HERO], frame, labels, result)

    def _keep(
        self, worst: list[_Picture], badness: float, frame: BagFrame, labels: UInt8Array, result: FrameResult
    ) -> None:
        if len(worst) == WORST and badness <= worst[-1].badness:
            return
        height_px, width_px = frame.truth.shape
        caption = f"{frame.name} s  {hero_words(result)}"
        row = picture_row(frame.image_rgb, frame.truth, labels, caption, round(CELL_PX * height_px / width_px))
        worst.append(_Picture(badness, frame.name, row))
        worst.sort(key=lambda item: -item.badness)
        del worst[WORST:]

    def pictures(self, frames: Sequence[FrameResult]) -> list[tuple[str, UInt8Array]]:
        """(name, image) of the frames that worst_frames chooses, in its order."""
        kept = {item.name: item.row for item in self._alarms + self._heroes}
        return [(frame.name, kept[frame.name]) for frame in worst_frames(frames) if frame.name in kept]


@dataclass(frozen=True)
class _Picture:
    badness: float
    name: str
    row: UInt8Array


def write_bag_report(folder: Path, title: str, score: BagScore, worst: WorstPictures) -> None:
    """Write report.html, its plots as report.png, and frames.csv into a folder; UserError if that fails."""
    plots = overview(score) if score.results else None
    if plots is not None:
        write_png(folder / "report.png", plots)
    page = render(
        "fcn_follow.lab.scoring",
        "bag_report.html.j2",
        title=title,
        score=score,
        figures=_figures_table(score),
        folder_note=FOLDER_NOTE,
        folders=(["frames of", *FOLDER_COLUMNS], folder_rows(score.network)),
        sizes=_sizes_table(score),
        losses=_losses_table(score),
        overview=svg(plots) if plots is not None else "",
        worst=[(name, jpeg_url(picture)) for name, picture in worst.pictures(score.network.frames)],
    )
    write_whole(folder / "report.html", page)
    write_csv(folder / "frames.csv", [*CSV_COLUMNS, *FLIGHT_COLUMNS], map(_csv_row, score.results))


def _csv_row(result: BagResult) -> list[str]:
    """The columns of `score --report`, and those of the flight."""
    row = [stamp_text(result.stamp_ns)]
    if flight := result.in_flight:
        finding = flight.published.finding
        row += [f"{flight.published.score.iou[HERO]:.6f}", str(int(finding.found)), str(int(finding.right)),
                f"{1e3 * flight.latency_s:.3f}", str(int(flight.identical))]  # fmt: skip
    return [*csv_row(result.network), *row, *[""] * (len(FLIGHT_COLUMNS) - len(row))]


def _evaluations(score: BagScore) -> list[tuple[str, Evaluation]]:
    columns = [("network", score.network)]
    if score.in_flight is not None:
        columns += [("published in flight", score.in_flight.published), ("here, same frames", score.in_flight.offline)]
    return columns


def _figures_table(score: BagScore) -> Table:
    columns = _evaluations(score)
    rows: list[tuple[str, Callable[[Evaluation], float | None], str]] = [
        ("frames", lambda e: len(e.frames), ".0f"),
        ("Follow-Me score", lambda e: e.follow_me.final_score, ".4f"),
        *[(f"IoU {name}, all pixels", lambda e, name=name: e.detection.iou[name], ".4f") for name in CLASS_NAMES],
        ("recall", lambda e: e.detection.recall, ".4f"),
        ("precision", lambda e: e.detection.precision, ".4f"),
        ("centroid error, median [px]", lambda e: e.detection.centroid_error_px_median, ".2f"),
        ("false alarms per 1000 frames without a hero", lambda e: e.detection.false_alarms_per_1000, ".1f"),
    ]
    body = [[name, *[_text(value(e), form) for _, e in columns]] for name, value, form in rows]
    return ["figure", *[name for name, _ in columns]], body


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _sizes_table(score: BagScore) -> Table:
    columns = _evaluations(score)
    rows = [
        [size, str(score.network.detection.by_size_px[size].frames)]
        + [_text(evaluation.detection.by_size_px[size].recall, ".3f") for _, evaluation in columns]
        for size in score.network.detection.by_size_px
    ]
    return ["hero's size [px]", "frames", *[f"recall, {name}" for name, _ in columns]], rows


def _losses_table(score: BagScore) -> Table:
    lost = score.not_scored
    rows = [["images lost to damage", str(lost["images_lost"])]]
    rows += [["images without a truth", str(lost["images_without_truth"])], ["unreadable", str(lost["unreadable"])]]
    for key, label in (("images_without", "images without a partner on"), ("without_image", "without an image:")):
        counts = lost[key]
        if isinstance(counts, dict):
            rows += [[f"{label} {topic}", str(count)] for topic, count in counts.items() if count]
    rows += [["stamps that go backwards", str(lost["stamps_backwards"])]]
    return ["not scored", "count"], [row for row in rows if row[1] != "0"] or [["nothing", "0"]]


def _seconds(score: BagScore) -> Any:
    return np.array([result.stamp_ns * 1e-9 for result in score.results]) - score.results[0].stamp_ns * 1e-9


def overview(score: BagScore) -> Any:
    """Plots of IoU and detections over time, and histograms of IoU and latency."""
    from matplotlib.figure import Figure  # here: it takes a second to import, and only a report draws

    figure = Figure(figsize=(10, 8.5), layout="constrained")
    axes: dict[str, Any] = figure.subplot_mosaic(
        [["hero", "hero"], ["people", "people"], ["strips", "strips"], ["histogram", "latency"]],
        height_ratios=[2, 2, 1, 2],
    )
    _plot_iou(axes["hero"], score, HERO)
    _plot_iou(axes["people"], score, OTHER_PEOPLE)
    _plot_detections(axes["strips"], score)
    for name in ("people", "strips"):
        axes[name].sharex(axes["hero"])
    _plot_histograms(axes["histogram"], axes["latency"], score)
    return figure


def _plot_iou(axis: Any, score: BagScore, label: int) -> None:
    seconds = _seconds(score)
    iou = [_frame_iou(result.network, label) for result in score.results]
    axis.plot(seconds, iou, ".", markersize=3, alpha=0.6, rasterized=True, label="network, in its own size")
    flight = [(s, _frame_iou(r.in_flight.published, label))
              for s, r in zip(seconds, score.results, strict=True) if r.in_flight]  # fmt: skip
    if flight:
        axis.plot(
            *zip(*flight, strict=True),
            ".",
            markersize=3,
            alpha=0.6,
            rasterized=True,
            label="in flight, in the frame's size",
        )
    axis.set(ylabel=f"IoU {CLASS_NAMES[label]}", ylim=(-0.03, 1.03))
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8)  # above: points lie at 0 and at 1


def _frame_iou(result: FrameResult, label: int) -> float:
    iou = result.finding.overlaps[label].iou
    return math.nan if iou is None else iou


def _plot_detections(axis: Any, score: BagScore) -> None:
    """A strip for the truth, one for the network, and one for what was published in flight."""
    seconds = _seconds(score)
    observers: list[tuple[str, list[FrameFinding | None]]] = []
    observers += [("network", [result.network.finding for result in score.results])]
    if score.in_flight is not None:
        observers += [("in flight", [r.in_flight.published.finding if r.in_flight else None for r in score.results])]
    truth = [s for s, result in zip(seconds, score.results, strict=True) if result.network.score.truth_seen]
    _strip(axis, truth, 0, "black")
    for row, (_, findings) in enumerate(observers, start=1):
        outcome = [_outcome(f, r.network) for f, r in zip(findings, score.results, strict=True)]
        for colour in (RIGHT, WRONG, MISSED):
            _strip(axis, [s for s, c in zip(seconds, outcome, strict=True) if c == colour], row, colour)
    axis.set_yticks(range(len(observers) + 1), ["true hero", *[name for name, _ in observers]])
    axis.set(ylim=(len(observers) + 0.6, -0.6), xlabel="time [s]")
    axis.set_title("green: right, red: wrong place or false alarm, amber: missed", loc="right", fontsize=8)


def _outcome(finding: Any, network: FrameResult) -> str:
    if finding is None:
        return ""
    if finding.found:
        return RIGHT if finding.right else WRONG
    return MISSED if network.score.truth_seen else ""


def _strip(axis: Any, seconds: Sequence[float], row: int, colour: str) -> None:
    axis.plot(seconds, [row] * len(seconds), "|", color=colour, markersize=11, rasterized=True)


def _plot_histograms(of_iou: Any, of_latency: Any, score: BagScore) -> None:
    bins = np.linspace(0, 1, 21)
    for name, evaluation in _evaluations(score)[:2]:
        iou = [_frame_iou(frame, HERO) for frame in evaluation.frames if frame.score.truth_seen]
        of_iou.hist(iou, bins=bins, alpha=0.6, label=name)
    of_iou.set(xlabel="IoU of the hero, frames with one", ylabel="frames")
    of_iou.yaxis.get_major_locator().set_params(integer=True)
    of_iou.legend(fontsize=8)
    if score.in_flight is None:
        of_latency.set_axis_off()
        return
    of_latency.hist([1e3 * r.in_flight.latency_s for r in score.results if r.in_flight], bins=30)
    of_latency.set(xlabel="latency in flight [ms]", ylabel="frames")
