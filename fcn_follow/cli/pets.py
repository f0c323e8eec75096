"""`fcn-follow train --data pets:FOLDER`: train on the Oxford-IIIT Pets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import Progress

from fcn_follow.errors import UserError
from fcn_follow.lab.data.pets import CLASSES, LISTS, PREFIX, load_pets, read_list
from fcn_follow.lab.data.split import fraction_of
from fcn_follow.lab.training.pets import PetsTrainer
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.networks.weights import ModelCard


def has_pets(data: Sequence[Path]) -> bool:
    """Whether --data is the Pets. Raises UserError if there is other data too."""
    pets = [path for path in data if str(path).startswith(PREFIX)]
    if pets and len(data) > 1:
        raise UserError(f"--data {pets[0]}: pets have other classes and cannot be combined with other data")
    return bool(pets)


def pets_trainer(
    data: Sequence[Path],
    parameters: TrainingParameters,
    out: Path,
    card: ModelCard,
    device: torch.device,
    progress: Progress,
) -> PetsTrainer:
    """A training on trainval.txt, judged on test.txt. Raises UserError for missing or damaged files."""
    folder = Path(str(data[0]).removeprefix(PREFIX)).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; pets:FOLDER has images/ and annotations/ in it")
    learning, judging = (read_list(folder, name) for name in LISTS)
    learning = fraction_of(learning, parameters.fraction)
    task = progress.add_task("decoding pictures", total=len(learning) + len(judging))
    banks = [
        load_pets(folder, names, parameters.frame_px, parameters.workers, lambda: progress.advance(task))
        for names in (learning, judging)
    ]
    description = f"trained on {len(learning)} pets of trainval.txt; judged on {len(judging)} of test.txt"
    return PetsTrainer(
        parameters, banks[0], [], out, replace(card, classes=CLASSES, data=description), device, judging=banks[1]
    )
