"""All commands of `fcn-follow` by name."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fcn_follow import __version__

COMMANDS = {
    "run": "run:run",
    "models": "models:models",
    "train": "training:train",
    "find-lr": "find_lr:find_lr",
    "results": "results:results",
    "weights-page": "weights_page:weights_page",
    "score": "scoring:score",
    "calibrate": "calibration:calibrate",
    "bag-info": "bags:bag_info",
    "score-bag": "bag_scoring:score_recording",
    "score-bags": "many_bags:score_recordings",
    "label": "bag_scoring:label",
    "frames-to-bag": "bags:folder_to_bag",
    "bag-to-frames": "bags:bag_to_folder",
    "import-keras": "keras:import_keras",
    "export": "export:export_network",
    "fly": "fly:fly",
    "enrol": "enrol:enrol",
    "synthesize": "synthesis:synthesize",
    "compose-people": "people:compose_people",
    "pictures": "synthesis:pictures",
    "gazebo-assets": "gazebo:gazebo_assets",
    "bench": "bench:bench",
    "parameters": "parameters:parameters",
}
"""Each command's module in this folder, and the function or group of sub-commands in it."""


class _LazyGroup(TyperGroup):
    """Imports a command's module when the command is called: most modules import PyTorch, which takes seconds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # the names, for suggestions

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(f"fcn_follow.cli.{module}"), name)
        if not isinstance(command, typer.Typer):
            function, command = command, typer.Typer(add_completion=False)
            command.command(cmd_name)(function)
        made = typer.main.get_command(command)
        made.name = cmd_name  # a group has none
        return made


app = typer.Typer(
    name="fcn-follow", cls=_LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fcn_follow {__version__}")
        raise typer.Exit


@app.callback()
def fcn_follow(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Fly, train, score and measure the networks that let a drone follow one person."""
