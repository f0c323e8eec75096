"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WeightsFile = Annotated[
    Path | None, typer.Option(help="Weights file; default: hero_net, or people_net with a pointed hero.")
]
WeightsFiles = Annotated[
    list[Path] | None, typer.Option(help="Weights file; repeat for more; default: all that the package ships.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
EngineName = Annotated[
    str,
    typer.Option(
        help="auto (the fastest here), torch (the reference), torch-compiled, onnxruntime, openvino, tensorrt."
    ),
]
Precision = Annotated[str, typer.Option(help="auto (the fastest here), fp32, bf16, fp16.")]
Split = Annotated[
    Path | None, typer.Option(help="YAML file of the runs that choose and that judge; default: config/split.yaml.")
]
HeldOutShare = Annotated[
    float,
    typer.Option(help="Hold out the last share of every run instead; the score is then too high.", min=0.0, max=0.9),
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on standard output.")]
On = Annotated[
    str,
    typer.Option(
        help="Instead of --processes: ray, or ray://HOST of a Ray cluster whose machines have this package and the "
        "same files.",
        show_default=False,
    ),
]
CONTINUES = "the same command continues from here"
KEPT = "finished results are in {}, and --resume keeps them"
Resume = Annotated[bool, typer.Option("--resume", help="Keep the finished tasks of an earlier run in --out.")]
Recipe = Annotated[str, typer.Option(help="Recipe: a name in config/recipes, or a YAML file; see docs/training.md.")]
NetworkName = Annotated[str, typer.Option(help="Network by name, instead of that of the recipe.", show_default=False)]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change a parameter of the recipe, as NAME=VALUE.")]
