"""An HTML page that needs nothing else: its style, its plots and its pictures are inside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from fcn_follow.errors import UserError
from fcn_follow.files import written_aside
from fcn_follow.lab.data.frames import UInt8Array

STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}video,svg,img{max-width:100%;height:auto}.met{color:#2a7a2e}
.missed{color:#b02020;font-weight:600}figure{margin:1.5em 0}figcaption{color:#555}"""


def write_page(path: Path, title: str, parts: Sequence[str]) -> None:
    """Write a page of HTML parts, whole or not at all. Raises UserError where it cannot be written."""
    page = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, page)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, text: str) -> None:
    """Write a file, whole or not at all. Raises OSError where it cannot be written."""
    with written_aside(path) as part:
        part.write_text(text, encoding="utf-8")


def plot(figure: Any, caption: str) -> str:
    """A figure of matplotlib as SVG."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight")
    svg = buffer.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}<figcaption>{html.escape(caption)}</figcaption></figure>"


def picture(rgb: UInt8Array, caption: str) -> str:
    """An image H x W x 3 as JPEG."""
    data = base64.b64encode(cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()).decode()
    text = html.escape(caption)
    return f"<figure><img alt='{text}' src='data:image/jpeg;base64,{data}'><figcaption>{text}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; the first column is the rows' names."""
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>{cells}</table>"
