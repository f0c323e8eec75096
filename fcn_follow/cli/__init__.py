"""The command `fcn-follow`: each module parses the arguments of a few commands, calls the package and prints."""

from __future__ import annotations

import sys
from importlib.metadata import version

from fcn_follow.errors import UserError

MIN_TYPER = (0, 12, 4)  # older ones lose or refuse options that are written with Annotated and |


def main() -> None:
    """Run a command; a UserError becomes one line on standard error and exit code 1."""
    found = version("typer")
    if tuple(int(part) for part in found.split(".")[:3] if part.isdecimal()) < MIN_TYPER:
        wanted = ".".join(map(str, MIN_TYPER))
        sys.exit(
            f"fcn-follow: typer {found} is too old; in a virtual environment, pip install 'typer>={wanted}' "
            "(docs/installing.md)"
        )
    from fcn_follow.cli.app import app  # imported here: it fails with a typer that is too old
    from fcn_follow.lab.console import console

    try:
        app(prog_name="fcn-follow")
    except UserError as error:
        console.quiet = False  # of a team too, each process says why it ends
        console.print(f"fcn-follow: {error}", style="red")
        sys.exit(1)
