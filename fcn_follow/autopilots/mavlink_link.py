"""A MAVLink connection; a thread of its own reads it, and reopens it when it is lost.

Nothing here makes the caller wait: a lost TCP peer or an unplugged serial device costs only the thread its time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from fcn_follow.autopilots.parameters import MavlinkParameters
from fcn_follow.errors import UserError

FIRST_OPENING_S = 5.0  # how long to wait for an error of the first opening
REOPENING_S = 1.0
READING_S = 0.1
WRITING_S = 0.02  # a serial device that takes longer counts as lost
AUTOPILOT_COMPONENT = 1
MAX_WAITING = 512
MAX_OTHERS_SHOWN = 4
MAX_READ_BYTES = 4096
MAX_SENDER_AGE_S = 10.0  # a sender of datagrams that is silent for longer gets no more messages


class MavlinkLink:
    """`take` returns the messages that have arrived, `send` sends one; both return at once.

    `others` names a few of the other systems and components on the link.
    """

    def __init__(self, parameters: MavlinkParameters, now_ns: Callable[[], int], kinds: tuple[str, ...]) -> None:
        """Keeps only messages of these kinds from the target's autopilot, so that no others can crowd them out.

        Raises UserError if the address cannot be opened at the start.
        """
        try:
            from pymavlink import mavutil
        except ImportError as error:
            raise UserError(
                "parameter output: mavlink needs the Python package pymavlink; install it (pip install pymavlink)"
            ) from error
        self._mavutil, self._parameters, self._now_ns, self._kinds = mavutil, parameters, now_ns, kinds
        self.others: tuple[str, ...] = ()
        self._source = parameters.target_system, AUTOPILOT_COMPONENT
        self._connection: Any = None
        self._device = -1
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._tried, self._ended = threading.Event(), threading.Event()
        self._received: deque[tuple[Any, float]] = deque(maxlen=MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="mavlink", daemon=True)
        self._thread.start()
        if self._tried.wait(FIRST_OPENING_S) and self._error is not None:
            self.close()
            needs = "a serial device needs the Python package pyserial; install it (pip install pyserial)"
            reason = needs if isinstance(self._error, ImportError) else self._error
            raise UserError(f"parameter mavlink.address: {parameters.address!r} cannot be opened: {reason}")

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def take(self) -> Iterator[tuple[Any, float]]:
        """The messages since the last call, each with the node's time of arrival in seconds."""
        for _ in range(len(self._received)):  # not the ones that a flood adds meanwhile
            yield self._received.popleft()

    def send(self, kind: str, *fields: object) -> None:
        """Send a message of a kind in pymavlink's spelling; without a connection it is lost."""
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
            except Exception as error:  # whatever pymavlink and pyserial raise, the connection is reopened
                self._error = None if self._tried.is_set() else error
                self._tried.set()
                self._drop()
                self._ended.wait(REOPENING_S)

    def _open(self) -> None:
        self._lock_device()
        connection = self._mavutil.mavlink_connection(
            self._parameters.address,
            baud=self._parameters.baud,
            source_system=self._parameters.system_id,
            source_component=self._mavutil.mavlink.MAV_COMP_ID_ONBOARD_COMPUTER,
            retries=1,
        )
        connection.handle_eof = connection.handle_disconnect = _lost  # else pymavlink prints the error and reads on
        connection.timeout = MAX_SENDER_AGE_S
        if hasattr(connection.port, "write_timeout"):
            connection.port.write_timeout = WRITING_S
        if isinstance(connection.port, socket.socket):  # pymavlink shares its UDP port with whoever opens it later
            connection.port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with self._lock:
            self._connection = connection

    def _lock_device(self) -> None:
        """Lock a serial device until the connection is dropped. Raises OSError where another program has locked it.

        Two programs would each get a part of the bytes. Already opening it with pyserial would change the other
        program's baud rate, so the lock comes first.
        """
        path = Path(self._parameters.address)
        if not path.is_char_device():
            return
        self._device = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            fcntl.flock(self._device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError("in use by another program, such as a second follower; stop it") from error

    def _read(self) -> None:
        """Read what has arrived, or wait for READING_S."""
        connection = self._connection
        if connection.portdead:
            _lost()
        if not select.select([connection.fd], [], [], READING_S)[0]:
            return
        with self._lock:
            received = connection.recv(MAX_READ_BYTES)
            if connection.first_byte:
                connection.auto_mavlink_version(received)
        # Parse everything at once: recv_msg parses one message of a datagram, and the rest would pile up.
        for message in connection.mav.parse_buffer(received) or ():
            if message.get_type() in self._kinds:
                self._keep(message)

    def _keep(self, message: Any) -> None:
        source = message.get_srcSystem(), message.get_srcComponent()
        if source == self._source:
            self._received.append((message, self._now_ns() * 1e-9))
        elif len(self.others) < MAX_OTHERS_SHOWN and (name := "{}/{}".format(*source)) not in self.others:
            self.others = (*self.others, name)

    def _drop(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            connection, self._connection = self._connection, None
            device, self._device = self._device, -1
            if device >= 0:
                os.close(device)
            if connection is not None:
                connection.close()


def _lost() -> NoReturn:
    raise ConnectionResetError("the other end has closed the connection")
