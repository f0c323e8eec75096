"""docs/performance.md from measured figures: its text stands here, its tables and plots are the machine's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fcn_follow.files import written_aside

TEXT = """# Performance

Written by `{command}`; run it for the figures of your machine. Every frame goes
through every engine in turn, so that whatever else the machine does hits all alike; ratios and shares are of the
fastest twentieth of the frames, median and 99th percentile of all of them.

Measured on {machine}; {versions}. Load average at the end: {load:.1f}.

## From camera message to command

| step | where |
| --- | --- |
| the newest image replaces the one that waits; the work runs in a thread beside the executor | `nodes/segmenter.py` |
| rgb8 is read as a view, without a copy | `images/messages.py` |
| one resize to the network's size (Pillow's antialiased bilinear, as in training) | `perception/segmenter.py` |
| the engine: uint8 in, a byte a pixel out; normalisation and thresholds are in its graph | `perception/engines/` |
| blobs without a sure pixel are dropped, one call enlarges the mask, one finds the blobs | `perception/labels.py` |
| centroid and position go out first, then the mask; the overlay only while somebody listens | `nodes/segmenter.py` |
| a new position is answered with a command at once, not at the next tick | `nodes/follower.py` |

## Engines

`engine: auto` opens every engine that is installed, compares it with plain PyTorch on drawn frames, measures those
that agree and keeps the outcome in `~/.cache/fcn_follow/engines` by weights, size, machine and versions. The first
start takes a few seconds more, the second none. An engine that differs is refused, and plain PyTorch runs instead;
the log says so. In fp32 at least 99.99 % of the pixels must be the same, in bf16 and fp16 99 %, and the people must
overlap by 0.95.

| engine | precisions | install line |
| --- | --- | --- |
| torch | fp32, bf16; with CUDA fp16 too | comes along; the reference |
| torch-compiled | as torch | comes along, wants a C++ compiler and a minute; on a CPU only on request |
| openvino | fp32, bf16 | comes along with `scripts/follow`; else `pip install onnx openvino` |
| onnxruntime | fp32; on CPU or CUDA | `pip install onnx onnxruntime` (CUDA: `onnx onnxruntime-gpu`) |
| tensorrt | fp32, fp16 | `pip install onnx onnxruntime-gpu tensorrt` |

What is done to the graph before any engine sees it, each an exact rule in `inference/rewriting.py` with its own test:
a 1x1 head goes before the upsampling; a batch norm before the ReLU goes into the convolution; one after the ReLU
becomes max(a*z, 0) + b = max(a*z + b, b) where every a > 0, and stays where not; depthwise and pointwise of the first
layer become one dense convolution; depthwise and pointwise behind a join are done with each part and added, so that
nothing is copied; the upsampling of few channels, which runtimes do one by one, becomes a convolution to four pixels.

CUDA graphs, fp16 and TensorRT, with the cache of the engines that it builds (`~/.cache/fcn_follow/tensorrt`, a folder
for each model and each version of ONNX Runtime and TensorRT), are written and not measured: no GPU was at hand.

A file of torch.export (`.pt2`) is for programs of your own. It is not read here, and AOTInductor's packages are not
written: PyTorch unpickles the one and loads the native code of the other, so that a file could run whatever it likes;
`torch-compiled` compiles the same graph from the weights.

{engines}

{limits}

The limit of a row is the larger of two times: multiply-accumulates of the network by the rate of a large matrix
product, and bytes of weights, frame and mask by the rate of a large copy, both measured in the same run. Where the
model card asks for the mean over the frame and its mirror image, every time is that of both.

{offline}## The live chain

Segmenter and follower as processes, one picture with a hero published at a rate, commands received. Age: from the
image's stamp to the arrival of the first command that rests on it; "at first" and "at last" are its medians over the
first and the last minute, or third where that is shorter. A last row of many seconds (`--endurance 600`) tells whether
memory or age grows.

Segmenter and follower stay two processes: should an engine's native code take the segmenter down, the follower
is still there to send the zeros.

{chain}
"""
ENGINE_COLUMNS = (
    "network", "engine", "precision", "size", "threads", "batch", "best ms", "median ms", "p99 ms", "times faster",
    "share of the limit",
)  # fmt: skip
OFFLINE = """## Scoring a folder

