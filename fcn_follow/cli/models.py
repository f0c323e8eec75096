"""`fcn-follow models`: the networks by name, and the layer table of one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fcn_follow.networks.registry import NETWORKS, NetworkInfo, network_info
from fcn_follow.networks.summary import count_macs, count_parameters, layer_table

REFERENCE_PX = 160
LAYER_COLUMNS = (33, 26, 10)


def models(
    name: Annotated[str, typer.Argument(help="Print the layer table of this network.", show_default=False)] = "",
    size: Annotated[int, typer.Option(help="Side of the input of the layer table, in pixels.", min=8)] = REFERENCE_PX,
) -> None:
    """List the networks, or print one network's layers in the shape of Keras' summary."""
    if name:
        _print_layers(network_info(name), size)
        return
    table = Table(title=f"Networks (multiply-accumulates at {REFERENCE_PX}x{REFERENCE_PX})")
    for column in ("name", "source"):
        table.add_column(column)
    for column in ("parameters", "trainable", "MMACs", "input", "published score"):
        table.add_column(column, justify="right")
    for info in NETWORKS.values():
        network = info.build()
        count = count_parameters(network)
        macs = count_macs(network, REFERENCE_PX, REFERENCE_PX)
        published = "" if info.published_score is None else f"{info.published_score:.4f}"
        table.add_row(
            info.name, info.source, f"{count.total:,}", f"{count.trainable:,}", f"{macs / 1e6:,.1f}",
            f"{info.input_px}x{info.input_px}", published,
        )  # fmt: skip
    Console(width=None if Console().is_terminal else 140).print(table)


def _print_layers(info: NetworkInfo, size: int) -> None:
    network = info.build()
    width = sum(LAYER_COLUMNS)
    print(f"{info.name} ({info.source})")
    print("_" * width)
    print("".join(text.ljust(w) for text, w in zip(("Layer", "Output Shape", "Param #"), LAYER_COLUMNS, strict=True)))
    print("=" * width)
    for layer in layer_table(network, size, size):
        shape = f"(None, {', '.join(map(str, layer.output_hwc))})"
        cells = (layer.name, shape, str(layer.parameters))
        print("".join(cell.ljust(w) for cell, w in zip(cells, LAYER_COLUMNS, strict=True)))
    print("=" * width)
    count = count_parameters(network)
    print(f"Total params: {count.total:,}")
    print(f"Trainable params: {count.trainable:,}")
    print(f"Non-trainable params: {count.total - count.trainable:,}")
    print(f"Multiply-accumulates: {count_macs(network, size, size):,}")
