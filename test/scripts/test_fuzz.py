"""scripts/fuzz: it runs every kind, and tells what is a finding."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from ros_tools import ROOT

from fcn_follow.errors import UserError


def test_the_fuzzer_runs_each_kind_and_finds_what_is_wrong(tmp_path):
    command = [sys.executable, "test/support/fuzz.py", "--seconds", "300", "--trial", "3", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("images", "sqlite3", "mcap", "onnx", "weights", "parameters"):
        assert kind in done.stdout


def test_a_finding_of_the_fuzzer_is_kept_with_the_command_that_repeats_it(tmp_path, monkeypatch, capsys):
    import fuzz

    (tmp_path / "trial").mkdir()
    monkeypatch.setattr(fuzz.Worker, "__init__", lambda self, folder: None)
    monkeypatch.setattr(fuzz.Worker, "stop", lambda self: None)
    monkeypatch.setattr(fuzz.Worker, "folder", tmp_path / "trial", raising=False)
    monkeypatch.setattr(fuzz.Worker, "run", lambda self, kind, *_: "KeyError: 'x'" if kind == "zips" else "")
    assert fuzz.fuzz(["zips", "names"], 60.0, 7, tmp_path / "out", 5, 5) == 1
    report = (tmp_path / "out" / "zips-7-5" / "report.txt").read_text()
    assert report == "scripts/fuzz --seed 7 --trial 5 zips\n\nKeyError: 'x'"


def test_the_fuzzer_reports_a_finding(tmp_path, monkeypatch):
    import fuzz

    def outcome(look):
        monkeypatch.setitem(fuzz.KINDS, "zips", lambda folder, chance: look())
        return fuzz.try_one(tmp_path, "zips", 0, 0)

    def refuse():
        raise UserError("no")

    assert outcome(lambda: None) == ""
    assert outcome(refuse) == "refused"
    assert "ZeroDivisionError" in outcome(lambda: 1 / 0)
    assert outcome(lambda: np.ones(800 << 20, np.uint8)).startswith("took ")
