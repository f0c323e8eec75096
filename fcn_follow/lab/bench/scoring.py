"""The speed of scoring frames, compared with decoding alone and the network alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.choice import EngineRequest, choose_engine
from fcn_follow.inference.engine import Output
from fcn_follow.inference.machine import usable_cores
from fcn_follow.lab.data.resize import resize_image
from fcn_follow.lab.scoring.evaluation import LabelledFrame, evaluate, judge, labelled_frames, refs_of
from fcn_follow.lab.scoring.predict import predictions
from fcn_follow.lab.scoring.prefetch import map_in_order
from fcn_follow.networks.weights import load_weights

MAX_FRAMES = 100
ROUNDS = 3


@dataclass(frozen=True)
class EngineScoring:
    """Frames a second on all cores: by an engine alone, and decoded, resized, run and judged.

    share_of_decoding is scoring_hz divided by the rate of decoding alone. share_of_limit is scoring_hz divided by the
    rate at which the cores can do all three for a frame: 1 / (1 / decoding_hz + 1 / network_hz + 1 / judging_hz).
    """

    engine: str
    network_hz: float
    scoring_hz: float
    share_of_decoding: float
    share_of_limit: float


@dataclass(frozen=True)
class ScoringSpeed:
    """Frames a second: images and masks decoded alone, resized and judged alone, and scored by each engine."""

    network: str
    frames: int
    cores: int
    decoding_hz: float
    judging_hz: float
    engines: tuple[EngineScoring, ...]


def measure_scoring(path: Path, weights_path: Path) -> ScoringSpeed:
    """Score the first frames of a folder or zip with masks; the fastest of ROUNDS interleaved rounds counts.

    The engines are plain PyTorch, the default engine of `score` (fp32), and the fastest engine in any precision.

    Raises UserError if no frame can be read.
    """
    refs = refs_of(path)[:MAX_FRAMES]
    weights = load_weights(weights_path)
    card = weights.card
    requests = [
        EngineRequest(name, precision=precision, streams=usable_cores())
        for name, precision in (("torch", "fp32"), ("auto", "fp32"), ("auto", "auto"))
    ]
    chosen = [choose_engine(weights, request, output=Output.PROBABILITIES).engine for request in requests]
    engines = {engine.spec: engine for engine in chosen}.values()
    frames = list(labelled_frames(refs, lambda _: None))
    if not frames:
        raise UserError(f"{path}: none of the frames could be read")
    sized = [resize_image(frame.image, card.input_height_px, card.input_width_px)[None] for frame in frames]

    def decode() -> Iterator[LabelledFrame]:
        return labelled_frames(refs, lambda _: None)

    def resize_and_judge(pair: tuple[LabelledFrame, NDArray[np.float32]]) -> None:
        resize_image(pair[0].image, card.input_height_px, card.input_width_px)
        judge(*pair, card)

    answered = list(predictions(next(iter(engines)), card, frames))
    ways: list[Callable[[], object]] = [lambda: list(decode()), partial(_run_alone, resize_and_judge, answered)]
    for engine in engines:
        ways.append(partial(_run_alone, engine.run, sized))
        ways.append(partial(lambda scored: evaluate(scored, card, decode()), engine))
    decoding_hz, judging_hz, *others_hz = (len(frames) / seconds for seconds in _best_s(ways))
    rows = []
    for engine, network_hz, scoring_hz in zip(engines, others_hz[::2], others_hz[1::2], strict=True):
        limit_hz = 1 / (1 / decoding_hz + 1 / network_hz + 1 / judging_hz)
        name = f"{engine.spec.name} {engine.spec.precision}"
        rows.append(EngineScoring(name, network_hz, scoring_hz, scoring_hz / decoding_hz, scoring_hz / limit_hz))
    return ScoringSpeed(weights_path.stem, len(frames), usable_cores(), decoding_hz, judging_hz, tuple(rows))


def _run_alone(work: Callable[[Any], object], items: Sequence[Any]) -> None:
    for _ in map_in_order(work, items, usable_cores()):
        pass


def _best_s(ways: Sequence[Callable[[], object]]) -> list[float]:
    """The shortest time of each way; the ways run in turn."""
    best_s = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for i, way in enumerate(ways):
            begun_s = time.perf_counter()
            way()
            best_s[i] = min(best_s[i], time.perf_counter() - begun_s)
    return best_s
