"""Networks as after a training, and weights files that see what a test wants to be seen."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import METRES, ModelCard, save_weights

CAMERA = CameraIntrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
CARD = ModelCard("mask_depth_separable", 48, 64, depth=METRES, depth_focal_px=60.0)

SIZE_MULTIPLES = {
    **{f"mask_depth_{name}": 2 for name in ("transposed", "shuffle", "transposed_classes", "shuffle_classes")},
    **dict.fromkeys(("segnet", "segnet_separable", "vit_segmenter"), 16),
}
"""What must divide height and width of the input; of the other networks they may be any."""


def lived_in(network: torch.nn.Module, lowest_gamma: float = 0.4) -> torch.nn.Module:
    """The network as after a training: norms with statistics and weights of their own."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, lowest_gamma, 1.5)
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean, std=0.3)
            torch.nn.init.uniform_(module.running_var, 0.3, 2.0)
    return network.eval()


def write_depth_weights(path: Path, depth_m: float) -> Path:
    """A hero everywhere, all of it at this depth for CAMERA."""
    network = build_network("mask_depth_separable").eval()
    mask, depth = network.head, network.depth_head
    with torch.no_grad():
        for layer in (mask, depth):
            layer.weight.zero_()
        mask.bias.copy_(torch.tensor([-9.0, -9.0, 9.0]))
        depth.bias.fill_(math.log(depth_m * CARD.depth_focal_px / (CAMERA.fy_px * 48 / 120)))
    save_weights(path, network, CARD)
    return path


def write_credulous_weights(path: Path) -> Path:
    """Untrained, without a preference: it sees people and heroes here and there."""
    torch.manual_seed(1)
    network = build_network("fcn_001").eval()
    with torch.no_grad():
        network.head.bias -= network(torch.rand(4, 3, 32, 32)).mean((0, 2, 3))
    save_weights(path, network, ModelCard("fcn_001", 32, 32, hero_probability_threshold=0.334))
    return path
