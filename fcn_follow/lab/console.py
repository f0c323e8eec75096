"""The consoles of the commands; names of files and topics are printed as plain text, whatever they contain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fcn_follow.errors import one_line


class PlainConsole(Console):
    """Rich's console without markup; unprintable characters except line breaks are escaped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        return super().render_str("\n".join(map(one_line, text.split("\n"))), **options)


console = PlainConsole(stderr=True, soft_wrap=True)
"""Standard error: progress, skipped items, the paths of the results."""


def progress_bar() -> Progress:
    """The progress bar of a long command, on standard error."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip


@contextmanager
def stopped_by_ctrl_c(then: str) -> Iterator[None]:
    """Let Ctrl-C end the command with exit code 130 and a line; its end, `then`, says what is left."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"stopped; {then}")
        raise SystemExit(130) from None


def table_of(title: str, words: Iterable[str], numbers: Iterable[str] = ()) -> Table:
    """A table without rows: columns of words by their heads, then columns of numbers."""
    table = Table(*words, title=title)
    for head in numbers:
        table.add_column(head, justify="right")
    return table


def output(width: int) -> Console:
    """Standard output; it has this width if it is not a terminal."""
    return PlainConsole(width=None if Console().is_terminal else width)
