"""The comparison of an engine with the reference, plain PyTorch, on drawn frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.inference.engine import Answer, Engine, EngineSpec, flying_output, open_engine
from fcn_follow.networks.weights import LoadedWeights

FRAMES = 4
MIN_EQUAL_PIXELS = {"fp32": 0.9999, "bf16": 0.99, "fp16": 0.99}  # share of all pixels
MIN_PEOPLE_IOU = {"fp32": 0.99, "bf16": 0.95, "fp16": 0.95}
MAX_DEPTH_ERROR = {"fp32": 0.001, "bf16": 0.03, "fp16": 0.01}  # median relative error


def drawn_frames(height_px: int, width_px: int) -> NDArray[np.uint8]:
    """FRAMES frames uint8 N x H x W x 3 with sky, ground, noise and upright coloured figures; always the same ones."""
    rng = np.random.default_rng(20)
    frames = []
    for _ in range(FRAMES):
        coarse = rng.integers(60, 200, (6, 6, 3)).astype(np.uint8)
        frame = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
        frame[: height_px // 3] = frame[: height_px // 3] // 4 + np.array([140, 160, 190], np.uint8)
        for _ in range(8):
            _draw_figure(frame, rng, red_top=bool(rng.integers(2)))
        noise = rng.normal(0.0, 6.0, frame.shape)
        frames.append(np.clip(frame + noise, 0, 255).astype(np.uint8))
    return np.stack(frames)


def _draw_figure(frame: NDArray[np.uint8], rng: np.random.Generator, red_top: bool) -> None:
    height_px, width_px = frame.shape[:2]
    tall = int(rng.uniform(0.08, 0.5) * height_px)
    wide = max(2, tall // 4)
    top, left = int(rng.integers(0, height_px - tall)), int(rng.integers(0, width_px - wide))
    clothes = [(200, 30, 30), (180, 25, 40), (35, 35, 45)] if red_top else rng.integers(0, 255, (3, 3)).tolist()
    for colour, begin, end in zip(clothes, (0.0, 0.18, 0.55), (0.18, 0.55, 1.0), strict=True):
        cv2.rectangle(
            frame, (left, top + int(begin * tall)), (left + wide, top + int(end * tall)), [int(c) for c in colour], -1
        )


class Verification:
    """The answer of the reference to the drawn frames; `expected` are its codes uint8 N x H x W."""

    def __init__(self, weights: LoadedWeights) -> None:
        card = weights.card
        self.frames = drawn_frames(card.input_height_px, card.input_width_px)
        reference = open_engine(EngineSpec(threads=1), weights, flying_output(card))
        answer = answers_of(reference, self.frames)
        self.expected: NDArray[np.uint8] = answer.classes
        self._expected_depth = answer.depth

    def problem(self, engine: Engine) -> str:
        """How an engine's codes and depth differ from the reference, or an empty text."""
        answer = answers_of(engine, self.frames)
        problem = difference(answer.classes, self.expected, engine.spec.precision)
        if problem or answer.depth is None or self._expected_depth is None:
            return problem
        error = float(np.median(np.abs(np.expm1(answer.depth - self._expected_depth))))
        if error <= MAX_DEPTH_ERROR[engine.spec.precision]:
            return ""
        return f"its depth is {error:.1%} off that of plain PyTorch"


def answers_of(engine: Engine, frames: NDArray[np.uint8]) -> Answer:
    """An engine's answer for frames N x H x W x 3, which it runs one at a time."""
    classes, depths = [], []
    for frame in frames:
        answer = engine.run(frame[None])
        classes.append(answer.classes[0].copy())
        if answer.depth is not None:
            depths.append(answer.depth[0].copy())
    return Answer(np.stack(classes), np.stack(depths) if depths else None)


def difference(given: NDArray[np.uint8], expected: NDArray[np.uint8], precision: str) -> str:
    """How codes N x H x W differ by more than the precision allows, or an empty text."""
    if given.shape != expected.shape:
        return f"gives {given.shape[1:]} instead of {expected.shape[1:]}"
    equal = float((given == expected).mean())
    if equal < MIN_EQUAL_PIXELS[precision]:
        return f"only {100 * equal:.2f} % of its pixels are those of plain PyTorch"
    either, both = (expected > 0) | (given > 0), (expected > 0) & (given > 0)
    if both.sum() < MIN_PEOPLE_IOU[precision] * either.sum():
        return f"its people overlap with those of plain PyTorch by {both.sum() / either.sum():.2f}"
    return ""
