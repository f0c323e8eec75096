"""The faults of a node by source, logged when they begin and when they end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


class Faults:
    """Texts by source, empty for none.

    The sources in waited_for may be missing at the start: until a source was good once, its text is no error.
    """

    def __init__(self, logger: Any, waited_for: Collection[str]) -> None:
        self._logger = logger
        self._waited_for = set(waited_for)
        self._texts: dict[str, str] = {}

    def set(self, source: str, text: str) -> None:
        """Set or clear the fault of a source, and log the change."""
        last, self._texts[source] = self._texts.get(source, ""), text
        waits = source in self._waited_for
        if not text:
            self._waited_for.discard(source)
        if text == last:
            return
        if not text:
            self._logger.info(f"no longer: {last}")
        elif waits:
            self._logger.info(f"waiting: {text}")
        else:
            self._logger.error(f"fault: {text}")

    @property
    def text(self) -> str:
        """All faults, and the sources that are waited for."""
        return "; ".join(filter(None, self._texts.values()))

    @property
    def is_error(self) -> bool:
        """Whether one of the texts is an error, not just waiting."""
        return any(text and source not in self._waited_for for source, text in self._texts.items())
