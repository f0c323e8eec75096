"""Serves every topic of a live flight to Foxglove, or another viewer with its websocket protocol, in a browser."""

from __future__ import annotations

import time
from typing import Any

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.every_topic import EveryTopic

PORT = 8765


class FoxgloveServer(EveryTopic):
    """Serves each topic while a viewer shows it, in a thread of its own; call `close` at the end.

    A viewer can only read; it cannot publish or call services.
    """

    def __init__(self, *, network: bool, port: int = PORT) -> None:
        """Listens on this machine only, with `network` on all its addresses; port 0 is any free port.

        Raises UserError if foxglove-sdk is not installed or the port is in use.
        """
        try:
            import foxglove
        except ImportError as error:
            raise UserError(
                "--foxglove needs foxglove-sdk, which is not installed: pip install foxglove-sdk"
            ) from error
        self._foxglove = foxglove
        self._context = foxglove.Context()
        try:
            self._server = foxglove.start_server(
                name="fcn_follow",
                host="0.0.0.0" if network else "127.0.0.1",  # noqa: S104
                port=port,
                context=self._context,
            )
        except (OSError, RuntimeError) as error:
            raise UserError(f"--foxglove cannot listen on port {port}: {error}") from error
        self.url = f"ws://localhost:{self._server.port}"
        super().__init__("foxglove_server", "shown")
        self._channels: dict[str, tuple[Any, type[Any]]] = {}
        self._subscriptions: dict[str, Any] = {}
        self.begin()

    def close(self) -> None:
        """End the connections."""
        self.end()
        self._server.stop()

    def found(self, topic: str, kind: str, message: type[Any]) -> None:
        definition, _ = self._types.generate_msgdef(kind, ros_version=2)
        schema = self._foxglove.Schema(name=kind, encoding="ros2msg", data=definition.encode())
        channel = self._foxglove.Channel(topic, schema=schema, message_encoding="cdr", context=self._context)
        self._channels[topic] = channel, message

    def _look(self) -> None:
        super()._look()
        for topic, (channel, message) in self._channels.items():
            is_shown, subscription = channel.has_sinks(), self._subscriptions.get(topic)
            if is_shown and subscription is None:
                self._subscriptions[topic] = self.subscribe(topic, message, _logging(channel))
            elif subscription is not None and not is_shown:
                self._node.destroy_subscription(self._subscriptions.pop(topic))


def _logging(channel: Any) -> Any:
    return lambda data: channel.log(bytes(data), log_time=time.time_ns())
