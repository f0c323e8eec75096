"""The split into frames for training, for choosing and for judging: by run, never by frame.

Neighbouring frames of a run are almost the same image, so a random share of frames would overstate every score.
config/split.yaml names the runs that choose and the runs that judge; all others train.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fcn_follow.errors import UserError
from fcn_follow.lab.data.frames import FrameSet
from fcn_follow.yaml_text import read_yaml

Item = TypeVar("Item")


@dataclass(frozen=True)
class FrameRef:
    """One frame of a set, by its index there."""

    frames: FrameSet
    index: int

    @property
    def name(self) -> str:
        return f"{self.frames.name}/{self.frames.keys[self.index]}"

    @property
    def run(self) -> str:
        return self.frames.runs[self.index]


def all_frames(sets: Iterable[FrameSet]) -> list[FrameRef]:
    """Every frame of the sets, in order."""
    return [FrameRef(frames, index) for frames in sets for index in range(len(frames))]


def run_names(refs: Iterable[FrameRef]) -> str:
    """The runs of some frames, for a message."""
    return ", ".join(sorted({ref.run for ref in refs}))


def fraction_of(items: Sequence[Item], fraction: float) -> list[Item]:
    """A share of a sequence, evenly spread over it; at least one item."""
    count = max(round(len(items) * fraction), 1)
    return [items[i * len(items) // count] for i in range(count)]


@dataclass(frozen=True)
class HeldOutRuns:
    """The names of the runs that no training sees: those that choose, and those that judge."""

    choosing: frozenset[str]
    judging: frozenset[str]

    def __contains__(self, run: str) -> bool:
        return run in self.choosing or run in self.judging


def read_split(path: Path) -> HeldOutRuns:
    """The held-out runs of a split file (YAML, keys choosing_runs and judging_runs).

    Raises UserError for any other content, and where a run is in both lists.
    """
    content = read_yaml(path, "a split file")
    keys = ("choosing_runs", "judging_runs")
    lists = [content.get(key) for key in keys] if isinstance(content, dict) and set(content) == set(keys) else []
    if not lists or not all(isinstance(runs, list) and all(isinstance(run, str) for run in runs) for runs in lists):
        raise UserError(f"{path}: a split file has two keys, {' and '.join(keys)}, each with a list of run names")
    choosing, judging = (frozenset(runs) for runs in lists if isinstance(runs, list))
    if choosing & judging:
        raise UserError(f"{path}: {', '.join(sorted(choosing & judging))} cannot both choose and judge")
    return HeldOutRuns(choosing, judging)


def split_by_run(refs: Sequence[FrameRef], held_out: HeldOutRuns) -> tuple[list[FrameRef], list[FrameRef]]:
    """(training, choosing). Raises UserError if one side has no frames."""
    training = [ref for ref in refs if ref.run not in held_out]
    choosing = [ref for ref in refs if ref.run in held_out.choosing]
    if not training or not choosing:
        side = "training" if not training else "choosing"
        raise UserError(
            f"the split by run leaves no frame for {side}; the data has the runs {run_names(refs)}. For your own "
            "frames, name the runs that choose and judge in a file for --split, or hold out a share of each run by "
            "--held-out-share"
        )
    return training, choosing


def split_by_share(refs: Sequence[FrameRef], share: float) -> tuple[list[FrameRef], list[FrameRef]]:
    """(training, held out): the last share of each run is held out; the frames at the cut are almost the same image."""
    runs: dict[tuple[str, str], list[FrameRef]] = {}
    for ref in refs:
        runs.setdefault((ref.frames.name, ref.run), []).append(ref)
    training, held_out = [], []
    for run in runs.values():
        cut = len(run) - round(len(run) * share)
        training += run[:cut]
        held_out += run[cut:]
    if not training or not held_out:
        raise UserError(f"a held-out share of {share:g} of {len(refs)} frames leaves nothing on one side")
    return training, held_out


def refuse_leak(training: Sequence[FrameRef], held_out: Sequence[FrameRef]) -> None:
    """Raise UserError if a run is on both sides of a split."""
    both = sorted({ref.run for ref in training} & {ref.run for ref in held_out})
    if both:
        raise UserError(
            f"the split leaks: run {', '.join(both)} is on both sides, so the score would be too high; "
            "choose other runs, or accept it with --allow-same-run"
        )
