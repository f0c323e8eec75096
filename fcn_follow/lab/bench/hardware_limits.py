"""The limits of this machine, measured: operations of a large matrix product, bytes of a large copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fcn_follow.inference.torch_engines import DTYPES

MATRIX_SIDE = {"cpu": 512, "cuda": 8192}  # on a CPU a few milliseconds, which other work seldom interrupts
COPIED_BYTES = 128 * 2**20  # more than any cache holds
ROUNDS = 60


@dataclass(frozen=True)
class HardwareLimit:
    """The limit for one device, precision and number of threads."""

    device: str
    precision: str
    threads: int
    gflop_s: float
    memory_gb_s: float

    def shortest_ms(self, macs: int, moved_bytes: int) -> float:
        """The shortest time for this number of multiply-accumulates and of moved bytes."""
        return 1e3 * max(2 * macs / (1e9 * self.gflop_s), moved_bytes / (1e9 * self.memory_gb_s))


def measure_limit(device: str, precision: str, threads: int) -> HardwareLimit:
    """Measure the limit, which takes a second or two."""
    if device == "cpu":
        torch.set_num_threads(threads)
    side = MATRIX_SIDE[device]
    matrix = torch.randn(side, side, device=device).to(DTYPES[precision])
    source = torch.zeros(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_s = _measured_s(lambda: matrix @ matrix, device)
    copy_s = _measured_s(lambda: target.copy_(source), device)
    return HardwareLimit(device, precision, threads, 2e-9 * side**3 / product_s, 2e-9 * COPIED_BYTES / copy_s)


def best_s(times_s: Sequence[float]) -> float:
    """The fifth percentile, never below the shortest time: what the machine does when nothing disturbs it."""
    return statistics.quantiles(times_s, n=20, method="inclusive")[0]


def _measured_s(work: Callable[[], Tensor], device: str) -> float:
    times_s = []
    for _ in range(ROUNDS):
        begun_s = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times_s.append(time.perf_counter() - begun_s)
    return best_s(times_s)
