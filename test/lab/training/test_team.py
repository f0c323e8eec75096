"""Processes that something else than torchrun has started."""

from __future__ import annotations

import pytest
import torch

from fcn_follow.errors import UserError
from fcn_follow.lab.training.team import join_team


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc' and no number"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "torchrun has not started this process"),
    ],
)
def test_another_starter_is_refused_and_does_not_train_the_same_twice(monkeypatch, variables, reason):
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=reason):
        join_team(torch.device("cpu"))


@pytest.mark.parametrize("variables", [{}, {"WORLD_SIZE": "1"}, {"TORCHELASTIC_RUN_ID": "x"}])
def test_one_process_trains_alone(monkeypatch, variables):
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert join_team(torch.device("cpu")).size == 1
