"""A cache of the measurements of engines, one JSON file for each key; a damaged file counts as missing.

The folder is $XDG_CACHE_HOME/fcn_follow/engines, by default below ~/.cache. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fcn_follow.files import written_aside
from fcn_follow.inference.engine import EngineSpec
from fcn_follow.inference.kinds import ENGINES, PRECISIONS
from fcn_follow.share import cache_directory, make_cache

MAX_BYTES = 100_000


@dataclass(frozen=True)
class Trial:
    """The measurement of an engine: its median time for a frame, or why it cannot be used.

    `broke` says whether it failed with an unexpected exception; such a trial is not cached.
    """

    spec: EngineSpec
    frame_ms: float = 0.0
    problem: str = ""
    broke: bool = False


def cache_folder() -> Path:
    """The folder of the files, which may not exist."""
    return cache_directory() / "engines"


def read_trials(key: str) -> list[Trial]:
    """The trials under a key; empty if the file is missing or damaged."""
    path = _path(key)
    try:
        if path.stat().st_size > MAX_BYTES:
            return []
        cached = json.loads(path.read_text(encoding="utf-8"))
        if cached["key"] != key:
            return []
        trials = [Trial(EngineSpec(**trial["spec"]), trial["frame_ms"], trial["problem"]) for trial in cached["trials"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return trials if all(map(_is_sound, trials)) else []


def write_trials(key: str, trials: Sequence[Trial]) -> None:
    """Cache trials atomically; if that fails, the next start measures again."""
    with contextlib.suppress(OSError):
        make_cache("engines")
        with written_aside(_path(key)) as part:
            part.write_text(json.dumps({"key": key, "trials": list(map(dataclasses.asdict, trials))}, indent=1))


def _path(key: str) -> Path:
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def _is_sound(trial: Trial) -> bool:
    spec, time_ms = trial.spec, trial.frame_ms
    return (
        spec.name in ENGINES
        and spec.device in ("cpu", "cuda")
        and spec.precision in PRECISIONS
        and type(spec.threads) is int
        and spec.threads > 0
        and type(spec.streams) is int
        and spec.streams > 0
        and isinstance(time_ms, (int, float))
        and math.isfinite(time_ms)
        and isinstance(trial.problem, str)
    )
