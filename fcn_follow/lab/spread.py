"""Many tasks on many processes, of this machine or of a Ray cluster. If a worker dies, only its task is lost.

The task is then given to another worker, up to MAX_DEATHS times. A `Journal` keeps each result, so that a command can
continue where it was stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import re
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from fcn_follow.errors import UserError

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
MAX_DEATHS = 3
RAY_PORT = 10001
_PIECE_BYTES = 1 << 20
IN_FLIGHT = 2  # tasks for each CPU of a cluster, so that none waits for its next


@dataclass
class Deaths:
    """The deaths of workers so far: their number, and the places of the tasks that were given up."""

    count: int = 0
    given_up: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.count} workers died; their tasks were done again, except {len(self.given_up)} that were given up "
            f"after {MAX_DEATHS} deaths"
        )


class Journal:
    """A file of lines {"task": ..., "result": ...} in JSON; with `resume` the results in it are not computed again."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Raises UserError if the file cannot be read or written."""
        self._done: dict[str, Any] = {}
        try:
            whole = path.read_bytes() if resume and path.is_file() else b""
            whole = whole[: whole.rfind(b"\n") + 1]  # the last line may be cut off
            for line in whole.splitlines():
                entry = json.loads(line)
                self._done[_key(entry["task"])] = entry["result"]
            self._file = path.open("ab")
            self._file.truncate(len(whole))
        except OSError as error:
            raise UserError(f"cannot use {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(path) from error

    @staticmethod
    def _damaged(path: Path) -> UserError:
        return UserError(f"{path} is damaged or of another version; without --resume the command starts again")

    def spread(
        self,
        work: Callable[[TaskT], ResultT],
        tasks: Sequence[TaskT],
        on: str,
        deaths: Deaths,
        decode: Callable[[Any], ResultT | None],
    ) -> Iterator[tuple[int, ResultT]]:
        """Like `spread`, with the results of an earlier run first.

        Args:
            work: called with a dataclass; its result is a dataclass or a dictionary.
            tasks: dataclasses.
            on: as in `spread`.
            deaths: as in `spread`.
            decode: makes a result from its JSON; None if the task must be done again.

        Raises UserError if the disk is full, or the file holds what `decode` does not take.
        """
        keys = [_key(asdict(task)) for task in tasks]  # type: ignore[call-overload]
        left = []
        for place, key in enumerate(keys):
            try:
                earlier = decode(self._done[key]) if key in self._done else None
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise self._damaged(Path(self._file.name)) from error
            if earlier is not None:
                yield place, earlier
            else:
                left.append(place)
        own = Deaths()
        try:
            for index, result in spread(work, [tasks[place] for place in left], on, own):
                kept = result if isinstance(result, dict) else asdict(result)  # type: ignore[call-overload]
                self._write(f'{{"task": {keys[left[index]]}, "result": {json.dumps(kept)}}}\n')
                yield left[index], result
        finally:
            deaths.count += own.count
            deaths.given_up += [left[index] for index in own.given_up]

    def _write(self, line: str) -> None:
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise UserError(f"cannot write to {self._file.name}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _key(task: Mapping[str, Any]) -> str:
    """The task as text; a file, such as weights, by its content too."""
    return json.dumps(task, sort_keys=True, default=lambda value: [str(value), _content(value)])


@cache
def _content(path: Any) -> str:
    """The SHA-256 of a file, read in pieces: a recording may be larger than the memory; empty for anything else."""
    if not (isinstance(path, Path) and path.is_file()):
        return ""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


class _DiedError(Exception):
    """The worker has died; not an error of the task."""


def spread(
    work: Callable[[TaskT], ResultT], tasks: Sequence[TaskT], on: str, deaths: Deaths
) -> Iterator[tuple[int, ResultT]]:
    """Do all tasks and yield the place of each with its result, as they are done.

    Args:
        work: a function of a module that every worker can import; its task and result are pickled.
        tasks: what it is called with.
        on: a number of processes of this machine (1: this process itself), `ray`, or `ray://HOST[:PORT]`.
        deaths: filled on the way.

    Raises what `work` raises, and UserError if Ray is not installed or does not answer.
    """
    if on == "1":
        yield from enumerate(map(work, tasks))
        return
    workers: _OnRay | _Processes  # `next` waits for a result or an exception, and gives it with the task's place
    workers = _OnRay(work, on) if on.startswith("ray") else _Processes(work, min(int(on), len(tasks)))
    died = [0] * len(tasks)
    waiting, running = deque(range(len(tasks))), 0
    try:
        while waiting or running:
            while waiting and workers.is_free():
                place = waiting.popleft()
                workers.submit(place, tasks[place])
                running += 1
            place, result = workers.next()
            running -= 1
            if isinstance(result, _DiedError):
                deaths.count += 1
                died[place] += 1
                if died[place] < MAX_DEATHS:
                    waiting.append(place)
                else:
                    deaths.given_up.append(place)
            elif isinstance(result, Exception):
                raise result
            else:
                yield place, result
    finally:
        workers.close()


def check_on(on: str, processes: int) -> str:
    """The argument `on` of `spread` from --on and --processes. Raises UserError for an unknown --on."""
    if on and not re.fullmatch(r"ray(://[\w.\-]+(:\d{1,5})?)?", on):
        raise UserError(f"--on {on}: give ray, or ray://HOST[:PORT] of a running cluster; without it: --processes")
    return on or str(processes)


class _Processes:
    """Processes of this machine, each at the other end of a pipe."""

    def __init__(self, work: Callable[[Any], Any], count: int) -> None:
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._idle = [self._started() for _ in range(count)]
        self._busy: dict[Connection, tuple[int, BaseProcess]] = {}

    def is_free(self) -> bool:
        return bool(self._idle)

    def submit(self, place: int, task: Any) -> None:
        connection, process = self._idle.pop()
        self._busy[connection] = place, process
        with contextlib.suppress(OSError):  # it has died while it was idle; `next` finds out
            connection.send(task)

    def next(self) -> tuple[int, Any]:
        connection = wait(list(self._busy))[0]
        assert isinstance(connection, Connection)
        place, process = self._busy.pop(connection)
        try:
            result = connection.recv()
        except (EOFError, OSError):
            connection.close()
            process.join()
            self._idle.append(self._started())
            return place, _DiedError()
        self._idle.append((connection, process))
        return place, result

    def close(self) -> None:
        ends = [*self._idle, *((connection, process) for connection, (_, process) in self._busy.items())]
        for connection, process in ends:
            connection.close()
            process.terminate()
        for _, process in ends:
            process.join()

    def _started(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        process.start()
        theirs.close()  # so that its death ends the pipe
        return ours, process


def _serve(connection: Connection, work: Callable[[Any], Any]) -> None:
    """Do tasks in a worker process until the pipe ends. A terminal sends Ctrl-C to all; the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            result: Any = work(task)
        except UserError as error:
            result = error
        except Exception:
            result = RuntimeError(traceback.format_exc())
        connection.send(result)


class _OnRay:
    """The workers of a Ray cluster: `ray` is that of RAY_ADDRESS, or one of this machine."""

    def __init__(self, work: Callable[[Any], Any], on: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError(f"--on {on} needs Ray, which is not installed: pip install 'ray[client]'") from error
        self._ray = ray
        address = on if re.fullmatch(r"ray|.*:\d+", on) else f"{on}:{RAY_PORT}"
        self._was_running = ray.is_initialized()
        if not self._was_running:
            try:
                ray.init(None if on == "ray" else address, log_to_driver=False)
            except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"--on {on}: no Ray cluster answers there ({error}); with tokens, set RAY_AUTH_MODE=token here"
                ) from error

        def fcn_follow_task(task: Any) -> Any:
            return work(task)

        self._remote = ray.remote(max_retries=0)(fcn_follow_task)  # retried and counted here
        self._places: dict[Any, int] = {}

    def is_free(self) -> bool:
        cores = float(self._ray.cluster_resources().get("CPU", 1))
        return len(self._places) < max(IN_FLIGHT * cores, 1)

    def submit(self, place: int, task: Any) -> None:
        self._places[self._remote.remote(task)] = place

    def next(self) -> tuple[int, Any]:
        (done,), _ = self._ray.wait(list(self._places), num_returns=1)
        place = self._places.pop(done)
        try:
            return place, self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            return place, error.cause if isinstance(error.cause, UserError) else RuntimeError(str(error))
        except self._ray.exceptions.RayError:  # the worker, its node, or the node that held the result
            return place, _DiedError()

    def close(self) -> None:
        for reference in self._places:
            self._ray.cancel(reference, force=True)
        if not self._was_running:
            self._ray.shutdown()
