"""Safetensors files: written atomically, and read only within the size limits of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fcn_follow.errors import UserError
from fcn_follow.files import written_aside

MAX_HEADER_BYTES = 16 << 20
MAX_FILE_BYTES = 1 << 31


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """The opened file; no tensor is read yet.

    Raises UserError, naming the file, if it is not a safetensors file, damaged, or larger than any network.
    """
    try:
        with path.open("rb") as head:
            header_bytes = int.from_bytes(head.read(8), "little")
        if header_bytes > MAX_HEADER_BYTES or path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path}: not a safetensors file, or larger than that of any network")
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file, or a truncated one ({error})") from error


def finite_tensors(path: Path, file: Any) -> dict[str, Tensor]:
    """The tensors of an opened file. Raises UserError, naming the tensor, for NaN or infinite numbers."""
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"{path}: its tensor {name} holds NaN or infinite numbers; train or export it again")
    return tensors


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors to `path` atomically: an existing file stays until the new one is complete.

    Raises UserError if the folder or the file cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as part:
            save_file(whole, part, metadata=metadata)
            part.chmod(0o644)  # safetensors makes it private
    except (OSError, SafetensorError) as error:
        kept = "; what was there before is untouched" if path.exists() else ""
        raise UserError(f"{path}: cannot be written ({error}){kept}") from error
