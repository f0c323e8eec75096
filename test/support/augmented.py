"""Both halves of the augmentation, as a training without a teacher makes a batch."""

from __future__ import annotations

from torch import Generator, Tensor

from fcn_follow.lab.data.augment import AugmentParameters, degrade, rearrange


def augment(
    images: Tensor, masks: Tensor, size_px: int, parameters: AugmentParameters, generator: Generator
) -> tuple[Tensor, Tensor]:
    """A batch changed at random, at size_px x size_px."""
    images, masks = rearrange(images, masks, size_px, parameters, generator)
    return degrade(images, parameters, generator), masks
