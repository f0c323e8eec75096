"""Camera frame -> label mask, by a network and its model card."""

from __future__ import annotations

import os

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn_follow.errors import UserError
from fcn_follow.networks.weights import LoadedWeights
from fcn_follow.perception.labels import labels_of

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
BILINEAR = Image.BILINEAR  # type: ignore[attr-defined]  # the name that every Pillow knows
MOST_USEFUL_CPU_THREADS = 4  # these networks are too small to fill more


class Segmenter:
    """A network on its device, warmed up: `segment` turns an image into labels.

    Args:
        weights: the network in eval mode and its model card.
        device: auto (CUDA where there is one), cpu or cuda.
        precision: fp32, bf16, or fp16 (which needs cuda).

    Raises:
        UserError: cuda is asked for and absent, or fp16 without it.
    """

    def __init__(self, weights: LoadedWeights, device: str = "auto", precision: str = "fp32") -> None:
        self.device = find_device(device)
        if precision == "fp16" and self.device.type == "cpu":
            raise UserError("precision fp16 needs a CUDA device; on a CPU use fp32 or bf16")
        self.card = weights.card
        self._dtype = PRECISIONS[precision]
        self._network = weights.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.device.type == "cpu":
            torch.set_num_threads(min(MOST_USEFUL_CPU_THREADS, len(os.sched_getaffinity(0))))
        blank = np.zeros((self.card.input_height_px, self.card.input_width_px, 3), np.uint8)
        for _ in range(3):  # the first calls choose kernels and allocate
            self.segment(blank)

    @property
    def device_name(self) -> str:
        """For people: cpu, or the name of the GPU."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    def segment(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The labels of an image.

        Args:
            image_rgb: HxWx3 uint8 of any size.

        Returns:
            HxW uint8, the image's size: 0 background, 1 other people, 2 hero, as `labels_of` makes them.
        """
        height_px, width_px = image_rgb.shape[:2]
        size = (self.card.input_width_px, self.card.input_height_px)
        if (width_px, height_px) != size:  # Pillow's antialiased bilinear, as the networks are trained and scored
            image_rgb = np.asarray(Image.fromarray(image_rgb).resize(size, BILINEAR))
        labels = self._labels(image_rgb)
        if (width_px, height_px) != size:
            labels = cv2.resize(labels, (width_px, height_px), interpolation=cv2.INTER_NEAREST_EXACT)
        return labels

    @torch.inference_mode()
    def _labels(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = torch.tensor(image_rgb, device=self.device).permute(2, 0, 1)[None]  # channels_last as it lies
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not torch.float32):
            logits = self._network(pixels.float() / 127.5 - 1.0)
            if self.card.flip_average:
                logits = torch.cat([logits, self._network(pixels.flip(3).float() / 127.5 - 1.0).flip(3)])
        probabilities = logits.float().softmax(dim=1).mean(dim=0)
        return labels_of(probabilities.permute(1, 2, 0).cpu().numpy(), self.card)


def find_device(device: str) -> torch.device:
    """The device that auto, cpu or cuda means. Raises UserError when it is none of these, or CUDA is absent."""
    if device not in DEVICES:
        raise UserError(f"device {device!r} is not known; allowed is {', '.join(DEVICES)}")
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise UserError(
            "device cuda is asked for, but PyTorch finds no CUDA GPU here; use device auto or cpu, "
            "or install a CUDA build of PyTorch and the NVIDIA driver"
        )
    return torch.device("cuda" if device != "cpu" and present else "cpu")
