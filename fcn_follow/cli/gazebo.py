"""`fcn-follow gazebo-assets`: the models and worlds for Gazebo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.lab.console import output


def gazebo_assets(
    out: Annotated[Path, typer.Argument(help="Folder for models/ and worlds/; the checkout's root updates its own.")],
) -> None:
    """Make the world, the people and the drone for Gazebo; the same bytes each time."""
    from fcn_follow.gazebo.assets import write_assets

    screen = output(120)
    with screen.status("making meshes, textures and SDF"):
        written = write_assets(out)
    size_mb = sum(path.stat().st_size for part in ("models", "worlds") for path in (out / part).rglob("*.*")) / 1e6
    screen.print(f"{len(written)} models and worlds in {out}, {size_mb:.1f} MB")
