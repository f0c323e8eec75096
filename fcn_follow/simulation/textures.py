"""Textures from formulas and a seed: paving, grass, asphalt, bark, walls with windows, a sky with clouds.

Every texture is uint8 RGB (H, W, 3) and, except the sky, tiles without a seam.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Texture = NDArray[np.uint8]
Colour = tuple[float, float, float]


def noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 4) -> NDArray[np.float32]:
    """Seamless noise (size, size), mean 0, standard deviation 1; the coarsest octave has `cells` patches per side."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        if count > size:
            break
        grid = np.tile(rng.normal(size=(count, count)).astype(np.float32), (3, 3))
        tripled = cv2.resize(grid, (3 * size, 3 * size), interpolation=cv2.INTER_CUBIC)
        total += tripled[size : 2 * size, size : 2 * size] / 1.6**octave
    normal: NDArray[np.float32] = (total - total.mean()) / total.std()
    return normal


def _painted(base: Colour, light: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(base, np.float32) * light[..., None]


def _finished(image: NDArray[np.float32]) -> Texture:
    return np.clip(image, 0, 255).astype(np.uint8)


def paving(rng: np.random.Generator, tone: float) -> Texture:
    """Rectangular stones of several sizes with dark joints, from grey to nearly white."""
    size, cells = 1024, 16
    taken = np.full((cells, cells), -1)
    stones: list[tuple[int, int, int, int]] = []
    shapes = [(2, 2), (1, 2), (2, 1), (1, 2), (2, 1), (2, 3), (3, 2)]
    for row, column in np.ndindex(cells, cells):
        if taken[row, column] >= 0:
            continue
        for height, width in [*rng.permutation(shapes), (1, 1)]:
            where = np.ix_((row + np.arange(height)) % cells, (column + np.arange(width)) % cells)
            if (taken[where] < 0).all():
                taken[where] = len(stones)
                stones.append((row, column, int(height), int(width)))
                break
    cell = size // cells
    shade = np.repeat(np.repeat(rng.choice([0.8, 0.9, 1.0, 1.1, 1.25], len(stones))[taken], cell, 0), cell, 1)
    image = _painted((tone, tone * 0.995, tone * 0.98), shade.astype(np.float32))
    image += (noise(rng, size, 8, 5) * 8 + noise(rng, size, 24, 4) * 7)[..., None]
    joint = np.ones((size, size), np.float32)
    for row, column, height, width in stones:
        rows = (np.arange(row * cell - 2, (row + height) * cell + 2)) % size
        columns = (np.arange(column * cell - 2, (column + width) * cell + 2)) % size
        for line in (rows[:4], rows[-4:]):
            joint[np.ix_(line, columns)] = 0.55
        for line in (columns[:4], columns[-4:]):
            joint[np.ix_(rows, line)] = 0.55
    return _finished(image * cv2.blur(joint, (5, 5))[..., None])


def grass(rng: np.random.Generator, base: Colour) -> Texture:
    """A lawn: patches and blades."""
    size = 512
    blades = cv2.GaussianBlur(rng.normal(size=(size, size)).astype(np.float32), (0, 0), 1.0) * 3.0
    light = 1.0 + 0.06 * noise(rng, size, 12, 4) + 0.10 * blades
    image = _painted(base, light)
    image[..., 0] += 5 * noise(rng, size, 10, 3)
    return _finished(image)


def asphalt(rng: np.random.Generator, tone: float) -> Texture:
    """A grey road surface with faint stains."""
    size = 512
    light = 1.0 + 0.05 * noise(rng, size, 3, 4) + 0.05 * noise(rng, size, 64, 3)
    return _finished(_painted((tone, tone * 0.99, tone * 0.96), light))


def slabs(rng: np.random.Generator, tone: float) -> Texture:
    """Square pavement slabs, two per side."""
    size = 256
    image = _painted((tone, tone, tone * 0.97), 1.0 + 0.07 * noise(rng, size, 4, 5))
    half = size // 2
    image *= np.repeat(np.repeat(rng.uniform(0.88, 1.1, (2, 2)), half, 0), half, 1)[..., None].astype(np.float32)
    for edge in (0, half):
        image[edge : edge + 3] *= 0.6
        image[:, edge : edge + 3] *= 0.6
    return _finished(image)


def cloth(rng: np.random.Generator) -> Texture:
    """Light and shade of folded cloth, to multiply with a colour; tiles every metre."""
    size = 128
    folds = cv2.resize(noise(rng, size, 6, 3), (size // 2, size))
    light = 0.86 + 0.07 * noise(rng, size, 10, 3) + 0.05 * np.concatenate([folds, folds[:, ::-1]], 1)
    return _finished(_painted((255, 255, 255), np.clip(light, 0.55, 1.0)))


def bark(rng: np.random.Generator) -> Texture:
    """Bark in long streaks."""
    size = 128
    streaks = cv2.resize(noise(rng, size, 8, 3), (size, size * 4))[:size]
    return _finished(_painted((150, 145, 140), 1.0 + 0.22 * streaks))


def stone(rng: np.random.Generator, base: Colour = (58, 62, 70)) -> Texture:
    """The dark stone of a plinth."""
    size = 256
    return _finished(_painted(base, 1.0 + 0.25 * noise(rng, size, 4, 4)))


def stripes(rng: np.random.Generator) -> Texture:
    """The kerb of a flower bed: dark red, light grey, dark grey blocks."""
    size = 256
    blocks = np.repeat(np.array([(120, 22, 28), (150, 150, 148), (70, 72, 74), (150, 150, 148)]), size // 4, 0)
    image = np.broadcast_to(blocks[None], (size, size, 3)) * (1.0 + 0.12 * noise(rng, size, 4, 4))[..., None]
    image[:, :: size // 4] *= 0.5
    return _finished(image.astype(np.float32))


def facade(rng: np.random.Generator, wall: Colour, arched: bool, courses: int) -> Texture:
    """One storey with two windows: the wall, its courses of stone, frames, panes, sills."""
    size = 256
    image = _painted(wall, 1.0 + 0.05 * noise(rng, size, 4, 5))
    if courses:
        image[:: size // courses] *= 0.75
    frame = tuple(float(min(255.0, c * 1.35 + 15)) for c in wall)
    glass = tuple(float(c) for c in rng.uniform(25, 60, 3))
    for centre in (size // 4, 3 * size // 4):
        left, right, top, bottom = centre - size // 10, centre + size // 10, size // 4, size * 3 // 4
        cv2.rectangle(image, (left - 5, top - 5), (right + 5, bottom + 5), frame, -1)
        if arched:
            cv2.ellipse(image, (centre, top), (size // 10 + 5, size // 9), 0, 180, 360, frame, -1)
            cv2.ellipse(image, (centre, top), (size // 10, size // 11), 0, 180, 360, glass, -1)
        cv2.rectangle(image, (left, top), (right, bottom), glass, -1)
        cv2.line(image, (centre, top), (centre, bottom), frame, 4)
        for line in (top + (bottom - top) // 3, top + 2 * (bottom - top) // 3):
            cv2.line(image, (left, line), (right, line), frame, 3)
        cv2.rectangle(image, (left - 9, bottom + 3), (right + 9, bottom + 10), frame, -1)
    image[: size // 32] = np.asarray(frame, np.float32) * 0.8
    return _finished(image)


def sky(rng: np.random.Generator, zenith: Colour, horizon: Colour, cloud: float) -> Texture:
    """Six square faces in MuJoCo's order, right, left, up, down, front, back, stacked into (6 * size, size, 3).

    `cloud` is the share of the sky that clouds cover, 0 to 1.
    """
    size = 128
    across = (np.arange(size) + 0.5) / size * 2 - 1
    right, down = np.meshgrid(across, across)
    one = np.ones_like(right)
    faces = [(one, down, -right), (-one, down, right), (right, -one, -down), (right, one, down),
             (right, down, one), (-right, down, -one)]  # fmt: skip
    waves = rng.normal(size=(40, 3)) * np.repeat([2.0, 4.0, 8.0, 14.0], 10)[:, None]
    strength = np.repeat([1.0, 0.7, 0.45, 0.3], 10)
    phase = rng.uniform(0, 2 * np.pi, 40)
    out = []
    for x, y, z in faces:
        direction = np.stack([x, y, z], -1) / np.sqrt(x**2 + y**2 + z**2)[..., None]
        height = -direction[..., 1]
        blend = np.clip(height * 1.6, 0, 1)[..., None] ** 0.6
        colour = np.asarray(horizon) * (1 - blend) + np.asarray(zenith) * blend
        field = (np.cos((direction * [1, 2.5, 1]) @ waves.T + phase) * strength).sum(-1) / 3.2
        cover = np.clip((field - 1.2 + 2.4 * cloud) * 0.9, 0, 1)[..., None] * (height[..., None] > 0)
        out.append(colour * (1 - cover) + 245.0 * cover)
    return _finished(np.concatenate(out).astype(np.float32))
