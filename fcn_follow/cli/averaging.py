"""`fcn-follow average`: the mean of several weights files."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.errors import UserError
from fcn_follow.lab.averaging import mean_network
from fcn_follow.lab.console import console
from fcn_follow.networks.weights import load_weights, save_weights


def average(
    weights: Annotated[list[Path], typer.Argument(help="Weights files of one network, trained from the same start.")],
    out: Annotated[Path, typer.Option(help="Weights file to write (.safetensors).")],
) -> None:
    """Average the weights of several trainings of one network; calibrate the result."""
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out}: weights files end in .safetensors")
    trained = [load_weights(path) for path in weights]
    network = mean_network(trained)
    card = dataclasses.replace(
        trained[0].card,
        data="; ".join(dict.fromkeys(each.card.data for each in trained)),
        command=shlex.join(["fcn-follow", *sys.argv[1:]]),
        scores={},
        notes=f"the mean of {', '.join(path.stem for path in weights)}",
    )
    save_weights(out, network, card)
    console.print(f"{out}: the level at which a hero counts as seen is that of {weights[0]}; run fcn-follow calibrate")
