"""Damaged and hostile files of each kind, read as the package reads them: each is read, or refused in one line.

A trial is made from its kind, the seed and its number alone. It runs in a worker process of bounded memory; whatever
else than success or UserError comes of it, a trial that takes too long or too much memory among it, is a finding.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fuzz_kinds import KINDS  # noqa: E402

TRIAL_S, MEMORY_BYTES = 20.0, 1 << 30


def try_one(folder: Path, kind: str, seed: int, number: int) -> str:
    """Empty where the file was read, "refused", or what is wrong. The trial's files are in the folder."""
    from fcn_follow.errors import UserError

    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is now what is in use
    before_kb = peak_kb()
    try:
        KINDS[kind](folder, random.Random(f"{kind} {seed} {number}"))
        outcome = ""
    except UserError as error:
        outcome = "refused" if len(str(error).splitlines()) == 1 and len(str(error)) <= 4000 else f"long: {error}"
    except BaseException:
        outcome = traceback.format_exc()
    grown_bytes = (peak_kb() - before_kb) * 1024
    return f"took {grown_bytes >> 20} MB" if grown_bytes > MEMORY_BYTES // 2 else outcome


def peak_kb() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def work(pipe: Connection, folder: Path) -> None:
    """Run the trials that the pipe names, one after the other."""
    import openvino  # noqa: F401 - and all it brings, before the memory is bounded

    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * MEMORY_BYTES, resource.RLIM_INFINITY))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders complain there
    while True:
        kind, seed, number = pipe.recv()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        pipe.send(try_one(folder, kind, seed, number))


class Worker:
    """A process for trials; a trial that ends or blocks it is a finding, and the next gets a new one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipe, theirs = mp.Pipe()
        self.process = mp.get_context("spawn").Process(target=work, args=(theirs, folder), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, kind: str, seed: int, number: int, timeout_s: float) -> str:
        self.pipe.send((kind, seed, number))
        try:
            return self.pipe.recv() if self.pipe.poll(timeout_s) else f"took more than {timeout_s:g} s"
        except EOFError:
            self.process.join()
            return f"the process died ({self.process.exitcode})"

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def fuzz(kinds: list[str], seconds: float, seed: int, out: Path, first: int = 0, last: int = sys.maxsize) -> int:
    """Try the kinds in turn; how many findings there were. Each one's files and report go to a folder in `out`."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    slowest_s = dict.fromkeys(kinds, 0.0)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as scratch, Progress(*columns, console=console) as progress:
        task, worker, end_s = progress.add_task("fuzzing", total=seconds), None, time.monotonic() + seconds
        number = first
        while time.monotonic() < end_s and number <= last:
            for kind in kinds:
                fresh = worker is None
                worker = worker or Worker(Path(scratch) / "trial")
                begun_s = time.monotonic()
                outcome = worker.run(kind, seed, number, TRIAL_S + 60.0 * fresh)
                slowest_s[kind] = max(slowest_s[kind], 0.0 if fresh else time.monotonic() - begun_s)
                counts[kind]["read" if not outcome else "refused" if outcome == "refused" else "findings"] += 1
                if outcome not in ("", "refused"):
                    worker.stop()
                    found = out / f"{kind}-{seed}-{number}"
                    shutil.copytree(worker.folder, found / "files", dirs_exist_ok=True)
                    again = f"scripts/fuzz --seed {seed} --trial {number} {kind}\n\n"
                    (found / "report.txt").write_text(again + outcome)
                    progress.console.print(f"{found}: {outcome.splitlines()[-1][:200]}", markup=False)
                    worker = None
                done = sum(counter.total() for counter in counts.values())
                progress.update(task, completed=seconds - (end_s - time.monotonic()), description=f"{done} trials")
            number += 1
        if worker:
            worker.stop()
    table = Table("kind", "read", "refused", "findings", "slowest ms")
    for kind, counter in counts.items():
        figures = [str(counter[key]) for key in ("read", "refused", "findings")]
        table.add_row(kind, *figures, f"{1e3 * slowest_s[kind]:.0f}")
    Console().print(table)
    return sum(counter["findings"] for counter in counts.values())


def main() -> int:
    """The command: 1 where there are findings."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default all")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long; default 60")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other trials")
    parser.add_argument("--trial", type=int, help="only this trial, as a report names it")
    parser.add_argument("--out", type=Path, default=ROOT / "fuzz_findings", help="folder for the findings")
    options = parser.parse_args()
    unknown = sorted(set(options.kinds) - set(KINDS))
    if unknown:
        parser.error(f"no kind {unknown[0]}; known are {', '.join(KINDS)}")
    bounds = (0, sys.maxsize) if options.trial is None else (options.trial, options.trial)
    return int(fuzz(options.kinds or list(KINDS), options.seconds, options.seed, options.out, *bounds) > 0)


if __name__ == "__main__":
    sys.exit(main())
