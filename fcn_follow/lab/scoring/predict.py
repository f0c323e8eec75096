"""Probabilities and depth of frames, by a network in batches or by an engine; frames are resized as for the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcn_follow.inference.engine import Engine
from fcn_follow.lab.data.augment import normalise
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.data.resize import resize_image
from fcn_follow.lab.scoring.prefetch import map_in_order
from fcn_follow.networks.sources.mask_depth import class_logits
from fcn_follow.networks.weights import ModelCard

BATCH = 16
CPU_BATCH = 1  # larger batches exceed the cache and take up to three times as long per frame


class HasImage(Protocol):
    """Anything with an image."""

    @property
    def image(self) -> UInt8Array: ...


FrameT = TypeVar("FrameT", bound=HasImage)


@dataclass(frozen=True)
class Predicted(Generic[FrameT]):
    """A frame, its probabilities h x w x 3 and, with a depth head, the depth channel 1 x h x w."""

    frame: FrameT
    probabilities: NDArray[np.float32]
    depth: Tensor | None


def predict(
    network: nn.Module | Engine,
    images: Sequence[UInt8Array],
    height_px: int,
    width_px: int,
    *,
    flip_average: bool = False,
) -> NDArray[np.float32]:
    """Softmax probabilities N x height x width x 3 of RGB images of any sizes, on the network's own device.

    With flip_average the mean over the frame and its mirror image. An engine must have Output.PROBABILITIES for one
    frame at a time; it averages by itself.
    """
    if not isinstance(network, nn.Module):
        batch = [resize_image(image, height_px, width_px) for image in images]
        by_engine = [network.run(image[None]).classes[0].transpose(1, 2, 0).astype(np.float32) for image in batch]
        return np.stack(by_engine)
    return predict_both(network, images, height_px, width_px, flip_average=flip_average)[0]


def predict_both(
    network: nn.Module,
    images: Sequence[UInt8Array],
    height_px: int,
    width_px: int,
    *,
    flip_average: bool = False,
) -> tuple[NDArray[np.float32], Tensor]:
    """The same probabilities, and the depth channel N x 1 x height x width on the CPU.

    For a network without a depth head the latter are the hero's logits.
    """
    batch = np.stack([resize_image(image, height_px, width_px) for image in images])
    device = next(network.parameters()).device
    tensor = normalise(torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float() / 255.0)
    parts, depths = [], []
    with torch.inference_mode():
        for part in torch.split(tensor, CPU_BATCH if device.type == "cpu" else len(tensor)):
            output = network(part)
            probabilities = torch.softmax(class_logits(output), 1)
            if flip_average:
                mirrored = torch.softmax(class_logits(network(part.flip(3))), 1).flip(3)
                probabilities = (probabilities + mirrored) / 2
            parts.append(probabilities)
            depths.append(output[:, -1:].float().cpu())
    return torch.cat(parts).permute(0, 2, 3, 1).float().cpu().numpy(), torch.cat(depths)


def predictions(
    network: nn.Module | Engine, card: ModelCard, frames: Iterable[FrameT]
) -> Iterator[tuple[FrameT, NDArray[np.float32]]]:
    """Each frame with its probabilities h x w x 3, in order."""
    for seen in outputs(network, card, frames):
        yield seen.frame, seen.probabilities


def outputs(network: nn.Module | Engine, card: ModelCard, frames: Iterable[FrameT]) -> Iterator[Predicted[FrameT]]:
    """Each frame with the output of the network, in order.

    A network takes batches one after the other; an engine takes as many frames at once as its spec has streams.
    """
    height_px, width_px = card.input_height_px, card.input_width_px

    def predicted(batch: list[FrameT]) -> list[Predicted[FrameT]]:
        images = [frame.image for frame in batch]
        depths: Iterable[Tensor | None] = [None] * len(batch)
        if isinstance(network, nn.Module) and card.depth:
            probabilities, depths = predict_both(network, images, height_px, width_px)
        else:
            probabilities = predict(network, images, height_px, width_px, flip_average=card.flip_average)
        return [Predicted(*seen) for seen in zip(batch, probabilities, depths, strict=True)]

    size, streams = (BATCH, 1) if isinstance(network, nn.Module) else (1, network.spec.streams)
    for seen in map_in_order(predicted, _batches(frames, size), streams):
        yield from seen


def _batches(frames: Iterable[FrameT], size: int) -> Iterator[list[FrameT]]:
    batch: list[FrameT] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
