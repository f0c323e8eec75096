"""The drone's camera: the pinhole model, the sensor, and the latency of frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import CameraIntrinsics

FrameT = TypeVar("FrameT")


def pinhole(width_px: int, height_px: int, horizontal_fov_rad: float) -> CameraIntrinsics:
    """A camera with square pixels and its axis in the middle of the image; (0, 0) is the middle of the first pixel."""
    focal_px = width_px / 2 / float(np.tan(horizontal_fov_rad / 2))
    return CameraIntrinsics(width_px, height_px, focal_px, focal_px, (width_px - 1) / 2, (height_px - 1) / 2)


@dataclass(frozen=True)
class Sensor:
    """A sensor: blur and motion blur in pixels, gain, gamma, tint, standard deviation of the noise in grey levels."""

    blur_px: float = 0.0
    motion_px: float = 0.0
    motion_angle_rad: float = 0.0
    gain: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise_levels: float = 0.0


def expose(rgb: NDArray[np.uint8], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image (H, W, 3) with the effects of the sensor; the generator gives the noise."""
    image = rgb.astype(np.float32)
    if sensor.blur_px > 0:
        image = cv2.GaussianBlur(image, (0, 0), sensor.blur_px)
    if sensor.motion_px >= 1:
        image = cv2.filter2D(image, -1, _streak(sensor.motion_px, sensor.motion_angle_rad))
    image *= np.asarray(sensor.tint, np.float32) * np.float32(sensor.gain)
    if sensor.gamma != 1.0:
        image = 255.0 * (np.clip(image, 0, 255) / 255.0) ** np.float32(sensor.gamma)
    if sensor.noise_levels > 0:
        image = image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(sensor.noise_levels)
    exposed: NDArray[np.uint8] = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return exposed


def _streak(length_px: float, angle_rad: float) -> NDArray[np.float32]:
    half = int(np.ceil(length_px / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    reach = length_px / 2 * np.array([np.cos(angle_rad), np.sin(angle_rad)])
    start, end = (tuple(int(v) for v in np.round(half + sign * reach)) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    kernel /= kernel.sum()
    return kernel


class DelayLine(Generic[FrameT]):
    """Frames that arrive in order, a fixed time after they were taken."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._waiting: deque[tuple[float, FrameT]] = deque()

    def put(self, taken_s: float, frame: FrameT) -> None:
        self._waiting.append((taken_s + self._latency_s, frame))

    def arrived(self, now_s: float) -> list[FrameT]:
        """The frames that have arrived since the last call."""
        out = []
        while self._waiting and self._waiting[0][0] <= now_s + 1e-9:
            out.append(self._waiting.popleft()[1])
        return out
