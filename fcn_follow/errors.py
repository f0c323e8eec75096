"""The one exception whose message is written for the user."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection

MAX_SHOWN, MAX_LINE = 80, 4000
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MAX_SHOWN


class UserError(Exception):
    """A mistake that the user can correct: the message says what is wrong, where, and what to do.

    Commands print it as one line and exit with 1; nodes log it and refuse to start. Line breaks, terminal codes and
    other unprintable characters are escaped, and a message longer than MAX_LINE is cut.
    """

    def __init__(self, message: object = "") -> None:
        line = one_line(str(message))
        super().__init__(line if len(line) <= MAX_LINE else line[: MAX_LINE - 3] + "...")


def one_line(text: str) -> str:
    """The text with every unprintable character escaped as Python does it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that an unknown one may be a misspelling of."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def suggestion(name: str, known: Collection[str]) -> str:
    """For a message about an unknown name: the nearest known one, else all of them."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else f"known are {', '.join(known)}"


def shown(value: object) -> str:
    """Any value as a message shows it: its repr, cut to MAX_SHOWN characters."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
