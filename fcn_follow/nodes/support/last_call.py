"""Service calls of which only the last one gets an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class LastCall:
    """Calls the service of a client; a new call drops the previous one, which rclpy would keep for ever."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._open: Any = None

    def ask(self, request: Any, take: Callable[[Any], None]) -> bool:
        """Call the service; `take` gets the future once it is done. False if the service does not exist."""
        if self._open is not None:
            self._client.remove_pending_request(self._open)
            self._open = None
        if not self._client.service_is_ready():
            return False
        self._open = self._client.call_async(request)
        self._open.add_done_callback(take)
        return True
