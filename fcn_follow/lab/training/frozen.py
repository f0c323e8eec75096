"""Layers that do not learn."""

from __future__ import annotations

from torch import nn

from fcn_follow.errors import UserError


def freeze_all_but(network: nn.Module, prefix: str) -> list[nn.Module]:
    """Freeze the layers whose names do not begin with `prefix`, none for "", and return them, to be kept in eval mode.

    Raises UserError where no layer's name begins with it.
    """
    frozen = [module for name, module in network.named_children() if not name.startswith(prefix)]
    if len(frozen) == len(list(network.children())):
        names = ", ".join(name for name, _ in network.named_children())
        raise UserError(f"learn: no layer's name begins with {prefix!r}; there are {names}")
    for module in frozen:
        module.requires_grad_(False)
    return frozen
