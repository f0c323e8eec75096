"""Plots as PNG files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from fcn_follow.files import write_whole


def write_png(path: Path, figure: Any) -> None:
    """Write a figure of matplotlib, whole or not at all. Raises UserError if it cannot be written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path, buffer.getvalue())
