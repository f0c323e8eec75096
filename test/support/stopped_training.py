"""A training that the user stops with Ctrl-C after the first checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fcn_follow.lab.training.trainer import Trainer


@contextmanager
def stopped_after_a_checkpoint() -> Iterator[None]:
    """Trainings in this process end so within the block."""
    save = Trainer._save_checkpoint

    def save_and_stop(trainer: Trainer) -> None:
        save(trainer)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_save_checkpoint", save_and_stop)
        yield
