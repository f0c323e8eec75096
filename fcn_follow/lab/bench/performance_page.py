"""docs/performance.md: generated from the figures, which are JSON files in the folder beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

from fcn_follow.errors import UserError
from fcn_follow.files import write_whole
from fcn_follow.lab.pages import render
from fcn_follow.lab.plots import write_png

MEASUREMENTS = {
    "engines": "engines --rounds 30 --engines torch.compile,torch.onnx,openvino.convert_model,onnxruntime,openvino",
    "chain": "chain --seconds 4 --rates 30,60 --sizes 320x240,640x480,1280x720",
    "scoring": "scoring FRAMES",
}
"""The measurements for the page on this machine, as arguments of `fcn-follow bench`."""

SECTIONS = ("engines", "chain", "endurance", "scoring")  # endurance takes ten minutes and is measured separately
GOAL = 1.5  # times faster than the best of the others
OURS, OTHERS = "#d9534f", "#888888"


def measure(page: Path, frames: Path, on_step: Callable[[str], None]) -> None:
    """Measure on this machine and keep the figures as JSON beside the page, in a few minutes.

    Each measurement is a process of its own. Raises UserError with its last line if one fails.
    """
    folder = page.with_suffix("")
    for name, arguments in MEASUREMENTS.items():
        on_step(f"fcn-follow bench {arguments}")
        words = [str(frames) if word == "FRAMES" else word for word in arguments.split()]
        command = [sys.executable, "-m", "fcn_follow", "bench", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this package
        if done.returncode:
            raise UserError(f"fcn-follow bench {arguments}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
        write_whole(folder / f"{name}.json", done.stdout)


def write_page(page: Path) -> list[Path]:
    """Render the page and its plots from the figures beside it; the paths written. Raises as `page_text` does."""
    text = page_text(page.with_suffix(""))
    plots = page.parent / "images" / "performance"
    written = [page]
    for name, plot in PLOTS.items():
        if figures := _read(page.with_suffix("") / f"{name}.json"):
            plot(plots / f"{name}.png", figures[name])
            written.append(plots / f"{name}.png")
    write_whole(page, text)
    return written


def page_text(folder: Path) -> str:
    """The page for the figures in a folder; what is missing there is shown as not measured.

    gpu.json and gpu-NAME.json are all shown. Raises UserError, naming the file, for figures that cannot be read.
    """
    figures: dict[str, Any] = {name: _read(folder / f"{name}.json") for name in SECTIONS}
    figures["gpu"] = [_read(path) for path in sorted(folder.glob("gpu*.json"))]
    try:
        pairs = comparisons(figures["engines"]["engines"]) if figures["engines"] else []
        names = {pair["other"]["network"]: pair["ratio"] for pair in pairs}
        on_gpu = [row for gpu in figures["gpu"] for row in gpu["engines"]]
        return render(
            "fcn_follow.lab.bench",
            "performance.md.j2",
            **figures,
            goal=GOAL,
            comparisons=pairs,
            reached=[f"{name} ({ratio:.2f})" for name, ratio in names.items() if ratio >= GOAL],
            missed=[f"{name} ({ratio:.2f})" for name, ratio in names.items() if ratio < GOAL],
            tensorrt_measured=any(row["engine"] == "tensorrt" and not row["problem"] for row in on_gpu),
        )
    except (UndefinedError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: figures of another version ({error}); measure them again") from error


def comparisons(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each network, number of threads and batch: the fastest of the others and of ours, and their ratio."""
    pairs = []
    for _, group in groupby(rows, key=lambda row: (row["network"], row["threads"], row["batch"])):
        right = [row for row in group if not row["problem"]]
        fastest = [
            min((r for r in right if r["ours"] is ours), key=lambda r: r["best_ms"], default=None)
            for ours in (False, True)
        ]
        other, ours = fastest
        if other and ours:
            pairs.append({"other": other, "ours": ours, "ratio": other["best_ms"] / ours["best_ms"]})
    return pairs


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        installed = (f"{module} {version}" for module, version in figures["versions"].items() if version != "-")
        return figures | {"versions_text": ", ".join(installed)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not what fcn-follow bench --json prints ({error})") from error


def _plot_engines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from matplotlib.figure import Figure  # here: it takes a second to import, and only the page needs it

    shown = [row for row in rows if not row["problem"]]
    figure = Figure(figsize=(8, 0.6 + 0.28 * len(shown)), layout="constrained")
    axes = figure.subplots()
    names = [f"{r['network']}  {r['engine']} {r['precision']}, {r['threads']} thr., batch {r['batch']}" for r in shown]
    colours = [OURS if row["ours"] else OTHERS for row in shown]
    bars = axes.barh(range(len(shown)), [row["times_faster"] for row in shown], color=colours)
    axes.bar_label(bars, [f"{r['times_faster']:.1f}x   {r['best_ms']:.1f} ms" for r in shown], padding=3, fontsize=8)
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("times faster than plain PyTorch in the same run\nengines of this package in red")
    axes.spines[["top", "right"]].set_visible(False)
    write_png(path, figure)


def _plot_chain(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from matplotlib.figure import Figure

    rows = [row for row in rows if row["seconds"] == rows[0]["seconds"]]  # without the long run at the end
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    ages, cores = figure.subplots(1, 2)
    for size in dict.fromkeys((row["width_px"], row["height_px"]) for row in rows):
        ours = [row for row in rows if (row["width_px"], row["height_px"]) == size]
        rates = [row["rate_hz"] for row in ours]
        (line,) = ages.plot(rates, [row["age_median_ms"] for row in ours], marker="o", label=f"{size[0]}x{size[1]}")
        ages.plot(rates, [row["age_p99_ms"] for row in ours], linestyle=":", color=line.get_color())
        cores.plot(rates, [row["cores"] for row in ours], marker="o", label=f"{size[0]}x{size[1]}")
    ages.set(xlabel="camera's rate in Hz", ylabel="age at the command in ms (p99 dotted)", ylim=(0, None))
    cores.set(xlabel="camera's rate in Hz", ylabel="cores of segmenter and follower", ylim=(0, None))
    for axes in (ages, cores):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    write_png(path, figure)


PLOTS: dict[str, Callable[[Path, Sequence[dict[str, Any]]], None]] = {"engines": _plot_engines, "chain": _plot_chain}
