"""Tasks on processes and on a Ray cluster: results as they come, workers killed on the way, and what is resumed."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest
from deadly import DEADLY, DEADLY_ONCE, IMPOSSIBLE, Number, OfFile, of_file, square
from ros_tools import ROOT

from fcn_follow.errors import UserError
from fcn_follow.lab.spread import MAX_DEATHS, Deaths, Journal, _content, check_on, spread


@pytest.fixture(params=["2", "ray"])
def on(request, monkeypatch):
    """Two processes, or a Ray cluster of two workers on this machine."""
    if request.param == "2":
        yield "2"
        return
    ray = pytest.importorskip("ray", reason="Ray is an optional package of 80 MB: pip install 'ray[client]'")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'test' / 'support'}:" + ":".join(sys.path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield "ray"
    ray.shutdown()


def calls(notes: Path, value: int) -> int:
    return len(list(notes.glob(f"{value}_*")))


def test_a_worker_that_dies_costs_its_task_and_no_more(on, tmp_path):
    values = [1, 2, DEADLY_ONCE, 3, DEADLY, *range(4, 12)]
    deaths = Deaths()
    results = dict(spread(square, [Number(value, tmp_path) for value in values], on, deaths))
    assert results == {place: {"square": value**2} for place, value in enumerate(values) if value != DEADLY}
    assert deaths == Deaths(1 + MAX_DEATHS, [values.index(DEADLY)])
    assert {value: calls(tmp_path, value) for value in values} == {
        value: {DEADLY_ONCE: 2, DEADLY: MAX_DEATHS}.get(value, 1) for value in values
    }, "no other task was done twice"

    with pytest.raises(UserError, match="this is impossible"):
        list(spread(square, [Number(IMPOSSIBLE, tmp_path)] * 3, on, Deaths()))


def test_what_is_finished_is_kept_and_the_rest_is_done_on_resuming(tmp_path):
    tasks = [Number(value, tmp_path) for value in range(8)]
    path = tmp_path / "results.jsonl"
    with closing(Journal(path, resume=False)) as journal:
        running = journal.spread(square, tasks, "2", Deaths(), dict)
        first = dict(next(running) for _ in range(3))
        running.close()  # as by Ctrl-C
    path.open("a").write('{"task": {"notes": "cut o')
    before = {value: calls(tmp_path, value) for value in range(8)}
    with closing(Journal(path, resume=True)) as journal:
        results = dict(journal.spread(square, tasks, "2", Deaths(), dict))
    assert results == {value: {"square": value**2} for value in range(8)} | first
    assert all(calls(tmp_path, value) == before[value] == 1 for value in first)
    with closing(Journal(path, resume=True)) as journal:
        again = dict(journal.spread(square, [*tasks, Number(DEADLY, tmp_path)], "2", deaths := Deaths(), dict))
    assert again == results and deaths.given_up == [8]
    with closing(Journal(path, resume=False)) as journal:
        assert dict(journal.spread(square, tasks[:1], "1", Deaths(), dict)) == {0: {"square": 0}}
    assert len(path.read_text().splitlines()) == 1
    path.write_text("[1]\n")
    with pytest.raises(UserError, match=r"results.jsonl .*without --resume the command starts again"):
        Journal(path, resume=True)


def test_where_to_run_is_checked(monkeypatch):
    assert (check_on("", 3), check_on("ray", 3), check_on("ray://a-host:123", 3)) == ("3", "ray", "ray://a-host:123")
    with pytest.raises(UserError, match="--on slurm: give ray, or ray://HOST"):
        check_on("slurm", 2)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="needs Ray, which is not installed: pip install"):
        list(spread(square, [], "ray", Deaths()))


def test_a_file_that_is_no_longer_the_same_makes_another_task(tmp_path):
    """Weights that were replaced under their name: the earlier results are of others."""
    path, notes = tmp_path / "results.jsonl", tmp_path / "notes"
    for content, times in (("old", 1), ("new", 2), ("new", 2)):
        notes.mkdir(exist_ok=True)
        weights = tmp_path / "weights"
        weights.write_text(content)
        _content.cache_clear()
        with closing(Journal(path, resume=True)) as journal:
            results = dict(journal.spread(of_file, [OfFile(weights, notes)], "1", Deaths(), dict))
        assert results == {0: {"content": content}}
        assert len(list(notes.iterdir())) == times


@pytest.mark.parametrize(
    "text", ['{"task": 1}\n', "[]\n", "nonsense\n", '{"task": {"value": 1, "notes": ["%s", ""]}, "result": 5}\n']
)
def test_a_damaged_journal_is_one_sentence(tmp_path, text):
    path = tmp_path / "results.jsonl"
    path.write_text(text % tmp_path if "%s" in text else text)
    reason = "results.jsonl is damaged or of another version; without --resume"
    with pytest.raises(UserError, match=reason), closing(Journal(path, resume=True)) as journal:
        list(journal.spread(square, [Number(1, tmp_path)], "1", Deaths(), lambda kept: dict(**kept)))


def test_a_folder_is_no_journal(tmp_path):
    with pytest.raises(UserError, match=f"cannot use {tmp_path}: Is a directory"):
        Journal(tmp_path, resume=False)
