"""Pages from Jinja templates, which are in `templates/` beside the module that fills them in.

An HTML page needs no other file: its style, plots and pictures are inside it.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import cv2
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from fcn_follow.lab.data.frames import UInt8Array


def render(package: str, template: str, **values: object) -> str:
    """Fill in a template of a package; HTML templates escape the values and can extend `page.html.j2`."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("fcn_follow.lab")]),
        autoescape=select_autoescape(("html.j2",), default=False),  # Markdown shows the project's own texts only
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def svg(figure: Any) -> str:
    """A figure of matplotlib as an SVG element, for templates to show with the filter `safe`."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def jpeg_url(rgb: UInt8Array) -> str:
    """An image H x W x 3 as a data URL."""
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def webm_url(path: Path) -> str:
    """A WebM file as a data URL."""
    return f"data:video/webm;base64,{base64.b64encode(path.read_bytes()).decode()}"
