"""The schedule of the learning rate."""

from __future__ import annotations

import math

from fcn_follow.lab.training.recipe import TrainingParameters

ONE_CYCLE_RISE = 0.3
WARM_UP_SHARE = 0.03


def learning_rate(parameters: TrainingParameters, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (counted from 0 over the whole training).

    cosine warms up over the first 3 % and falls to 0; one_cycle rises over 30 % from 1/25 and falls to 1/10000
    (Smith and Topin, 2018); step multiplies by step_factor each step_epochs.
    """
    highest, total = parameters.learning_rate, parameters.epochs * steps_per_epoch
    done = step / max(total, 1)
    if parameters.schedule == "step":
        return highest * parameters.step_factor ** (step // steps_per_epoch // parameters.step_epochs)
    if parameters.schedule == "cosine":
        if done < WARM_UP_SHARE:
            return highest * (step + 1) / (WARM_UP_SHARE * total + 1)
        return _fall(highest, 0.0, (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))
    if parameters.schedule == "one_cycle":
        if done < ONE_CYCLE_RISE:
            return _fall(highest / 25, highest, done / ONE_CYCLE_RISE)
        return _fall(highest, highest / 1e4, (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))
    return highest


def _fall(start: float, end: float, share: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
