"""`fcn-follow import-keras`: convert the course's Keras weights."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.errors import UserError
from fcn_follow.files import require_new
from fcn_follow.lab.console import console
from fcn_follow.networks.keras.graph import to_card
from fcn_follow.networks.summary import count_parameters
from fcn_follow.networks.weights import ModelCard, save_weights


def import_keras(
    weights: Annotated[Path, typer.Argument(help="HDF5 file of the weights (the course's model_weights).")],
    architecture: Annotated[
        Path | None,
        typer.Argument(help="JSON file of the architecture (config_model_weights), if WEIGHTS does not hold it."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Weights file to write (.safetensors).")] = Path("imported.safetensors"),
) -> None:
    """Convert a Keras network of the Follow-Me course; no code of the files runs."""
    try:
        from fcn_follow.networks.keras import weights_import  # imported here: only this command needs h5py
    except ImportError as error:
        raise UserError("import-keras needs h5py: pip install h5py") from error
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out}: weights files end in .safetensors")
    require_new(out)
    network = weights_import.import_keras(weights, architecture)
    graph = network.graph
    card = ModelCard(
        network=out.stem,
        input_height_px=graph.input_height_px,
        input_width_px=graph.input_width_px,
        command=shlex.join(["fcn-follow", *sys.argv[1:]]),
        licence="that of the Keras files",
        notes="imported from Keras; fcn-follow calibrate sets its thresholds",
        graph=to_card(graph),
    )
    save_weights(out, network, card)
    size = f"{graph.input_width_px}x{graph.input_height_px}"
    console.print(f"{out}: {len(graph.layers)} layers, {count_parameters(network).total:,} parameters, input {size}")
