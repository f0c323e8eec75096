"""The newest message, between a subscription and the thread that processes it."""

from __future__ import annotations

import threading
from typing import Any


class LatestFrame:
    """Holds one message; a newer one replaces it, and the replaced one counts as dropped."""

    def __init__(self) -> None:
        self.dropped = 0
        self._message: Any = None
        self.closed = False
        self._changed = threading.Condition()

    def put(self, message: Any) -> None:
        """Hold `message` for `take`."""
        with self._changed:
            if self._message is not None:
                self.dropped += 1
            self._message = message
            self._changed.notify()

    def take(self) -> Any:
        """Wait for the message and return it; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._message is not None or self.closed)
            message, self._message = self._message, None
            return None if self.closed else message

    def close(self) -> None:
        """Let `take` return None from now on."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