`fcn-follow score` decodes, resizes, runs and judges frames on every core at once, by the fastest engine that gives
what plain PyTorch gives in fp32; `--engine torch` is plain PyTorch itself. Frames a second of {frames} images of JPEG
with their masks in PNG, on {cores} cores. The last column is the share of what these cores reach that do nothing but
decode and run the network.

{table}

"""
OFFLINE_COLUMNS = (
    "network", "engine", "decoding alone", "network alone", "scoring", "share of decoding alone", "share of both",
)  # fmt: skip
CHAIN_COLUMNS = (
    "camera", "rate Hz", "seconds", "sent", "commands", "age median ms", "age p99 ms", "at first ms", "at last ms",
    "inference ms", "cores", "memory MB", "MB more at the end",
)  # fmt: skip
COLOURS = {
    "torch": "#888888", "torch-compiled": "#c08030", "onnxruntime": "#4a90d9", "openvino": "#d9534f",
    "tensorrt": "#5cb85c",
}  # fmt: skip


def write_page(path: Path, result: dict[str, Any], command: str) -> list[Path]:
    """Write the page, and its plots into images/performance beside it; all the paths that were written."""
    images = path.parent / "images" / "performance"
    images.mkdir(parents=True, exist_ok=True)
    plots = [
        _plot_engines(images / "engines.png", result["engines"]),
        _plot_chain(images / "chain.png", result["node"]),
    ]
    engines, chain = (f"![{plot.stem}](images/performance/{plot.name})" for plot in plots)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version != "-")
    text = TEXT.format(
        command=command,
        machine=result["machine"],
        load=result["load_average"],
        versions=versions,
        engines=f"{engines}\n\n{_table(ENGINE_COLUMNS, map(_engine_cells, result['engines']))}",
        offline=_offline(result.get("offline", ())),
        limits="\n".join(map(_limit, result["roofs"])),
        chain=f"{chain}\n\n{_table(CHAIN_COLUMNS, map(_chain_cells, result['node']))}",
    )
    with written_aside(path) as part:
        part.write_text(text, encoding="utf-8")
    return [path, *plots]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _engine_cells(row: dict[str, Any]) -> list[str]:
    cells = [row["network"], row["engine"], row["precision"], f"{row['width_px']}x{row['height_px']}"]
    cells += [str(row["threads"]), str(row["batch"])]
    if row["problem"]:
        return [*cells, row["problem"], "", "", "", ""]
    figures = [f"{row[name]:.1f}" for name in ("best_ms", "median_ms", "p99_ms", "times_faster")]
    return [*cells, *figures, f"{100 * row['share_of_limit']:.0f} %"]


def _chain_cells(row: dict[str, Any]) -> list[str]:
    names = ("age_median_ms", "age_p99_ms", "age_begin_ms", "age_end_ms", "inference_median_ms")
    return [
        f"{row['width_px']}x{row['height_px']}", f"{row['rate_hz']:g}", f"{row['seconds']:g}", str(row["sent"]),
        str(row["commanded"]),
        *(f"{row[name]:.1f}" for name in names), f"{row['cores']:.2f}", f"{row['memory_mb']:.0f}",
        f"{row['memory_growth_mb']:+.1f}",
    ]  # fmt: skip


def _offline(speeds: Sequence[dict[str, Any]]) -> str:
    if not speeds:
        return ""
    rows = [
        [
            speed["network"],
            row["engine"],
            *(f"{rate:.0f}" for rate in (speed["decoding_hz"], row["network_hz"], row["scoring_hz"])),
            *(f"{100 * row[share]:.0f} %" for share in ("share_of_decoding", "share_of_limit")),
        ]
        for speed in speeds
        for row in speed["engines"]
    ]
    return OFFLINE.format(frames=speeds[0]["frames"], cores=speeds[0]["cores"], table=_table(OFFLINE_COLUMNS, rows))


def _limit(roof: dict[str, Any]) -> str:
    return (
        f"- limit of {roof['device']} in {roof['precision']} on {roof['threads']} thread(s): "
        f"{roof['gflop_s']:.0f} GFLOP/s, memory {roof['memory_gb_s']:.1f} GB/s"
    )


def _plot_engines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
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
    return path


def _plot_chain(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
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
    return path
