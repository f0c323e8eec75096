"""The measured parts of docs/performance.md: a table, its plot and the command that made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fcn_follow.errors import UserError
from fcn_follow.files import write_whole
from fcn_follow.lab.pages import render

COLOURS = {
    "torch": "#888888", "torch-compiled": "#c08030", "onnxruntime": "#4a90d9", "openvino": "#d9534f",
    "tensorrt": "#5cb85c",
}  # fmt: skip


def write_section(page: Path, name: str, result: dict[str, Any], command: str) -> list[Path]:
    """Put what was measured between `<!-- measured: NAME -->` and `<!-- end -->` of a page; the paths written.

    The plot goes into images/performance beside the page. Raises UserError where the page lacks the marks.
    """
    begin, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
    try:
        before, begin_found, rest = page.read_text(encoding="utf-8").partition(begin)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--page {page}: cannot be read ({error})") from error
    _, end_found, after = rest.partition(end)
    if not (begin_found and end_found):
        raise UserError(f"--page {page}: has no part between '{begin.strip()}' and '{end}'")
    written = [page]
    if name in PLOTS:
        plot = page.parent / "images" / "performance" / f"{name}.png"
        plot.parent.mkdir(parents=True, exist_ok=True)
        PLOTS[name](plot, result[name])
        written.append(plot)
    versions = ", ".join(f"{module} {version}" for module, version in result["versions"].items() if version != "-")
    text = render("fcn_follow.lab.bench", f"{name}.md.j2", **{**result, "command": command, "versions": versions})
    write_whole(page, before + begin + text.strip() + "\n" + end + after)
    return written


def _plot_engines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from matplotlib.figure import Figure  # here: a second to import, and only the page needs it

    shown = [row for row in rows if not row["problem"]]
    figure = Figure(figsize=(8, 0.6 + 0.28 * len(shown)), layout="constrained")
    axes = figure.subplots()
    names = [f"{r['network']}  {r['engine']} {r['precision']}, {r['threads']} thr., batch {r['batch']}" for r in shown]
    bars = axes.barh(range(len(shown)), [r["times_faster"] for r in shown], color=[COLOURS[r["engine"]] for r in shown])
    axes.bar_label(bars, [f"{r['times_faster']:.1f}x   {r['best_ms']:.1f} ms" for r in shown], padding=3, fontsize=8)
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("times faster than plain PyTorch in the same run")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


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
    figure.savefig(path, dpi=110)


PLOTS: dict[str, Callable[[Path, Sequence[dict[str, Any]]], None]] = {"engines": _plot_engines, "chain": _plot_chain}
