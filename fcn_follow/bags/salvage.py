"""The messages of a storage file that its reader refuses, being cut short or without its index: up to the damage."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fcn_follow.bags.compression import ERRORS, plain_chunk

MCAP_MAGIC = b"\x89MCAP0\r\n"
MCAP_SCHEMA, MCAP_CHANNEL, MCAP_MESSAGE, MCAP_CHUNK = 3, 4, 5, 6
LARGEST_CHUNK_BYTES = 1 << 30


class RawMessage(NamedTuple):
    """A message as it was recorded: topic, type, time of recording, CDR bytes."""

    topic: str
    type: str
    recorded_ns: int
    data: bytes


def salvage(path: Path) -> Iterator[RawMessage]:
    """Each message of a .mcap or .db3 file that can still be read, in the order of the file."""
    return _salvage_mcap(path) if path.suffix == ".mcap" else _salvage_sqlite3(path)


def _salvage_sqlite3(path: Path) -> Iterator[RawMessage]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(sqlite3.Error))
        database = stack.enter_context(contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)))
        database.execute("PRAGMA writable_schema = ON")  # or a file shorter than its header says is refused as a whole
        topics = {key: (name, kind) for key, name, kind in database.execute("SELECT id, name, type FROM topics")}
        for topic, recorded_ns, data in database.execute("SELECT topic_id, timestamp, data FROM messages"):
            if topic in topics:
                yield RawMessage(*topics[topic], recorded_ns, data)


def _salvage_mcap(path: Path) -> Iterator[RawMessage]:
    """Record by record (https://mcap.dev/spec): an operation code, a length of 8 bytes, the content."""
    with path.open("rb") as file:
        if file.read(len(MCAP_MAGIC)) == MCAP_MAGIC:
            with contextlib.suppress(struct.error, UnicodeDecodeError, KeyError, *ERRORS):
                yield from _mcap_messages(file, path.stat().st_size, {}, {})


def _mcap_messages(
    file: BinaryIO, size: int, schemas: dict[int, str], channels: dict[int, tuple[str, str]]
) -> Iterator[RawMessage]:
    while len(head := file.read(9)) == 9:
        operation, length = struct.unpack("<BQ", head)
        cut = file.tell() + length > size
        if cut and operation != MCAP_CHUNK:
            return
        content = file.read(size if cut else length)
        if operation == MCAP_SCHEMA:
            schemas[struct.unpack_from("<H", content)[0]] = _string(content, 2)
        elif operation == MCAP_CHANNEL:
            channel, schema = struct.unpack_from("<HH", content)
            channels[channel] = (_string(content, 4), schemas.get(schema, ""))
        elif operation == MCAP_MESSAGE:
            channel, _, recorded_ns = struct.unpack_from("<HIQ", content)
            yield RawMessage(*channels[channel], recorded_ns, content[22:])
        elif operation == MCAP_CHUNK:
            records = _chunk(content, cut)
            yield from _mcap_messages(BytesIO(records), len(records), schemas, channels)


def _chunk(content: bytes, cut: bool) -> bytes:
    """The records of a chunk; of one that is cut short what is there, where it is not compressed."""
    (uncompressed_size,) = struct.unpack_from("<Q", content, 16)
    compression = _string(content, 28)
    records = content[28 + 4 + len(compression) + 8 :]
    if compression and (cut or uncompressed_size > LARGEST_CHUNK_BYTES):
        return b""
    return plain_chunk(records, compression)


def _string(content: bytes, offset: int) -> str:
    (length,) = struct.unpack_from("<I", content, offset)
    return content[offset + 4 : offset + 4 + length].decode()
