"""Safetensors files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from fcn_follow.errors import UserError
from fcn_follow.files import written_aside


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors to `path` by way of a temporary file, so that what was there stays until the new file is whole.

    Raises UserError when the folder or the file cannot be written, a full disk among the reasons.
    """
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as part:
            save_file(whole, part, metadata=metadata)
            part.chmod(0o644)  # safetensors leaves it to the owner alone
    except (OSError, SafetensorError) as error:
        kept = "; what was there before is untouched" if path.exists() else ""
        raise UserError(f"{path}: cannot be written ({error}){kept}") from error
