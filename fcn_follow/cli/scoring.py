"""`fcn-follow score`: the Follow-Me score and the figures of detection of a weights file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from torch.nn import Module

from fcn_follow.cli.options import Device, EngineName, Json, Precision, Split, WeightsFile
from fcn_follow.errors import UserError
from fcn_follow.files import make_folder
from fcn_follow.inference.choice import REFERENCE, EngineRequest
from fcn_follow.inference.engine import Engine, EngineSpec, Output
from fcn_follow.inference.exported import Model, choose_for, load_model, request_for
from fcn_follow.inference.machine import find_device, usable_cores
from fcn_follow.lab.console import console, progress_bar
from fcn_follow.lab.data.split import FrameRef, HeldOutRuns, read_split, run_names
from fcn_follow.lab.scoring.evaluation import evaluate, labelled_frames, refs_of
from fcn_follow.lab.scoring.follow_me import Kind
from fcn_follow.lab.scoring.score_report import write_report
from fcn_follow.lab.scoring.tables import print_evaluation
from fcn_follow.lab.training.judgement import card_scores
from fcn_follow.networks.sources.mask_depth import checkerboard
from fcn_follow.networks.weights import LoadedWeights, save_weights
from fcn_follow.share import default_weights, share_directory

CHOOSING = "choosing_"
"""Begins the names of a card's figures on the runs that choose; the others are of the runs that judge."""


def score(
    data: Annotated[
        list[Path], typer.Option(help="Frames with masks: a folder, a zip, or the course's folder of three folders.")
    ],
    weights: WeightsFile = None,
    held_out: Annotated[bool, typer.Option(help="Score only the runs that judge; implied by --split.")] = False,
    split: Split = None,
    report: Annotated[Path | None, typer.Option(help="Folder for an image of the worst frames and a CSV.")] = None,
    as_json: Json = False,
    to_card: Annotated[
        bool, typer.Option("--to-card", help="Write the figures into the model card; only with --held-out.")
    ] = False,
    device: Device = "auto",
    engine: EngineName = "auto",
    precision: Precision = "fp32",
) -> None:
    """Score a network on frames with masks: the Follow-Me score, detection rates and false alarms."""
    if report:
        make_folder(report, "--report")
    path = weights or default_weights()
    loaded = load_model(path)
    if to_card and not (held_out and isinstance(loaded, LoadedWeights) and not loaded.card.depth):
        raise UserError("--to-card needs --held-out and a .safetensors file without a depth head")
    if engine == REFERENCE and not isinstance(loaded, LoadedWeights):
        raise UserError("--engine torch needs a .safetensors file; an exported file runs on the engine of its kind")
    refs = scored_refs(data, read_split_of(split).judging if held_out or split is not None else None, split)
    network = scored_network(loaded, EngineRequest(engine, device, precision))
    skipped: list[str] = []
    with progress_bar() as progress:
        task = progress.add_task("scoring", total=len(refs))
        frames = labelled_frames(refs, skipped.append, bool(loaded.card.depth))
        result = evaluate(network, loaded.card, frames, skipped=skipped, on_frame=lambda: progress.advance(task))
    for problem in skipped:
        console.print(f"skipped: {problem}", style="yellow")
    if not result.frames:
        raise UserError("none of the frames could be read")
    if to_card and isinstance(loaded, LoadedWeights):
        interval = zip(("final_score_low", "final_score_high"), result.score_interval() or (), strict=False)
        figures = {**card_scores(result), **{name: round(bound, 4) for name, bound in interval}}
        kept = {name: figure for name, figure in loaded.card.scores.items() if name.startswith(CHOOSING)}
        save_weights(path, loaded.network, dataclasses.replace(loaded.card, scores={**figures, **kept}))
    pattern = {"checkerboard": checkerboard(network)} if loaded.card.depth and isinstance(network, Module) else {}
    if as_json:
        about = {"weights": path.name, "network": loaded.card.network, "engine": engine_name(network)}
        print(json.dumps({**about, **result.figures(), **pattern}, indent=1))
    else:
        print_evaluation(result, f"{path.name} ({loaded.card.network})")
        for name, value in pattern.items():
            print(f"{name} of a flat image: {value:.3g}")
    if report:
        write_report(report, network, loaded.card, result, [ref for ref, _ in refs])
        console.print(f"report: {report}")


def scored_network(loaded: Model, request: EngineRequest) -> Module | Engine:
    """The network itself for plain PyTorch in fp32, else the requested engine, or the one that takes the file.

    auto in fp32 is plain PyTorch on a GPU, which takes batches, and for a network with a depth head, because no engine
    gives probabilities and depth. Otherwise it is the fastest engine, with a frame on each core.
    """
    device = find_device(request.device)
    plain = (REFERENCE,) if device.type == "cpu" and not loaded.card.depth else (REFERENCE, "auto")
    if isinstance(loaded, LoadedWeights) and request.engine in plain and request.precision == "fp32":
        return loaded.network.to(device)
    request = replace(request_for(loaded, request), streams=usable_cores())
    choice = choose_for(loaded, request, console.print, Output.PROBABILITIES)
    console.print(choice.reason)
    return choice.engine


def engine_name(network: Module | Engine) -> str:
    """The engine of the figures, such as `openvino fp32 on cpu`."""
    if not isinstance(network, Module):
        return str(network.spec)
    return str(EngineSpec(REFERENCE, next(network.parameters()).device.type))


def scored_refs(
    data: Sequence[Path], runs: Collection[str] | None, split: Path | None
) -> list[tuple[FrameRef, Kind | None]]:
    """The frames of the paths, or only those of these runs of this split file.

    Raises UserError if no frame belongs to these runs.
    """
    refs = [item for folder in data for item in refs_of(folder)]
    if runs is None:
        return refs
    found = [ref for ref, _ in refs]
    chosen = [(ref, kind) for ref, kind in refs if ref.run in runs]
    if not chosen:
        raise UserError(
            f"none of the frames belongs to the runs {', '.join(sorted(runs))}; the data has the runs "
            f"{run_names(found)}: name those of your own frames in a file for --split"
        )
    report_absent_runs(split, runs, found)
    return chosen


def report_absent_runs(split: Path | None, runs: Collection[str], refs: Sequence[FrameRef]) -> None:
    """Print the runs of the user's split file that no frame has: a run with a misspelt name would train."""
    absent = sorted(set(runs) - {ref.run for ref in refs})
    if split is not None and absent:
        console.print(
            f"{split}: no frame belongs to {', '.join(absent)}; the data has the runs {run_names(refs)}",
            style="yellow",
        )


def read_split_of(path: Path | None) -> HeldOutRuns:
    """The held-out runs of a split file; default: config/split.yaml."""
    return read_split(path or share_directory() / "config" / "split.yaml")
