"""`fcn-follow export`: a network as a file for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.cli.options import WeightsFile
from fcn_follow.errors import UserError
from fcn_follow.lab.console import console
from fcn_follow.lab.export import export
from fcn_follow.networks.weights import load_weights
from fcn_follow.share import default_weights


def export_network(
    out: Annotated[Path, typer.Argument(help="File to write: .onnx, .xml (OpenVINO IR, with a .bin) or .pt2.")],
    weights: WeightsFile = None,
) -> None:
    """Export a network with its model card: uint8 frames in, codes and probabilities out.

    `score`, `score-bag`, `label` (--weights) and the segmenter (parameter `weights`) take .onnx and .xml.
    """
    if out.suffix == ".safetensors":
        raise UserError(f"{out}: name the file to write, such as {out.stem}.onnx, and the weights with --weights {out}")
    for path in export(load_weights(weights or default_weights()), out):
        console.print(f"{path} ({path.stat().st_size / 1e6:.2f} MB)")
