"""The loss of a training: that of the mask and, for a network with a depth head, that of the depth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fcn_follow.classes import BACKGROUND, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.lab.data.bank import FrameBank
from fcn_follow.lab.training.depth_losses import parse_depth_loss
from fcn_follow.lab.training.losses import parse_loss
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.networks.registry import network_info
from fcn_follow.networks.sources.mask_depth import class_logits
from fcn_follow.networks.weights import METRES


class Objective:
    """The loss of a network's output N x C x H x W against masks N x 3 x H x W, with depth as a fourth channel.

    Raises UserError for unknown losses, and for losses that do not suit the network.
    """

    def __init__(self, parameters: TrainingParameters, device: torch.device) -> None:
        class_weights = torch.tensor([1.0, parameters.people_weight, parameters.hero_weight], device=device)
        network = network_info(parameters.network)
        self._mask_loss = parse_loss(parameters.loss, class_weights)
        self._depth_loss = parse_depth_loss(parameters.depth_loss, parameters.depth) if network.has_depth else None
        self._only_hero = network.mask_channels == 1

    def mask(self, output: Tensor, masks: Tensor) -> Tensor:
        """The loss of the mask alone."""
        if self._only_hero:
            background = masks[:, BACKGROUND] + masks[:, OTHER_PEOPLE]
            masks = torch.stack([background, torch.zeros_like(background), masks[:, -1]], 1)
        return self._mask_loss(class_logits(output), masks)

    def __call__(self, output: Tensor, targets: Tensor) -> Tensor:
        if self._depth_loss is None:
            return self.mask(output, targets)
        return self.mask(output, targets[:, :-1]) + self._depth_loss(output[:, -1:], targets)


def learned_depth(bank: FrameBank, parameters: TrainingParameters) -> Tensor:
    """The target of the depth head, N x 1 x S x S, 0 where not measured; N x 0 x S x S for a network without one.

    In metres, for a camera with the focal length `depth_focal_px`. Raises UserError where the bank has no depth, or
    frames without a known focal length.
    """
    if not network_info(parameters.network).has_depth:
        return torch.empty(len(bank), 0, *bank.labels.shape[1:])
    if bank.depth is None:
        raise UserError(f"{parameters.network} has a depth head and needs frames with depth")
    depth = torch.from_numpy(bank.depth.depth_m)[:, None]
    if parameters.depth != METRES:
        return depth
    unknown = int(np.isnan(bank.depth.focal_heights).sum())
    if unknown:
        raise UserError(
            f"{unknown} of {len(bank)} frames have no focal length; depth in metres needs it (frames.jsonl), "
            "depth: per_image does not"
        )
    scale = parameters.depth_focal_px / parameters.input_px / bank.depth.focal_heights
    return depth * torch.from_numpy(scale).half().view(-1, 1, 1, 1)
