"""The command `fcn-follow`: one module for each group of subcommands; they parse, call and report."""

from __future__ import annotations

import sys

from fcn_follow.cli.app import app
from fcn_follow.errors import UserError
from fcn_follow.lab.console import console


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 1."""
    try:
        app()
    except UserError as error:
        console.print(f"fcn-follow: {error}", style="red")
        sys.exit(1)
