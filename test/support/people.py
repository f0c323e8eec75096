"""People in two colours on grass, drawn for the tests of the choice of a hero."""

from __future__ import annotations

import numpy as np

GRASS = (60, 110, 50)
RED, BLUE, WHITE, BLACK = (200, 20, 20), (20, 40, 190), (220, 220, 215), (25, 25, 25)
Colour = tuple[int, int, int]
Person = tuple[float, float, Colour, Colour]
"""x and y of the feet's middle in pixels, colours of the upper and the lower body."""
HEIGHT_PX, WIDTH_PX = 60, 20
NOISE = np.random.default_rng(0).normal(0.0, 4.0, 240 * 320 * 3).astype(np.float32)


def scene(
    *people: Person, size: tuple[int, int] = (240, 320), light: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The picture H x W x 3 with noise, and its labels (1: a person); the last of the people is in front."""
    image = np.full((*size, 3), GRASS, np.float32)
    labels = np.zeros(size, np.uint8)
    for x, y, upper, lower in people:
        left, top = round(x - WIDTH_PX / 2), round(y - HEIGHT_PX)
        window = (slice(max(top, 0), top + HEIGHT_PX), slice(max(left, 0), max(left + WIDTH_PX, 0)))
        image[window] = lower
        image[window[0].start : top + HEIGHT_PX // 2, window[1]] = upper
        labels[window] = 1
    noise = np.roll(NOISE, 997 * seed)[: image.size].reshape(image.shape)
    return np.clip(image * np.float32(light) + noise, 0, 255).astype(np.uint8), labels
