"""A flight, or a whole suite, as one self-contained HTML page with figures, plots and video."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fcn_follow.files import write_whole
from fcn_follow.lab.pages import render, svg, webm_url
from fcn_follow.simulation.figures import Figures, scenario_means
from fcn_follow.simulation.flight import FlightLog
from fcn_follow.simulation.requirements import judge
from fcn_follow.simulation.scenarios import Scenario
from fcn_follow.simulation.town import Town
from fcn_follow.simulation.town_map import TownMap

_STATE_COLOURS = {"idle": "#bbbbbb", "tracking": "#57a05a", "coasting": "#e0c040", "searching": "#e08040",
                  "holding": "#c04040"}  # fmt: skip
_LABELS = {
    "hero_in_frame": ("hero in the frame", "%"), "right_person": ("on the right person", "%"),
    "distance_rms_m": ("distance error, RMS", "m"), "height_rms_m": ("height error, RMS", "m"),
    "bearing_rms_rad": ("bearing error, RMS", "rad"), "reacquire_s": ("time to re-acquire, longest", "s"),
    "closest_person_m": ("closest approach to a person", "m"), "contacts": ("contacts", ""),
    "peak_acceleration_m_s2": ("the drone's peak acceleration", "m/s²"),
    "peak_jerk_m_s3": ("the drone's peak jerk", "m/s³"),
    "acceleration_rms_m_s2": ("commanded acceleration, RMS", "m/s²"),
    "acceleration_p99_m_s2": ("commanded acceleration, 99th percentile", "m/s²"),
    "jerk_rms_m_s3": ("commanded jerk, RMS", "m/s³"), "jerk_p99_m_s3": ("commanded jerk, 99th percentile", "m/s³"),
    "yaw_acceleration_rms_rad_s2": ("commanded yaw acceleration, RMS", "rad/s²"),
    "yaw_acceleration_p99_rad_s2": ("commanded yaw acceleration, 99th percentile", "rad/s²"),
    "steady_acceleration_rms_m_s2": ("commanded acceleration, RMS, the hero walks steadily", "m/s²"),
    "steady_speed_std_m_s": ("standard deviation of the speed, the hero walks steadily", "m/s"),
    "reported_s": ("time to the report", "s"),
    "limit_violations": ("limit violations", ""), "mean_iou": ("hero's IoU in the image, mean", ""),
    "centroid_error_px": ("centroid error, mean", "px"), "duration_s": ("duration", "s"),
}  # fmt: skip


def write_flight_report(path: Path, log: FlightLog, result: Figures, town: Town, video: Path | None) -> None:
    """Write the page of one flight; UserError if it cannot be written."""
    names = [item.name for item in dataclasses.fields(Figures) if item.name in _LABELS]
    page = render(
        "fcn_follow.simulation",
        "flight.html.j2",
        title=f"Flight: {log.scenario.name}",
        log=log,
        video=webm_url(video) if video is not None and video.is_file() else "",
        figures=[(_LABELS[name][0], _value(name, getattr(result, name))) for name in names],
        path_plot=svg(_path_plot(log, town)),
        time_plot=svg(_time_plot(log)),
    )
    write_whole(path, page)


def write_suite_report(path: Path, all_figures: Sequence[Figures], scenarios: Sequence[Scenario]) -> None:
    """Write the page of a suite; UserError if it cannot be written."""
    descriptions = {scenario.name: scenario.description for scenario in scenarios}
    names = [item.name for item in dataclasses.fields(Figures) if item.name in _LABELS]
    page = render(
        "fcn_follow.simulation",
        "suite.html.j2",
        title="Flight suite",
        flights=len(all_figures),
        judgements=judge(all_figures, scenarios),
        head=[_LABELS[name][0] for name in names],
        rows=[
            (row["scenario"], descriptions.get(str(row["scenario"]), ""), [_value(name, row[name]) for name in names])
            for row in scenario_means(all_figures)
        ],
        suite_plot=svg(_suite_plot(all_figures)),
    )
    write_whole(path, page)


def _value(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "–"
    unit = _LABELS[name][1]
    if unit == "%":
        return f"{100 * value:.1f} %"
    return f"{value:.0f}" if unit == "" and float(value).is_integer() else f"{value:.2f} {unit}".strip()


def _path_plot(log: FlightLog, town: Town) -> Any:
    drone, hero = np.array([m.drone_m for m in log.moments]), np.array([m.hero_m for m in log.moments])
    both = np.concatenate([drone[:, :2], hero[:, :2]])
    middle = (both.min(0) + both.max(0)) / 2
    side = float(max(30.0, (both.max(0) - both.min(0)).max() + 12.0))
    picture = TownMap(town, (float(middle[0]), float(middle[1])), side, 500).background
    figure = Figure(figsize=(7, 7))
    axes = figure.subplots()
    west, south = middle - side / 2
    axes.imshow(picture, extent=(west, west + side, south, south + side), alpha=0.6)
    axes.plot(drone[:, 0], drone[:, 1], color="black", linewidth=1.5, label="drone")
    axes.plot(hero[:, 0], hero[:, 1], color="#dc1414", linewidth=1.5, label="hero")
    people = np.array(log.moments[-1].people_m).reshape(-1, 2)
    axes.plot(people[:, 0], people[:, 1], "o", color="#1e3ca0", markersize=4, label="others")
    for track, colour in ((drone, "black"), (hero, "#dc1414")):
        axes.plot(*track[0, :2], marker="o", color=colour)
        axes.plot(*track[-1, :2], marker="s", color=colour)
    axes.set(xlim=(west, west + side), ylim=(south, south + side), xlabel="x, east [m]", ylabel="y, north [m]")
    axes.legend(loc="upper right")
    return figure


def _time_plot(log: FlightLog) -> Any:
    time = np.array([m.now_s for m in log.moments])
    drone, hero = np.array([m.drone_m for m in log.moments]), np.array([m.hero_m for m in log.moments])
    offset = hero - drone
    yaw = np.array([m.drone_yaw_rad for m in log.moments])
    bearing = np.degrees(np.angle(np.exp(1j * (np.arctan2(offset[:, 1], offset[:, 0]) - yaw))))
    frames = np.array([(k.stamp_s, k.iou, k.centroid_error_px, 1e3 * k.latency_s) for k in log.looks]).reshape(-1, 4)
    points = log.parameters.set_points
    figure = Figure(figsize=(9, 13.5))
    axes = figure.subplots(8, 1, sharex=True, height_ratios=[2, 2, 2, 2, 2, 2, 2, 0.6])
    series = [
        (time, np.hypot(offset[:, 0], offset[:, 1]), "distance [m]", points.distance_m),
        (time, -offset[:, 2], "height [m]", points.height_m),
        (time, bearing, "bearing [°]", 0.0),
        (frames[:, 0], frames[:, 1], "IoU", None),
        (frames[:, 0], frames[:, 2], "centroid error [px]", None),
        (frames[:, 0], frames[:, 3], "latency [ms]", None),
    ]
    for axis, (x, y, label, wanted) in zip(axes, series, strict=False):
        axis.plot(x, y, linewidth=1)
        if wanted is not None:
            axis.axhline(wanted, color="grey", linewidth=0.8, linestyle="--")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    _command_plot(axes[-2], log)
    strip = axes[-1]
    states = [m.state for m in log.moments]
    for state, colour in _STATE_COLOURS.items():
        strip.fill_between(time, 0, 1, where=[s == state for s in states], color=colour, step="post", label=state)
    strip.set(yticks=[], xlabel="time [s]")
    strip.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -1.2), frameon=False)
    return figure


def _command_plot(axis: Any, log: FlightLog) -> None:
    """The commanded forward speed; in lockstep also the wanted one, and marks where a limit changed it."""
    time = np.array([m.now_s for m in log.moments])
    axis.plot(time, [m.command.forward_m_s for m in log.moments], linewidth=1, label="flown")
    if any(m.wanted for m in log.moments):
        wanted = [m.wanted.forward_m_s if m.wanted else math.nan for m in log.moments]
        axis.plot(time, wanted, linewidth=0.8, linestyle="--", color="grey", label="wanted")
    for name in sorted({name for m in log.moments for name in m.limited_by}):
        axis.plot(time, [0.0 if name in m.limited_by else math.nan for m in log.moments], linewidth=3, label=name)
    axis.set_ylabel("forward [m/s]")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6, ncols=4)


def _suite_plot(all_figures: Sequence[Figures]) -> Any:
    names = list(dict.fromkeys(f.scenario for f in all_figures))
    shown = ["hero_in_frame", "distance_rms_m", "closest_person_m", "mean_iou"]
    figure = Figure(figsize=(12, 0.3 * len(names) + 1.5))
    axes = figure.subplots(1, len(shown), sharey=True)
    for axis, name in zip(axes, shown, strict=True):
        axis.plot(
            [getattr(f, name) for f in all_figures], [names.index(f.scenario) for f in all_figures], "o", alpha=0.6
        )
        axis.set_title(f"{_LABELS[name][0]}", fontsize=9)
        axis.grid(alpha=0.3)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    return figure
