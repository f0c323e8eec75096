"""A vision transformer that segments: patches in, patches of logits out (source 004).

Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021: 16x16 patches, width 768, 12 blocks of 8 heads, learned
positions, no class token. One linear layer turns each token back into a patch of logits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from fcn_follow.networks.sizes import require_multiple

PATCH_PX, WIDTH, BLOCKS, HEADS = 16, 768, 12, 8
POSITIONS = (8, 8)
"""Rows and columns of learned positions, for a 128x128 image; other sizes interpolate them."""
CLASS_COUNT = 3


class Block(nn.Module):
    """Attention, then a perceptron of four times the width, each after a layer norm and with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.perceptron_norm = nn.LayerNorm(WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        """N x tokens x width to the same shape."""
        normed = self.attention_norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        result: Tensor = tokens + self.perceptron(self.perceptron_norm(tokens))
        return result


class VitSegmenter(nn.Module):
    """Input N x 3 x H x W (value / 127.5 - 1), output the logits N x 3 x H x W; H and W multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(3)
        self.embedding = nn.Linear(3 * PATCH_PX**2, WIDTH)
        self.positions = nn.Parameter(torch.randn(1, POSITIONS[0] * POSITIONS[1], WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.head = nn.Linear(WIDTH, CLASS_COUNT * PATCH_PX**2)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the image's size; UserError for sizes that 16 does not divide."""
        require_multiple("the ViT segmenter", image, PATCH_PX)
        height, width = image.shape[-2:]
        patches = functional.unfold(self.input_norm(image), PATCH_PX, stride=PATCH_PX).transpose(1, 2)
        tokens = self.embedding(patches) + self._positions_for(height // PATCH_PX, width // PATCH_PX)
        logits = self.head(self.blocks(tokens)).transpose(1, 2)
        return functional.fold(logits, (height, width), PATCH_PX, stride=PATCH_PX)

    def _positions_for(self, rows: int, columns: int) -> Tensor:
        if (rows, columns) == POSITIONS:
            return self.positions
        grid = self.positions.transpose(1, 2).reshape(1, WIDTH, *POSITIONS)
        scaled = functional.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
        return scaled.flatten(2).transpose(1, 2)


def vit_segmenter() -> VitSegmenter:
    """86,284,812 parameters, 86,284,806 of them trainable."""
    return VitSegmenter()
