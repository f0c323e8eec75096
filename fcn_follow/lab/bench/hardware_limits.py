"""The limits of this machine, measured: operations of a large dense convolution, bytes of a large copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from fcn_follow.inference.torch_engines import DTYPES

CHANNELS = {"cpu": 256, "cuda": 1024}
SIDE_PX = {"cpu": 40, "cuda": 128}  # on a CPU a few milliseconds, so that other work rarely interrupts it
COPIED_BYTES = 128 * 2**20  # more than any cache holds
ROUNDS = 30


@dataclass(frozen=True)
class HardwareLimit:
    """The limit for one device, precision and number of threads."""

    device: str
    precision: str
    threads: int
    gflop_s: float
    memory_gb_s: float

    def best(self, other: HardwareLimit) -> HardwareLimit:
        """The larger rates of two measurements."""
        return replace(
            self,
            gflop_s=max(self.gflop_s, other.gflop_s),
            memory_gb_s=max(self.memory_gb_s, other.memory_gb_s),
        )

    def shortest_ms(self, macs: int, moved_bytes: int) -> float:
        """The shortest time for this number of multiply-accumulates and of moved bytes."""
        return 1e3 * max(2 * macs / (1e9 * self.gflop_s), moved_bytes / (1e9 * self.memory_gb_s))


def measure_limit(device: str, precision: str, threads: int) -> HardwareLimit:
    """Measure the limit, which takes a second."""
    if device == "cpu":
        torch.set_num_threads(threads)
    channels, side_px, dtype = CHANNELS[device], SIDE_PX[device], DTYPES[precision]
    # a convolution: PyTorch's matrix product in fp32 reaches half of it on some CPUs
    form: dict[str, Any] = {"device": device, "dtype": dtype}
    pixels = torch.randn(1, channels, side_px, side_px, **form).to(memory_format=torch.channels_last)
    kernel = torch.randn(channels, channels, 3, 3, **form).to(memory_format=torch.channels_last)
    source = torch.zeros(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    with torch.inference_mode():
        convolution_s = _measured_s(lambda: F.conv2d(pixels, kernel, padding=1), device)
        copy_s = _measured_s(lambda: target.copy_(source), device)
    operations = 2 * 9 * channels**2 * side_px**2
    return HardwareLimit(device, precision, threads, 1e-9 * operations / convolution_s, 2e-9 * COPIED_BYTES / copy_s)


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
