"""`fcn-follow export`: a network as a file for other runtimes, in fp32 or, where that keeps the score, in int8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress
from rich.table import Table

from fcn_follow.cli.bags import progress_bar
from fcn_follow.cli.scoring import held_out_runs, refs_of_runs
from fcn_follow.errors import UserError
from fcn_follow.inference.choice import EngineRequest, is_accelerated
from fcn_follow.inference.engine import Engine, Output, missing_for, open_engine, open_model
from fcn_follow.inference.exported import SUFFIXES, Exported, choose_for
from fcn_follow.inference.machine import usable_cores
from fcn_follow.inference.verification import Verification, drawn_frames
from fcn_follow.lab.bench.engines import in_turn_s
from fcn_follow.lab.bench.roofs import best_s
from fcn_follow.lab.console import console, output
from fcn_follow.lab.data.resize import resize_image
from fcn_follow.lab.data.split import FrameRef, fraction_of
from fcn_follow.lab.export import export
from fcn_follow.lab.quantisation import CALIBRATION_FRAMES, MOST_FALL, quantised, write_int8
from fcn_follow.lab.scoring.evaluation import Evaluation, evaluate, labelled_frames, refs_of
from fcn_follow.lab.scoring.follow_me import Kind
from fcn_follow.lab.training.judgement import card_scores
from fcn_follow.networks.weights import LoadedWeights, ModelCard, load_weights
from fcn_follow.share import default_weights

ROUNDS = 50  # frames by each precision, for how much faster it is


def export_network(
    out: Annotated[Path, typer.Argument(help="File to write: .onnx, .xml (OpenVINO IR, with a .bin) or .pt2.")],
    weights: Annotated[Optional[Path], typer.Option(help="Weights file; default the project's own.")] = None,  # noqa: UP045
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Quantise to int8 and keep it where the held-out score falls by 0.005 at most."),
    ] = False,
    data: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="With --int8, frames with masks: held-out runs to judge by, the others to calibrate with."),
    ] = None,
    split: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="With --int8, the runs that are held out; default config/split.yaml."),
    ] = None,
) -> None:
    """Export a network with its model card: uint8 frames in, codes and probabilities out.

    `score`, `score-bag`, `label` (--weights) and the segmenter (parameter `weights`) take .onnx and .xml.
    """
    loaded = load_weights(weights or default_weights())
    if int8:
        written = [_export_int8(loaded, out, data or [], split)]
    elif data or split:
        raise UserError("--data and --split are for --int8, which calibrates and judges with frames")
    else:
        written = export(loaded, out)
    for path in written:
        console.print(f"{path} ({path.stat().st_size / 1e6:.2f} MB)")


def _export_int8(loaded: LoadedWeights, out: Path, data: Sequence[Path], split: Path | None) -> Path:
    if out.suffix != SUFFIXES["onnx"]:
        raise UserError(f"{out}: with --int8 the file is an {SUFFIXES['onnx']}")
    if not data:
        raise UserError("--int8 needs frames with masks to calibrate with and to be judged by: --data FOLDER_OR_ZIP")
    card, runs = loaded.card, held_out_runs(split)
    refs = [item for path in data for item in refs_of(path)]
    held_out = refs_of_runs(refs, runs)
    training = [ref for ref, _ in refs if ref.run not in runs]
    if not training:
        raise UserError(
            f"every frame is of a run that is held out ({', '.join(sorted(runs))}); none is left to calibrate"
        )
    chosen = fraction_of(training, min(1.0, CALIBRATION_FRAMES / len(training)))
    with progress_bar() as progress:
        model = quantised(loaded, _frames(chosen, card, progress))
        name = "onnxruntime" if missing_for("openvino") else "openvino"
        spec = EngineRequest(streams=usable_cores()).spec(name, "cpu", "fp32")
        engines = {"fp32": open_engine(spec, loaded, Output.PROBABILITIES)}
        if is_accelerated(name, "cpu", "bf16"):
            engines["bf16"] = open_engine(replace(spec, precision="bf16"), loaded, Output.PROBABILITIES)
        engines["int8"] = open_model(spec, model, Output.PROBABILITIES)
        results = {
            precision: _judged(engine, card, held_out, progress, f"scoring {precision}")
            for precision, engine in engines.items()
        }
    frame = drawn_frames(card.input_height_px, card.input_width_px)[:1]
    shortest_s = {precision: best_s(times) for precision, times in in_turn_s(engines, frame, ROUNDS).items()}
    _print(results, shortest_s, f"{card.network} on {len(results['int8'].frames)} held-out frames, by {name}")
    fp32, int8 = (results[precision].follow_me.final_score for precision in ("fp32", "int8"))
    if not fp32:
        raise UserError(f"{out}: not written; the score is 0 in fp32 already, so that nothing is judged")
    if fp32 - int8 > MOST_FALL:
        raise UserError(
            f"{out}: not written; the score falls from {fp32:.4f} to {int8:.4f}, by more than {MOST_FALL}; "
            "fly it in bf16 or fp32"
        )
    exported = Exported(out, card, model, Verification(loaded).expected, "int8")
    choose_for(exported, EngineRequest(precision="fp32"))  # what could not be opened again is not written
    write_int8(loaded, model, card_scores(results["int8"]), out)
    return out


def _frames(refs: Sequence[FrameRef], card: ModelCard, progress: Progress) -> Iterator[NDArray[np.uint8]]:
    for ref in progress.track(refs, description="calibrating"):
        yield resize_image(ref.frames.image(ref.index), card.input_height_px, card.input_width_px)


def _judged(
    engine: Engine, card: ModelCard, refs: Sequence[tuple[FrameRef, Kind | None]], progress: Progress, description: str
) -> Evaluation:
    task = progress.add_task(description, total=len(refs))
    frames = labelled_frames(refs, lambda problem: progress.console.print(f"skipped: {problem}", style="yellow"))
    result = evaluate(engine, card, frames, on_frame=lambda: progress.advance(task))
    if not result.frames:
        raise UserError("none of the held-out frames could be read")
    return result


def _print(results: Mapping[str, Evaluation], shortest_s: Mapping[str, float], title: str) -> None:
    table = Table(title=title)
    for column in ("precision", "score", "near IoU", "far IoU", "false alarms / 1000", "times faster"):
        table.add_column(column, justify="right")
    for precision, result in results.items():
        folders, alarms = result.follow_me.folders, result.honest.false_alarms_per_1000
        table.add_row(
            precision, f"{result.follow_me.final_score:.4f}", f"{folders['following_images'].iou_hero:.4f}",
            f"{folders['patrol_with_targ'].iou_hero:.4f}", "-" if alarms is None else f"{alarms:.1f}",
            f"{shortest_s['fp32'] / shortest_s[precision]:.2f}",
        )  # fmt: skip
    output(110).print(table)
