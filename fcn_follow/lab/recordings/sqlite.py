"""SQLite files of rosbag2: only its two tables are read, and only where they are plain tables.

A hostile database can hold queries (views, triggers, generated columns) and pages that refer to each other in a circle;
so anything else is refused, and the work for a query is bounded by the file's size.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from fcn_follow.errors import UserError
from fcn_follow.lab.recordings.compression import MAX_MESSAGE_BYTES
from fcn_follow.lab.recordings.storage import RawMessage, StorageFile, Topic

_DAMAGE = (sqlite3.Error, UnicodeError)  # SQLite's messages can hold bytes of a damaged file
_STEPS = 100_000  # steps of SQLite's virtual machine between two checks of their number
_STEPS_PER_BYTE = 10  # a row has at least ten bytes and takes about twenty steps
_COUNTS = "SELECT topic_id, count(*) FROM messages GROUP BY topic_id"
_MESSAGES = "SELECT topic_id, timestamp, CASE WHEN length(data) <= ? THEN data END FROM messages"


def open_sqlite(path: Path) -> StorageFile:
    """The topics of a file; in a damaged file, those of the readable messages.

    Raises UserError if it holds anything but plain tables.
    """
    try:
        with _open(path) as database:
            topics, counts = _topics(database), dict(database.execute(_COUNTS))
        found = tuple(Topic(*topics[key], counts.get(key, 0)) for key in topics)
        return StorageFile(found, partial(_messages, path, False))
    except _DAMAGE as error:
        damage = str(error)
    counted: dict[tuple[str, str], int] = {}
    for message in _messages(path, True, None):
        counted[message.topic, message.type] = counted.get((message.topic, message.type), 0) + 1
    found = tuple(Topic(*key, count) for key, count in counted.items())
    return StorageFile(found, partial(_messages, path, True), damage)


def _messages(path: Path, damaged: bool, topics: Collection[str] | None) -> Iterator[RawMessage]:
    """The messages of some or all topics, by time; in a damaged file in the order of its pages, up to the damage."""
    with contextlib.ExitStack() as stack:
        if damaged:
            stack.enter_context(contextlib.suppress(*_DAMAGE))
        database = stack.enter_context(_open(path, damaged))
        names = {key: name for key, name in _topics(database).items() if topics is None or name[0] in topics}
        order = "" if damaged else f" WHERE topic_id IN ({','.join('?' * len(names))}) ORDER BY timestamp"
        max_bytes = min(path.stat().st_size, MAX_MESSAGE_BYTES)
        for topic, recorded_ns, data in database.execute(_MESSAGES + order, [max_bytes, *(() if damaged else names)]):
            if topic in names:  # decode() refuses what is NULL or of another type
                plain = data if isinstance(data, bytes) else b""
                yield RawMessage(*names[topic], recorded_ns if isinstance(recorded_ns, int) else 0, plain)


@contextlib.contextmanager
def _open(path: Path, damaged: bool = False) -> Iterator[sqlite3.Connection]:
    uri = path.absolute().as_uri() + "?immutable=1&mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        database.execute("PRAGMA trusted_schema = OFF")
        if damaged:  # else SQLite refuses a truncated file as a whole
            database.execute("PRAGMA writable_schema = ON")
        checks_left = 100 + path.stat().st_size * _STEPS_PER_BYTE // _STEPS

        def too_long() -> bool:
            nonlocal checks_left
            checks_left -= 1
            return checks_left < 0

        database.set_progress_handler(too_long, _STEPS)
        _check_tables(database)
        yield database


def _check_tables(database: sqlite3.Connection) -> None:
    """Raise UserError if the database holds more than plain tables."""
    for kind, name, text in database.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind in ("view", "trigger") or "virtual" in str(text).lower().split()[:2]:
            raise UserError(f"holds a {kind} {name}; a recording has only plain tables")
    for table in ("topics", "messages"):
        if any(hidden for *_, hidden in database.execute(f"PRAGMA table_xinfo({table})")):
            raise UserError(f"its table {table} has computed columns; a recording has only plain columns")


def _topics(database: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    rows = database.execute("SELECT id, name, type FROM topics")
    return {key: (name, kind) for key, name, kind in rows if isinstance(name, str) and isinstance(kind, str)}
