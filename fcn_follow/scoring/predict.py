"""Frames through a network in batches, or through an engine: resized as the score wants, to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fcn_follow.data.augment import normalise
from fcn_follow.data.frames import UInt8Array
from fcn_follow.data.resize import resize_image
from fcn_follow.perception.engines.engine import Engine

CPU_BATCH = 1  # more at once leaves the cache and takes up to three times as long a frame


def predict(
    network: nn.Module | Engine,
    images: Sequence[UInt8Array],
    height_px: int,
    width_px: int,
    *,
    flip_average: bool = False,
) -> NDArray[np.float32]:
    """Softmax probabilities N x height x width x 3 of RGB images of any sizes, on the network's own device.

    With flip_average the mean over the frame and its mirror image. An engine is one with Output.PROBABILITIES for one
    frame at a time; it averages by itself.
    """
    batch = np.stack([resize_image(image, height_px, width_px) for image in images])
    if not isinstance(network, nn.Module):
        by_engine = [network.run(image[None])[0].transpose(1, 2, 0).astype(np.float32) for image in batch]
        return np.stack(by_engine)
    device = next(network.parameters()).device
    tensor = normalise(torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float() / 255.0)
    parts = []
    with torch.inference_mode():
        for part in torch.split(tensor, CPU_BATCH if device.type == "cpu" else len(tensor)):
            probabilities = torch.softmax(network(part), 1)
            if flip_average:
                mirrored = torch.softmax(network(part.flip(3)), 1).flip(3)
                probabilities = (probabilities + mirrored) / 2
            parts.append(probabilities)
    return torch.cat(parts).permute(0, 2, 3, 1).float().cpu().numpy()
