"""How fast frames are scored: limited by decoding them, or by the network?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from fcn_follow.deployment.choice import EngineRequest, choose_engine
from fcn_follow.errors import UserError
from fcn_follow.networks.weights import load_weights
from fcn_follow.perception.engines.engine import EngineSpec, Output, open_engine
from fcn_follow.scoring.evaluation import evaluate, labelled_frames, refs_of

MOST_FRAMES = 200


@dataclass(frozen=True)
class ScoringSpeed:
    """Frames a second: decoded alone; decoded and scored by plain PyTorch; the same by the fastest engine."""

    frames: int
    engine: str
    decoding_hz: float
    eager_hz: float
    engine_hz: float


def measure_scoring(path: Path, weights_path: Path) -> ScoringSpeed:
    """Score the first frames of a folder or zip with masks in each way. Raises UserError where none can be read."""
    refs = refs_of(path)[:MOST_FRAMES]
    weights = load_weights(weights_path)
    chosen = choose_engine(weights, EngineRequest(), output=Output.PROBABILITIES).engine
    eager = open_engine(EngineSpec(device=chosen.spec.device), weights, Output.PROBABILITIES)
    found = sum(1 for _ in labelled_frames(refs, lambda _: None))  # the first reading fills the disk's cache
    if not found:
        raise UserError(f"{path}: none of the frames could be read")
    begun_s = time.perf_counter()
    for _ in labelled_frames(refs, lambda _: None):
        pass
    seconds = [time.perf_counter() - begun_s]
    for engine in (eager, chosen):
        begun_s = time.perf_counter()
        evaluate(engine, weights.card, labelled_frames(refs, lambda _: None))
        seconds.append(time.perf_counter() - begun_s)
    decoding_hz, eager_hz, engine_hz = (found / value for value in seconds)
    return ScoringSpeed(found, f"{chosen.spec.name} {chosen.spec.precision}", decoding_hz, eager_hz, engine_hz)
