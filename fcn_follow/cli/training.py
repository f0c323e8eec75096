"""`fcn-follow train`: train a network on frames."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fcn_follow.cli.options import Device, HeldOutShare, NetworkName, Recipe, Settings, Split
from fcn_follow.cli.pets import has_pets, pets_trainer
from fcn_follow.cli.scoring import read_split_of, report_absent_runs
from fcn_follow.errors import UserError
from fcn_follow.inference.machine import find_device
from fcn_follow.lab.console import console, progress_bar
from fcn_follow.lab.data.bank import FrameBank, load_bank
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.pets import CLASSES as PET_CLASSES
from fcn_follow.lab.data.split import FrameRef, all_frames, fraction_of, refuse_leak, split_by_run, split_by_share
from fcn_follow.lab.scoring.evaluation import LabelledFrame, labelled_frames
from fcn_follow.lab.training.checkpoint import require_new_training
from fcn_follow.lab.training.judgement import HERO
from fcn_follow.lab.training.recipe import TrainingParameters, read_recipe
from fcn_follow.lab.training.record import write_record
from fcn_follow.lab.training.team import join_team
from fcn_follow.lab.training.trainer import MAIN_FIGURES, EpochReport, Trainer
from fcn_follow.networks.registry import network_info
from fcn_follow.networks.weights import CLASSES, METRES, LoadedWeights, ModelCard, load_weights
from fcn_follow.parameters import with_values
from fcn_follow.share import share_directory
from fcn_follow.yaml_text import parse_yaml

if TYPE_CHECKING:
    from fcn_follow.lab.training.tensorboard_log import TensorBoardLog


def train(
    data: Annotated[
        list[Path], typer.Option(help="Folder or zip of images/ and masks/; repeat for each set; or pets:FOLDER.")
    ],
    out: Annotated[Path, typer.Option(help="Weights file to write (.safetensors).")],
    recipe: Recipe = "hero_net",
    network: NetworkName = "",
    setting: Settings = None,
    split: Split = None,
    held_out_share: HeldOutShare = 0.0,
    judge: Annotated[
        list[Path] | None, typer.Option(help="Evaluate on these frames instead, and train on all of --data.")
    ] = None,
    allow_same_run: Annotated[bool, typer.Option(help="Accept a run on both sides of the split.")] = False,
    teacher: Annotated[
        Path | None, typer.Option(help="Weights of a teacher to distil from; see the parameter distillation.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(help="Initial weights, of the same network or of a part of it, instead of random ones."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Folder for TensorBoard: loss, rate, scores, graph, frames with truth and prediction."),
    ] = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option(help="Continue from the checkpoint beside --out.")] = False,
    notes: Annotated[str, typer.Option(help="A line for the model card.", show_default=False)] = "",
) -> None:
    """Train a network; Ctrl-C keeps the best weights so far, and --resume continues from the last whole epoch.

    On several GPUs or machines: torchrun --nproc-per-node GPUS -m fcn_follow train ...
    """
    team = join_team(find_device(device))
    console.quiet = not team.is_first
    parameters = read_parameters(recipe, network, setting or [])
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out}: weights files end in .safetensors")
    if not resume:
        team.refuse_together(lambda: require_new_training(out))  # the other machines may not have its files
    depth = parameters.depth if network_info(parameters.network).has_depth else ""
    card = ModelCard(
        network=parameters.network,
        input_height_px=parameters.input_px,
        input_width_px=parameters.input_px,
        flip_average=parameters.flip_average,
        depth=depth,
        depth_focal_px=parameters.depth_focal_px if depth == METRES else 0.0,
        command=shlex.join(["fcn-follow", *sys.argv[1:]]),
        notes=notes,
    )
    with_pets = has_pets(data)
    initial = load_weights(start_from, PET_CLASSES if with_pets else CLASSES) if start_from else None
    if with_pets:
        if split or held_out_share or judge or teacher:
            raise UserError(
                "--split, --held-out-share, --judge and --teacher do not work with pets, which have their own lists"
            )
        with progress_bar() as progress:
            trainer: Trainer = pets_trainer(data, parameters, out, card, find_device(device), progress)
    else:
        teaching = _teacher(teacher, device)
        learning, judging = _split(data, split, held_out_share, judge, allow_same_run)
        learning = fraction_of(learning, parameters.fraction)
        bank, held_out = _load(learning, judging, parameters)
        card = replace(card, data=_describe(learning, judging))
        trainer = Trainer(parameters, bank, held_out, out, card, find_device(device), teaching)
    if initial:
        trainer.start_from(initial)
    if resume:
        trainer.resume()
        console.print(f"resumed after epoch {len(trainer.history)} of {parameters.epochs}")
    fit(trainer, tensorboard if team.is_first else None)
    if trainer.best_epoch < 0:
        raise UserError("stopped before the first evaluation on the held-out runs; there are no weights yet")
    if not team.is_first:
        return
    write_record(out, parameters, trainer.card, trainer.history)
    figures = {report.epoch: report.figures for report in trainer.history}.get(trainer.best_epoch, {})
    console.print(f"best after epoch {trainer.best_epoch + 1}: {figures_text(figures)}; {out}")
    if not with_pets and not judge:
        console.print(f"to choose when the hero counts as seen: {_calibrate(out, data, split, held_out_share)}")


def _calibrate(out: Path, data: Sequence[Path], split: Path | None, share: float) -> str:
    """The command that comes after the training."""
    frames = [part for path in data for part in ("--data", str(path))]
    held_out = ["--held-out-share", f"{share:g}"] if share else ["--split", str(split)] if split else []
    return shlex.join(["fcn-follow", "calibrate", "--weights", str(out), *frames, *held_out])


def read_parameters(recipe: str, network: str, settings: Sequence[str]) -> TrainingParameters:
    """A recipe by name or path, changed by --network and --set. Raises UserError for unknown names."""
    recipes = share_directory() / "config" / "recipes"
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else recipes / f"{recipe}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in recipes.glob("*.yaml")))
        raise UserError(f"--recipe {recipe}: there is no such recipe; known are {known}, or give a YAML file")
    changes: dict[str, object] = {"network": network} if network else {}
    for item in settings:
        name, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"--set {item}: give NAME=VALUE")
        try:
            changes[name] = parse_yaml(value)
        except UserError as error:
            raise UserError(f"--set {item}: {error}") from error
    return with_values(read_recipe(path), changes)


def _split(
    data: Sequence[Path], split: Path | None, share: float, judge: Sequence[Path] | None, allow_same_run: bool
) -> tuple[list[FrameRef], list[FrameRef]]:
    refs = all_frames([open_frames(path) for path in data])
    if judge:
        learning, judging = refs, all_frames([open_frames(path) for path in judge])
    elif share > 0:
        return split_by_share(refs, share)
    else:
        held_out = read_split_of(split)
        report_absent_runs(split, held_out.choosing | held_out.judging, refs)
        learning, judging = split_by_run(refs, held_out)
    if not allow_same_run:
        refuse_leak(learning, judging)
    return learning, judging


def _load(
    learning: Sequence[FrameRef], judging: Sequence[FrameRef], parameters: TrainingParameters
) -> tuple[FrameBank, list[LabelledFrame]]:
    with_depth = network_info(parameters.network).has_depth
    with progress_bar() as progress:
        task = progress.add_task("decoding frames", total=len(learning) + len(judging))
        bank = load_bank(learning, parameters.frame_px, parameters.workers, lambda: progress.advance(task), with_depth)
        skipped = list(bank.skipped)
        held_out = []
        for frame in labelled_frames(((ref, None) for ref in judging), skipped.append, with_depth):
            held_out.append(frame)
            progress.advance(task)
    for problem in skipped:
        console.print(f"skipped: {problem}", style="yellow")
    for problem in empty_classes(bank, held_out):
        console.print(problem, style="yellow")
    return bank, held_out


def empty_classes(bank: FrameBank, held_out: Sequence[LabelledFrame]) -> list[str]:
    """A line for each class that is missing on one side of the split."""
    shown = {
        "training": [bool((bank.labels == label).any()) for label in range(len(CLASSES))],
        "held-out": [any(bool(frame.mask[..., label].any()) for frame in held_out) for label in range(len(CLASSES))],
    }
    meaning = {"training": "it cannot be learned", "held-out": "the score does not cover it"}
    return [
        f"no {side} frame shows the class {name}: {meaning[side]}"
        for side, present in shown.items()
        for name, there in zip(CLASSES, present, strict=True)
        if not there
    ]


def _teacher(path: Path | None, device: str) -> LoadedWeights | None:
    """The teacher on the training device."""
    if path is None:
        return None
    teacher = load_weights(path)
    teacher.network.to(find_device(device))
    return teacher


def fit(trainer: Trainer, tensorboard: Path | None = None) -> None:
    """Run the training with a progress bar, and TensorBoard if a folder is given; Ctrl-C ends it early."""
    if trainer.ended_by:
        console.print(f"the training was finished already: {trainer.ended_by}; another one needs another --out")
        return
    board = _board(tensorboard, trainer)
    steps = trainer.steps_per_epoch
    epochs = trainer.parameters.epochs
    with progress_bar() as progress:
        task = progress.add_task("training", total=epochs * steps, completed=len(trainer.history) * steps)

        def on_step(step: int, loss: float) -> None:
            done = len(trainer.history)
            seen = f", best score {trainer.best_score:.3f}" if trainer.best_epoch >= 0 else ""
            text = f"epoch {done + 1}/{epochs}, loss {loss:.4f}{seen}"
            progress.update(task, completed=trainer.scheduled(done, step), description=text)
            if board:
                board.step(step, loss)

        def on_epoch(report: EpochReport) -> None:
            if board:
                board.epoch(report)
            if report.score is not None:
                of_hero = trainer.parameters.keep_by == HERO
                figures = f"IoU of the hero {report.score:.4f}" if of_hero else figures_text(report.figures)
                progress.console.print(f"epoch {report.epoch + 1}: loss {report.loss:.4f}, {figures}", highlight=False)

        try:
            trainer.fit(on_step, on_epoch)
        except KeyboardInterrupt:
            progress.console.print("stopped; --resume continues after the last whole epoch", style="yellow")
        finally:
            if board:
                board.close()


def figures_text(figures: Mapping[str, float]) -> str:
    """The main figures of an evaluation as text."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in list(figures.items())[:MAIN_FIGURES])


def _board(folder: Path | None, trainer: Trainer) -> TensorBoardLog | None:
    if folder is None:
        return None
    try:
        from fcn_follow.lab.training.tensorboard_log import TensorBoardLog  # imported here: only this needs TensorBoard
    except ImportError as error:
        raise UserError("--tensorboard needs TensorBoard: pip install tensorboard") from error
    return TensorBoardLog(folder, trainer)


def _describe(learning: Sequence[FrameRef], judging: Sequence[FrameRef]) -> str:
    sets = Counter(ref.frames.name for ref in learning)
    runs = sorted({ref.run for ref in judging})
    return (
        "trained on " + ", ".join(f"{count} frames of {name}" for name, count in sets.items())
        + f"; chosen on {len(judging)} frames of the runs " + ", ".join(runs)
    )  # fmt: skip
