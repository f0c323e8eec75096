"""The second half of `fcn-follow enrol --finetune`: weights whose hero is the person of a clip."""

from __future__ import annotations

import math
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn_follow.classes import HERO
from fcn_follow.cli.training import fit, read_parameters
from fcn_follow.errors import UserError
from fcn_follow.inference.exported import Model
from fcn_follow.inference.machine import find_device
from fcn_follow.lab.console import progress_bar
from fcn_follow.lab.data.bank import FrameBank, load_bank
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.split import all_frames
from fcn_follow.lab.own_person import (
    ClipFrames,
    Knowledge,
    confirming_probability,
    doubles,
    joined,
    knowledge,
    labelled,
    nobody_is_the_hero,
    stretches,
)
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.lab.training.trainer import Trainer
from fcn_follow.networks.weights import LoadedWeights, ModelCard, load_weights, save_weights

RECIPE = "own_person"
OTHERS_TRAINING, OTHERS_CHOOSING = 500, 80
"""Frames of the simulator."""
_NO_HERO, _FAR = 0.3, 0.5
_INPUT_MULTIPLE_PX = 16
FORGETS = "other people are found less well than by {}, and the drone keeps away only from those it finds"


def check_finetuning(model: Model, weights: Path, out: Path) -> LoadedWeights:
    """The weights to start from.

    Raises UserError if they cannot be trained or would be overwritten, or if the simulator cannot render.
    """
    from fcn_follow.simulation import graphics  # noqa: F401 - here: the help needs no simulator

    target = weights_beside(out)
    if target.resolve() == weights.resolve():
        raise UserError(f"--out {out}: the weights would overwrite {weights}; choose another name")
    if not isinstance(model, LoadedWeights) or model.card.graph is not None or model.card.depth:
        raise UserError(f"{weights}: --finetune starts from .safetensors weights of this package without a depth head")
    return model


def weights_beside(out: Path) -> Path:
    """The path of the weights beside an appearance file."""
    return out.with_suffix(".safetensors")


def finetune(
    clip: ClipFrames, start: LoadedWeights, weights: Path, out: Path, parameters: TrainingParameters, resume: bool
) -> None:
    """Train, judge and write the weights beside `out`. Raises UserError if the clip is not sufficient."""
    parts = stretches(clip)
    rng = np.random.default_rng(parameters.seed)
    training = [*parts.training, *doubles(parts.training, rng)]
    choosing = [*parts.choosing, *doubles(parts.choosing, rng)]
    judging = [frame.labelled() for frame in parts.judging]
    alone = [replace(frame, labels=frame.labels * (frame.labels == HERO)) for frame in parts.judging]
    disguised = [frame.labelled() for frame in doubles(alone, rng)]
    bank = joined(training, _simulated(OTHERS_TRAINING, 2 * parameters.seed, parameters))
    held_out = [frame.labelled() for frame in choosing]
    held_out += labelled(_simulated(OTHERS_CHOOSING, 2 * parameters.seed + 1, parameters))

    card = replace(
        start.card,
        hero_confirm_probability=0.0,
        scores={},
        command=shlex.join(["fcn-follow", *sys.argv[1:]]),
        data=f"one person: trained on {len(parts.training)} frames of a clip, as many with the person's clothes "
        f"recoloured as somebody else, and {OTHERS_TRAINING} frames of the simulator as other people; chosen on "
        f"{len(held_out)} others, of a later stretch of the clip among them. Started from {weights.name}",
        notes="for following this one person, in these clothes. The masks of the clip are those of "
        f"{weights.name}: no truth, and no measure of a flight; {FORGETS.format(weights.name)}",
    )
    device = find_device("auto")
    trainer = Trainer(parameters, bank, held_out, weights_beside(out), card, device)
    trainer.start_from(start)
    if resume:
        trainer.resume()
    before = knowledge(start.network, start.card, judging)
    fit(trainer)
    if trainer.best_epoch < 0:
        raise UserError("stopped before the weights were judged for the first time: there are none yet")
    trained = load_weights(trainer.out)
    card = replace(trained.card, hero_confirm_probability=confirming_probability(trained.network, card, held_out))
    after = knowledge(trained.network, card, judging)
    disguise = knowledge(trained.network, card, disguised)
    card = replace(card, scores=_scores(after, disguise))
    save_weights(trainer.out, trained.network, card)
    print(f"trained for {trainer.spent_s / 60:.1f} min, {trainer.frames_seen} frames seen; {len(bank)} different ones")
    print("on the held-back end of the clip, against the network's own masks, which are no truth:")
    print(f"  {weights.name}: {before}")
    print(f"  {trainer.out.name}: {after}")
    print(f"  {trainer.out.name}, the person in other clothes (recoloured): {disguise.others_words}")
    for warning in (*after.warnings, FORGETS.format(weights.name)):
        print(f"warning: {warning}")
    print(f"written: {trainer.out}; fly with: scripts/follow --weights {trainer.out}")


def own_parameters(start: ModelCard, minutes: float, seed: int) -> TrainingParameters:
    """The recipe for the network of these weights: crops of 0.7 of its input."""
    parameters = read_parameters(RECIPE, start.network, [f"minutes={minutes}", f"seed={seed}"])
    side_px = max(start.input_height_px, start.input_width_px)
    crop_px = round(0.7 * side_px / _INPUT_MULTIPLE_PX) * _INPUT_MULTIPLE_PX
    return replace(parameters, input_px=crop_px, frame_px=round(1.6 * side_px))


def _simulated(count: int, seed: int, parameters: TrainingParameters) -> FrameBank:
    """Frames of the simulator, none of which shows this person."""
    from fcn_follow.simulation.synthesize import SynthesisOptions, synthesize  # here: as above

    side_px = parameters.frame_px
    options = SynthesisOptions(count, side_px, side_px, seed, no_hero_share=_NO_HERO, far_share=_FAR)
    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        task = progress.add_task("drawing other people", total=count)
        for done in synthesize(options, Path(folder) / "others"):
            progress.update(task, completed=done)
        frames = all_frames([open_frames(Path(folder) / "others")])
        return nobody_is_the_hero(load_bank(frames, side_px, parameters.workers))


def _scores(after: Knowledge, disguise: Knowledge) -> dict[str, float]:
    """For the card."""
    figures = {
        "clip_person_found": after.found,
        "clip_person_iou": after.iou,
        "clip_others_taken": after.taken,
        "clip_disguised_taken": disguise.taken,
    }
    return {name: round(value, 4) for name, value in figures.items() if not math.isnan(value)}
