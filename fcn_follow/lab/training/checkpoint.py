"""Checkpoints without pickle: tensors in safetensors, everything else as JSON in the metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fcn_follow.errors import UserError, shown
from fcn_follow.files import require_new
from fcn_follow.networks.tensor_file import open_tensors, save_tensors
from fcn_follow.parameters import walk_parameters

KEY = "fcn_follow_checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """The state from which a training continues exactly: tensors by name, and values that JSON can hold."""

    tensors: dict[str, Tensor]
    notes: dict[str, Any]


def checkpoint_path(weights: Path) -> Path:
    """The path of a training's checkpoint, beside its weights."""
    return weights.with_suffix(".checkpoint")


def require_new_training(weights: Path) -> None:
    """Raise UserError where an earlier training has left its weights or its checkpoint."""
    checkpoint = checkpoint_path(weights)
    advice = "move it away or choose another name"
    if checkpoint.exists():
        advice = f"--resume continues its training with the same settings; for another training {advice}"
    for path in (weights, checkpoint):
        require_new(path, advice)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write it whole or not at all: after a full disk (UserError) or a kill the last checkpoint is still there."""
    save_tensors(path, checkpoint.tensors, {KEY: json.dumps(checkpoint.notes)})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises UserError where it is missing or damaged."""
    try:
        with open_tensors(path) as file:
            notes = json.loads((file.metadata() or {})[KEY])
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, notes)  # noqa: SIM118
    except (UserError, ValueError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: no checkpoint to resume from, or a damaged one ({error})") from error


def changed_settings(parameters: object, earlier: Any) -> str:
    """Which parameters of a training differ from those in its checkpoint, with both values."""
    changes = []
    for name, _, value in walk_parameters(parameters):
        before = earlier
        for part in name.split("."):
            before = before.get(part) if isinstance(before, dict) else None
        if before != value:
            changes.append(f"{name} was {shown(before)} and is {shown(value)}")
    return ", ".join(changes) or "another version of fcn_follow made it"


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state, by parameter index and name."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the state that optimizer_tensors saved."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def module_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's state under a prefix."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def restore_module(prefix: str, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Restore the state that module_tensors saved."""
    start = prefix + "."
    module.load_state_dict({key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)})
