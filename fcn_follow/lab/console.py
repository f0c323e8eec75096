"""What the commands print on: names of files and topics stay plain text, whatever markup or codes they hold."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from fcn_follow.errors import one_line


class PlainConsole(Console):
    """Rich's console without markup; all that cannot be printed is escaped, but for line breaks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        return super().render_str("\n".join(map(one_line, text.split("\n"))), **options)


console = PlainConsole(stderr=True, soft_wrap=True)
"""Standard error: progress, what was skipped, where the results are."""


def output(width: int) -> Console:
    """Standard output, of this width where it is no terminal."""
    return PlainConsole(width=None if Console().is_terminal else width)
