"""Engines x networks x threads x batch, compared with the usual alternatives.

All of them process each frame in turn, so that their ratios are also right on a busy machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.inference.choice import ALLOWED, REFERENCE
from fcn_follow.inference.engine import Answer, Engine, EngineSpec, open_engine
from fcn_follow.inference.kinds import ENGINES, missing_for
from fcn_follow.inference.verification import Verification, drawn_frames
from fcn_follow.lab.bench.baselines import BASELINES
from fcn_follow.lab.bench.hardware_limits import HardwareLimit, best_s, measure_limit
from fcn_follow.networks.summary import count_macs
from fcn_follow.networks.weights import LoadedWeights, load_weights

WARM_UP = 3
Name = TypeVar("Name")
Limits = dict[tuple[str, str, int], HardwareLimit]  # by device, precision and threads


@dataclass(frozen=True)
class Plan:
    """Every contender is measured with every network, number of threads and batch; size_px 0 means the card's size.

    precisions restricts them to these; empty: every one that a contender has.
    """

    weights: Sequence[Path]
    contenders: Sequence[str]
    device: str = "cpu"
    threads: Sequence[int] = (1,)
    batches: Sequence[int] = (1,)
    size_px: int = 0
    rounds: int = 50
    precisions: Sequence[str] = ()


@dataclass(frozen=True)
class Speed:
    """A contender's times for a batch in one interleaved run, or why it has none.

    ours says whether it is an engine of this package; the others run the plain network. best_ms is the 5th percentile:
    what a batch takes when nothing else runs. times_faster is best_ms of plain PyTorch (fp32, same threads and batch)
    divided by it; share_of_limit is the shortest time that the machine's measured limits allow, divided by it.
    """

    network: str
    engine: str
    ours: bool
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
    macs: int = 0
    moved_bytes: int = 0
    share_of_limit: float = 0.0
    problem: str = ""


def contenders(device: str) -> list[str]:
    """The names of all that can be measured on a device: plain PyTorch, the baselines and the engines of the package.

    Libraries that are not installed are included; their rows say so.
    """
    engines = [name for name in ENGINES if (name, device) in ALLOWED]
    baselines = [name for name, baseline in BASELINES.items() if device in baseline.precisions]
    return [REFERENCE, *baselines, *engines[1:]]


def specs_of(name: str, device: str, threads: int) -> list[EngineSpec]:
    """A contender in each of its precisions on a device."""
    baseline = BASELINES.get(name)
    precisions = baseline.precisions[device] if baseline else ALLOWED[_engine(name), device]
    return [EngineSpec(name, device, precision, threads) for precision in precisions]


def _engine(name: str) -> str:
    """The engine of the package with a contender's libraries and precisions."""
    return BASELINES[name].engine if name in BASELINES else name


def _open(spec: EngineSpec, weights: LoadedWeights, batch: int) -> Engine:
    """Raises UserError if it is not installed or does not take the network."""
    if missing := missing_for(_engine(spec.name)):
        raise UserError(f"not installed: {missing}")
    try:
        if spec.name in BASELINES:
            return BASELINES[spec.name].make(spec, weights, batch)
        return open_engine(spec, weights, batch=batch)
    except UserError:
        raise
    except Exception as error:  # converters raise anything
        first_sentence = (str(error).strip().splitlines() or [""])[0].partition(". ")[0]
        raise UserError(f"does not take it ({type(error).__name__}: {first_sentence})") from error


class _OneFrame:
    """An engine for batches that is given one frame, which it gets `batch` times."""

    def __init__(self, engine: Engine, batch: int) -> None:
        self.spec, self.device_name = engine.spec, engine.device_name
        self._engine, self._batch = engine, batch

    def run(self, images: NDArray[np.uint8]) -> Answer:
        return self._engine.run(np.repeat(images, self._batch, axis=0))


