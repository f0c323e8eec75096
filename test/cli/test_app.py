"""The command as a whole: its help, and options that cannot be."""

from __future__ import annotations

import pytest
from command_line import invoke
from typer.testing import CliRunner

from fcn_follow.cli.app import COMMANDS, app


def test_the_help_names_every_command():
    lines = [line.strip(" │|").split() for line in invoke("--help")[0].splitlines()]
    assert COMMANDS.keys() <= {words[0] for words in lines if words}


@pytest.mark.parametrize("command", ["score --data frames", "score-bag bag"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_scored(tmp_path, command):
    file = tmp_path / "mine"
    file.write_text("mine")
    result = CliRunner().invoke(app, [*command.split(), "--report", str(file / "report")])
    assert f"--report {file / 'report'}: Not a directory" in str(result.exception)
    assert file.read_text() == "mine"
