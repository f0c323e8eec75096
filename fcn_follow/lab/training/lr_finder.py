"""The learning-rate range test (Smith, 2017): raise the rate step by step and watch the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.lab.plots import write_png
from fcn_follow.lab.training.sampling import epoch_indices, frame_weights
from fcn_follow.lab.training.trainer import Trainer

SMOOTHING = 0.9
DIVERGED = 4.0  # times the lowest smoothed loss
SETTLING_STEPS = 5  # the first losses fall at any rate
MIN_STEPS = 10


@dataclass(frozen=True)
class RangeTest:
    """The tried rates, rising, with the smoothed loss at each; two suggestions."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest, for a constant schedule."""
        slopes = [after - before for before, after in pairwise(self.losses)][SETTLING_STEPS:]
        return self.rates[SETTLING_STEPS + slopes.index(min(slopes))]

    @property
    def highest(self) -> float:
        """A tenth of the rate with the lowest loss, or the steepest if that is higher: for one_cycle and cosine."""
        return max(self.rates[self.losses.index(min(self.losses))] / 10, self.steepest)


def range_test(
    trainer: Trainer, lowest: float, highest: float, steps: int, on_step: Callable[[float, float], None]
) -> RangeTest:
    """Train from `lowest` to `highest` in equal factors, until the loss is DIVERGED times its minimum or NaN.

    The trainer's network is useless afterwards. on_step gets each rate and its smoothed loss.

    Raises UserError where the loss diverges before there is a curve.
    """
    parameters = trainer.parameters
    weights = frame_weights(trainer.bank, parameters)
    indices = epoch_indices(weights, steps * parameters.batch_size, parameters.sampling, trainer.order)
    trainer.network.train()
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    for step in range(steps):
        rate = lowest * (highest / lowest) ** (step / max(steps - 1, 1))
        batch = trainer.batch(indices[step * parameters.batch_size : (step + 1) * parameters.batch_size])
        loss, _ = trainer.step(batch, rate)
        average = SMOOTHING * average + (1 - SMOOTHING) * float(loss)
        smooth = average / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(smooth) or (losses and smooth > DIVERGED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        on_step(rate, smooth)
    if len(rates) < MIN_STEPS:
        raise UserError(f"the loss diverged after {len(rates)} steps; begin lower than {lowest:g}")
    return RangeTest(tuple(rates), tuple(losses))


def draw_range_test(path: Path, result: RangeTest, title: str) -> None:
    """The loss over the rate with both suggestions, as a PNG."""
    from matplotlib.figure import Figure  # here: a second to import, and only this function draws

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(result.rates, result.losses)
    for name, rate, colour in (("steepest", result.steepest, "C1"), ("highest", result.highest, "C2")):
        axes.axvline(rate, color=colour, linestyle=":", label=f"{name}: {rate:.2g}")
    axes.set(title=f"{title}: learning-rate range test", xscale="log", xlabel="learning rate", ylabel="smoothed loss")
    axes.legend()
    axes.grid(alpha=0.3)
    write_png(path, figure)
