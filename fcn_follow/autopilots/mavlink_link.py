"""A MAVLink connection that a thread of its own reads, and opens again when it is lost.

Nothing here makes the caller wait: a lost TCP peer or an unplugged serial device costs only the thread its time.
"""

from __future__ import annotations

import contextlib
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from fcn_follow.autopilots.parameters import MavlinkParameters
from fcn_follow.errors import UserError

FIRST_OPENING_S = 5.0  # for this time an error of the first opening is waited for
REOPENING_S = 1.0
READING_S = 0.1
WRITING_S = 0.02  # a serial device that takes longer counts as lost
MAX_WAITING = 512
MAX_READ = 64  # with the lock held, so that a flood does not keep commands from being sent


class MavlinkLink:
    """`take` gives the messages that have come, `send` sends one; both return at once."""

    def __init__(self, parameters: MavlinkParameters, now_ns: Callable[[], int], kinds: tuple[str, ...]) -> None:
        """Only messages of these kinds are kept. Raises UserError if the address cannot be opened at the start."""
        try:
            from pymavlink import mavutil
        except ImportError as error:
            raise UserError(
                "parameter output: mavlink needs the Python package pymavlink; install it (pip install pymavlink)"
            ) from error
        self._mavutil, self._parameters, self._now_ns, self._kinds = mavutil, parameters, now_ns, kinds
        self._connection: Any = None
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._tried, self._ended = threading.Event(), threading.Event()
        self._received: deque[tuple[Any, float]] = deque(maxlen=MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="mavlink", daemon=True)
        self._thread.start()
        if self._tried.wait(FIRST_OPENING_S) and self._error is not None:
            self.close()
            raise UserError(f"parameter mavlink.address: {parameters.address!r} cannot be opened: {self._error}")

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def take(self) -> Iterator[tuple[Any, float]]:
        """The messages since the last call, each with the node's time in seconds at which it came."""
        while self._received:
            yield self._received.popleft()

    def send(self, kind: str, *fields: object) -> None:
        """Send a message of a kind in pymavlink's spelling; it is lost while the connection is."""
        with self._lock, contextlib.suppress(OSError):
            if self._connection is not None:
                getattr(self._connection.mav, f"{kind}_send")(*fields)

    def close(self) -> None:
        """End the thread and close the connection."""
        self._ended.set()
        self._thread.join(2 * READING_S)
        self._drop()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._open()
                self._tried.set()
                while not self._ended.is_set():
                    self._read()
            except Exception as error:  # whatever pymavlink and pyserial raise, the connection is opened again
                self._error = None if self._tried.is_set() else error
                self._tried.set()
                self._drop()
                self._ended.wait(REOPENING_S)

    def _open(self) -> None:
        connection = self._mavutil.mavlink_connection(
            self._parameters.address,
            baud=self._parameters.baud,
            source_system=self._parameters.system_id,
            source_component=self._mavutil.mavlink.MAV_COMP_ID_ONBOARD_COMPUTER,
            retries=1,
        )
        connection.handle_eof = connection.handle_disconnect = _lost  # else pymavlink prints, and reads on
        if hasattr(connection.port, "write_timeout"):
            connection.port.write_timeout = WRITING_S
        with self._lock:
            self._connection = connection

    def _read(self) -> None:
        """Read what has come, or wait for READING_S."""
        connection = self._connection
        if connection.portdead:
            _lost()
        if not select.select([connection.fd], [], [], READING_S)[0]:
            return
        with self._lock:
            for _ in range(MAX_READ):
                if (message := connection.recv_msg()) is None:
                    return
                if message.get_type() in self._kinds:
                    self._received.append((message, self._now_ns() * 1e-9))

    def _drop(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()


def _lost() -> NoReturn:
    raise ConnectionResetError("the other end has closed the connection")
