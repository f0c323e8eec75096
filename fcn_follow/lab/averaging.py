"""The mean of several trainings of one network."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from fcn_follow.errors import UserError
from fcn_follow.networks.weights import LoadedWeights


def mean_network(trained: Sequence[LoadedWeights]) -> nn.Module:
    """A network whose tensors, those of batch norm included, are the means over `trained`.

    It is often better than each of them, at the cost of one, where all come from the same start (model soups, Wortsman
    et al., 2022).

    Raises UserError for weights of different networks or input sizes, and for less than two.
    """
    if len(trained) < 2:
        raise UserError("give two weights files or more to average")
    kinds = {(w.card.network, w.card.input_height_px, w.card.input_width_px, str(w.card.graph)) for w in trained}
    if len(kinds) > 1:
        text = ", ".join(sorted(f"{name} at {width}x{height}" for name, height, width, _ in kinds))
        raise UserError(f"only weights of one network and input size can be averaged; these are of {text}")
    network = copy.deepcopy(trained[0].network)
    states = [w.network.state_dict() for w in trained]
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            mean = torch.stack([state[name].double() for state in states]).mean(0)
            tensor.copy_(mean)
    return network
