"""Input sizes that fit the strides of a network."""

from __future__ import annotations

from torch import Tensor

from fcn_follow.errors import UserError


def require_multiple(name: str, image: Tensor, multiple: int) -> None:
    """Raise UserError, with the next valid size, unless height and width of an image N x C x H x W are multiples."""
    height, width = image.shape[-2:]
    if height % multiple or width % multiple:
        good = "x".join(str(-(-side // multiple) * multiple) for side in (width, height))
        raise UserError(f"{name} takes widths and heights that {multiple} divides, not {width}x{height}; try {good}")
