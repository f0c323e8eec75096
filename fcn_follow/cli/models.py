"""`fcn-follow models`: the list of networks, and the layer table of one."""

from __future__ import annotations

from typing import Annotated

import typer

from fcn_follow.errors import UserError
from fcn_follow.lab.console import output, table_of
from fcn_follow.networks.registry import NETWORKS, NetworkInfo, network_info
from fcn_follow.networks.summary import convolution_pairs, count_macs, count_parameters, layer_table

REFERENCE_PX = 160
LAYER_COLUMNS = (33, 26, 10)


def models(
    name: Annotated[str, typer.Argument(help="Print the layer table of this network.", show_default=False)] = "",
    size: Annotated[int, typer.Option(help="Side of the input of the layer table, in pixels.", min=8)] = REFERENCE_PX,
    against: Annotated[
        str, typer.Option(help="Compare the convolutions of this network with those of NAME.", show_default=False)
    ] = "",
) -> None:
    """List the networks, or print one network's layers in the format of Keras' summary."""
    if against:
        if not name:
            raise UserError("--against needs a network to compare with: fcn-follow models NAME --against NAME")
        _print_pairs(network_info(against), network_info(name), size)
        return
    if name:
        _print_layers(network_info(name), size)
        return
    numbers = ("parameters", "trainable", "MMACs", "input", "published score")
    table = table_of("Networks (multiply-accumulates of one input)", ("name", "source"), numbers)
    for info in NETWORKS.values():
        network = info.outline()
        count = count_parameters(network)
        macs = count_macs(network, info.input_px, info.input_px)
        published = "" if info.published_score is None else f"{info.published_score:.4f}"
        table.add_row(
            info.name, info.source, f"{count.total:,}", f"{count.trainable:,}", f"{macs / 1e6:,.1f}",
            f"{info.input_px}x{info.input_px}", published,
        )  # fmt: skip
    output(140).print(table)


def _print_pairs(standard: NetworkInfo, other: NetworkInfo, size: int) -> None:
    """Print parameters and multiply-accumulates of each convolution of two similar networks, and the totals."""
    networks = standard.outline(), other.outline()
    title = f"{standard.name} and {other.name}, each convolution at {size}x{size}"
    numbers = ("parameters", other.name, "times", "MMACs", other.name, "times")
    table = table_of(title, ("convolution", "output"), numbers)

    def add(name: str, output: str, parameters: tuple[int, int], macs: tuple[int, int]) -> None:
        table.add_row(
            name, output,
            *(f"{count:,}" for count in parameters), f"{parameters[0] / parameters[1]:.2f}",
            *(f"{count / 1e6:,.2f}" for count in macs), f"{macs[0] / macs[1]:.2f}",
        )  # fmt: skip

    for first, second in convolution_pairs(*networks, size, size):
        height, width = first.output_hw
        add(
            f"{first.in_channels} -> {first.filters}", f"{width}x{height}",
            (first.parameters, second.parameters), (first.macs, second.macs),
        )  # fmt: skip
    table.add_section()
    trainable = [count_parameters(network).trainable for network in networks]
    macs = [count_macs(network, size, size) for network in networks]
    add("all that is trained, with batch norms", "", (trainable[0], trainable[1]), (macs[0], macs[1]))
    output(140).print(table)


def _print_layers(info: NetworkInfo, size: int) -> None:
    network = info.outline()
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
