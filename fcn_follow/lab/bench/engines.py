"""Engines x networks x threads x batch; all engines take each frame in turn, so that ratios hold on a busy machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.choice import ALLOWED, REFERENCE
from fcn_follow.inference.engine import Engine, EngineSpec, check_installed, open_engine
from fcn_follow.inference.verification import Verification, drawn_frames
from fcn_follow.lab.bench.hardware_limits import HardwareLimit, best_s, measure_limit
from fcn_follow.networks.summary import count_macs
from fcn_follow.networks.weights import LoadedWeights, load_weights

WARM_UP = 3
Name = TypeVar("Name")
Limits = dict[tuple[str, str, int], HardwareLimit]  # by device, precision and threads


@dataclass(frozen=True)
class Plan:
    """Every engine is measured with every network, number of threads and batch; size_px 0 means the card's size."""

    weights: Sequence[Path]
    engines: Sequence[str]
    device: str = "cpu"
    threads: Sequence[int] = (1,)
    batches: Sequence[int] = (1,)
    size_px: int = 0
    rounds: int = 50


@dataclass(frozen=True)
class Speed:
    """An engine's times for a batch in one interleaved run, or why it has none.

    best_ms is the 5th percentile: what a batch takes when nothing else runs. times_faster is best_ms of plain PyTorch
    (fp32, same threads and batch) divided by it; share_of_limit is the shortest time that the machine's measured
    limits allow, divided by it.
    """

    network: str
    engine: str
    precision: str
    device: str
    threads: int
    batch: int
    height_px: int
    width_px: int
    best_ms: float = 0.0
    median_ms: float = 0.0
    p99_ms: float = 0.0
    frames_per_s: float = 0.0
    times_faster: float = 0.0
    share_of_limit: float = 0.0
    problem: str = ""


def specs_of(engine: str, device: str, threads: int) -> list[EngineSpec]:
    """An engine in each of its precisions on a device. Raises UserError where it is not installed."""
    check_installed(engine)
    return [EngineSpec(engine, device, precision, threads) for precision in ALLOWED.get((engine, device), ())]


def measure(plan: Plan, limits: Limits, on_step: Callable[[str], None]) -> Iterator[Speed]:
    """Measure the plan, and fill `limits` with the limits that the shares refer to."""
    for path in plan.weights:
        weights = load_weights(path)
        if plan.size_px:
            card = replace(weights.card, input_height_px=plan.size_px, input_width_px=plan.size_px)
            weights = LoadedWeights(weights.network, card)
        verification = Verification(weights)
        for threads in plan.threads:
            reference = EngineSpec(REFERENCE, plan.device, "fp32", threads)
            others = [spec for name in plan.engines for spec in specs_of(name, plan.device, threads)]
            specs = list(dict.fromkeys([reference, *others]))
            for spec in specs:
                key = (spec.device, spec.precision, threads)
                if key not in limits:
                    on_step(f"limits of {spec.device} in {spec.precision}")
                    limits[key] = measure_limit(*key)
            for batch in plan.batches:
                on_step(f"{path.stem}, {threads} threads, batch {batch}")
                yield from _interleaved(path.stem, weights, verification, specs, batch, plan.rounds, limits)


def in_turn_s(engines: Mapping[Name, Engine], frames: NDArray[np.uint8], rounds: int) -> dict[Name, list[float]]:
    """The seconds that each engine takes for the same frames, the engines in turn, after a warm-up."""
    times_s: dict[Name, list[float]] = {name: [] for name in engines}
    for i in range(WARM_UP + rounds):
        for name, engine in engines.items():
            begun_s = time.perf_counter()
            engine.run(frames)
            if i >= WARM_UP:
                times_s[name].append(time.perf_counter() - begun_s)
    return times_s


def _interleaved(
    name: str,
    weights: LoadedWeights,
    verification: Verification,
    specs: Sequence[EngineSpec],
    batch: int,
    rounds: int,
    limits: Limits,
) -> Iterator[Speed]:
    card = weights.card
    engines: dict[EngineSpec, Engine] = {}
    problems: dict[EngineSpec, str] = {}
    for spec in specs:
        try:
            problems[spec] = verification.problem(open_engine(spec, weights))
            if not problems[spec]:
                engines[spec] = open_engine(spec, weights, batch=batch)
        except UserError as error:
            problems[spec] = str(error)
    drawn = drawn_frames(card.input_height_px, card.input_width_px)
    frames = np.stack([drawn[i % len(drawn)] for i in range(batch)])
    times_s = in_turn_s(engines, frames, rounds)
    shortest_s = {spec: best_s(times) for spec, times in times_s.items()}
    passes = 2 * batch if card.flip_average else batch  # the mirror image is a frame more
    macs = passes * count_macs(weights.network, card.input_height_px, card.input_width_px)
    parameters = sum(tensor.numel() for tensor in weights.network.parameters())
    for spec in specs:
        row = Speed(
            name, spec.name, spec.precision, spec.device, spec.threads, batch, card.input_height_px,
            card.input_width_px, problem=problems[spec],
        )  # fmt: skip
        if spec in shortest_s:
            number_bytes = 4 if spec.precision == "fp32" else 2
            moved = number_bytes * parameters + 4 * frames[..., 0].size  # weights, three bytes in and one out
            limit = limits[spec.device, spec.precision, spec.threads]
            row = replace(
                row,
                best_ms=1e3 * shortest_s[spec],
                median_ms=1e3 * statistics.median(times_s[spec]),
                p99_ms=1e3 * sorted(times_s[spec])[max(0, -(-99 * rounds // 100) - 1)],
                frames_per_s=batch / shortest_s[spec],
                times_faster=shortest_s[specs[0]] / shortest_s[spec],
                share_of_limit=limit.shortest_ms(macs, moved) / (1e3 * shortest_s[spec]),
            )
        yield row
