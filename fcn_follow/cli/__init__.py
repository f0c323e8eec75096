"""The command `fcn-follow`: each module parses the arguments of a few commands, calls the package and prints."""

from __future__ import annotations

import sys

from fcn_follow.cli.app import app
from fcn_follow.errors import UserError
from fcn_follow.lab.console import console


def main() -> None:
    """Run a command; a UserError becomes one line on standard error and exit code 1."""
    try:
        app(prog_name="fcn-follow")
    except UserError as error:
        console.print(f"fcn-follow: {error}", style="red")
        sys.exit(1)
