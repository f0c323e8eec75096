"""Does an engine give what the reference gives? Asked on drawn frames before it may fly."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.inference.engine import Engine, EngineSpec, flying_output, open_engine
from fcn_follow.networks.weights import LoadedWeights

FRAMES = 4
EQUAL = {"fp32": 0.9999, "bf16": 0.99, "fp16": 0.99}  # share of pixels
PEOPLE_IOU = {"fp32": 0.99, "bf16": 0.95, "fp16": 0.95}  # where the reference sees people at all
DEPTH = {"fp32": 0.001, "bf16": 0.03, "fp16": 0.01}  # median of the depth's relative differences


def drawn_frames(height_px: int, width_px: int) -> NDArray[np.uint8]:
    """FRAMES frames uint8 N x H x W x 3 of sky, ground, noise and upright figures in all colours, always the same."""
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
    """The reference's answer to the drawn frames, computed once; engines are compared with it."""

    def __init__(self, weights: LoadedWeights) -> None:
        card = weights.card
        self.frames = drawn_frames(card.input_height_px, card.input_width_px)
        reference = open_engine(EngineSpec(threads=1), weights, flying_output(card))
        self.expected, self._expected_depth = self._codes_and_depth(reference)

    def problem(self, engine: Engine) -> str:
        """In words how an engine differs from the reference, or nothing where it agrees; in its depth too."""
        given, depth = self._codes_and_depth(engine)
        told = difference(given, self.expected, engine.spec.precision)
        if told or depth is None or self._expected_depth is None:
            return told
        share = float(np.median(np.abs(np.expm1(depth - self._expected_depth))))
        return "" if share <= DEPTH[engine.spec.precision] else f"its depth is {share:.1%} off that of plain PyTorch"

    def _codes_and_depth(self, engine: Engine) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        answers = answers_of(engine, self.frames)
        return (answers, None) if answers.ndim == 3 else (answers[:, 0].astype(np.uint8), answers[:, 1])


def answers_of(engine: Engine, frames: NDArray[np.uint8]) -> NDArray[Any]:
    """What an engine gives for frames N x H x W x 3, one at a time."""
    return np.stack([engine.run(frame[None])[0].copy() for frame in frames])


def difference(given: NDArray[np.uint8], expected: NDArray[np.uint8], precision: str) -> str:
    """In words how codes N x H x W differ by more than a precision may make them differ; empty where they do not."""
    if given.shape != expected.shape:
        return f"gives {given.shape[1:]} instead of {expected.shape[1:]}"
    equal = float((given == expected).mean())
    if equal < EQUAL[precision]:
        return f"only {100 * equal:.2f} % of its pixels are those of plain PyTorch"
    either, both = (expected > 0) | (given > 0), (expected > 0) & (given > 0)
    if both.sum() < PEOPLE_IOU[precision] * either.sum():
        return f"the people it sees overlap with those of plain PyTorch by {both.sum() / either.sum():.2f}"
    return ""
