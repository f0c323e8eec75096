"""`fcn-follow find-lr`: the learning-rate range test with its curve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.cli.options import Device, NetworkName, Recipe, Settings
from fcn_follow.cli.scoring import read_split_of
from fcn_follow.cli.training import read_parameters
from fcn_follow.errors import UserError
from fcn_follow.inference.machine import find_device
from fcn_follow.lab.console import console, progress_bar
from fcn_follow.lab.data.bank import load_bank
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.split import all_frames
from fcn_follow.lab.training.lr_finder import draw_range_test, range_test
from fcn_follow.lab.training.trainer import Trainer
from fcn_follow.networks.registry import network_info
from fcn_follow.networks.weights import ModelCard

LOWEST, HIGHEST = 1e-6, 1.0


def find_lr(
    data: Annotated[list[Path], typer.Option(help="Folder or zip of images/ and masks/; repeat for more.")],
    out: Annotated[Path, typer.Option(help="Picture of the curve to write (.png).")] = Path("learning_rate.png"),
    recipe: Recipe = "hero_net",
    network: NetworkName = "",
    setting: Settings = None,
    steps: Annotated[int, typer.Option(help="Steps from a rate of 1e-6 to one of 1.", min=20, max=100_000)] = 100,
    device: Device = "auto",
) -> None:
    """Raise the learning rate step by step, draw the loss over it and suggest a rate; no weights are written."""
    if out.suffix != ".png":
        raise UserError(f"--out {out}: the curve must be a .png file")
    parameters = read_parameters(recipe, network, setting or [])
    held_out = read_split_of(None)
    refs = [ref for ref in all_frames([open_frames(path) for path in data]) if ref.run not in held_out]
    with progress_bar() as progress:
        loading = progress.add_task("decoding frames", total=len(refs))
        with_depth = network_info(parameters.network).has_depth
        bank = load_bank(refs, parameters.frame_px, parameters.workers, lambda: progress.advance(loading), with_depth)
        card = ModelCard(parameters.network, parameters.input_px, parameters.input_px)
        trainer = Trainer(parameters, bank, [], out, card, find_device(device))
        trying = progress.add_task("steps", total=steps)

        def on_step(rate: float, loss: float) -> None:
            progress.update(trying, advance=1, description=f"rate {rate:.1e}, loss {loss:.4f}")

        result = range_test(trainer, LOWEST, HIGHEST, steps, on_step)
    draw_range_test(out, result, parameters.network)
    console.print(
        f"steepest at {result.steepest:.2g} (for a constant rate), highest useful {result.highest:.2g} "
        f"(for one_cycle and cosine): --set learning_rate={result.steepest:.2g}; curve in {out}"
    )