def measure(plan: Plan, limits: Limits, on_step: Callable[[str], None]) -> list[Speed]:
    """Measure the plan, and fill `limits` with the limits that the shares refer to.

    The limits are measured before and after each network; the best rates count, as those of an undisturbed machine.
    """
    speeds = []
    for path in plan.weights:
        weights = load_weights(path)
        if plan.size_px:
            card = replace(weights.card, input_height_px=plan.size_px, input_width_px=plan.size_px)
            weights = LoadedWeights(weights.network, card)
        verification = Verification(weights)
        for threads in plan.threads:
            reference = EngineSpec(REFERENCE, plan.device, "fp32", threads)
            others = [
                spec
                for name in plan.contenders
                for spec in specs_of(name, plan.device, threads)
                if not plan.precisions or spec.precision in plan.precisions
            ]
            specs = list(dict.fromkeys([reference, *others]))
            _measure_limits(specs, limits, on_step)
            for batch in plan.batches:
                on_step(f"{path.stem}, {threads} threads, batch {batch}")
                speeds += _interleaved(path.stem, weights, verification, specs, batch, plan.rounds)
            _measure_limits(specs, limits, on_step)
    return [row if row.problem else _with_share(row, limits) for row in speeds]


def _measure_limits(specs: Sequence[EngineSpec], limits: Limits, on_step: Callable[[str], None]) -> None:
    for key in dict.fromkeys((spec.device, spec.precision, spec.threads) for spec in specs):
        on_step(f"limits of {key[0]} in {key[1]}")
        measured = measure_limit(*key)
        limits[key] = measured.best(limits.get(key, measured))


def _with_share(row: Speed, limits: Limits) -> Speed:
    shortest_ms = limits[row.device, row.precision, row.threads].shortest_ms(row.macs, row.moved_bytes)
    return replace(row, share_of_limit=shortest_ms / row.best_ms)


def in_turn_s(engines: Mapping[Name, Engine], frames: NDArray[np.uint8], rounds: int) -> dict[Name, list[float]]:
    """The seconds that each engine takes for the same frames, the engines in turn, after a warm-up."""
    times_s: dict[Name, list[float]] = {name: [] for name in engines}
    torch.set_flush_denormal(True)  # as a user of plain PyTorch would for speed
    try:
        for i in range(WARM_UP + rounds):
            for name, engine in engines.items():
                begun_s = time.perf_counter()
                engine.run(frames)
                if i >= WARM_UP:
                    times_s[name].append(time.perf_counter() - begun_s)
    finally:
        torch.set_flush_denormal(False)
    return times_s


def _interleaved(
    name: str,
    weights: LoadedWeights,
    verification: Verification,
    specs: Sequence[EngineSpec],
    batch: int,
    rounds: int,
) -> list[Speed]:
    card = weights.card
    engines: dict[EngineSpec, Engine] = {}
    problems: dict[EngineSpec, str] = {}
    for spec in specs:
        try:
            engine = _open(spec, weights, batch)
            problems[spec] = verification.problem(_OneFrame(engine, batch))
            if not problems[spec]:
                engines[spec] = engine
        except UserError as error:
            problems[spec] = str(error)
    drawn = drawn_frames(card.input_height_px, card.input_width_px)
    frames = np.stack([drawn[i % len(drawn)] for i in range(batch)])
    times_s = in_turn_s(engines, frames, rounds)
    shortest_s = {spec: best_s(times) for spec, times in times_s.items()}
    passes = 2 * batch if card.flip_average else batch  # the mirror image is one more frame
    macs = passes * count_macs(weights.network, card.input_height_px, card.input_width_px)
    parameters = sum(tensor.numel() for tensor in weights.network.parameters())
    rows = []
    for spec in specs:
        row = Speed(
            name, spec.name, spec.name in ENGINES and spec.name != REFERENCE, spec.precision, spec.device, spec.threads,
            batch, card.input_height_px, card.input_width_px, problem=problems[spec],
        )  # fmt: skip
        if spec in shortest_s:
            number_bytes = 4 if spec.precision == "fp32" else 2
            row = replace(
                row,
                best_ms=1e3 * shortest_s[spec],
                median_ms=1e3 * statistics.median(times_s[spec]),
                p99_ms=1e3 * float(np.percentile(times_s[spec], 99)),
                frames_per_s=batch / shortest_s[spec],
                times_faster=shortest_s.get(specs[0], 0.0) / shortest_s[spec],  # 0 if the reference has a problem
                macs=macs,
                moved_bytes=number_bytes * parameters + 4 * frames[..., 0].size,  # weights, three bytes in and one out
            )
        rows.append(row)
    return rows
