"""MCAP files (https://mcap.dev/spec), read chunk by chunk: only one chunk is in memory at a time.

A record is an operation code, a length of 8 bytes, and the content. A complete file ends with a summary of its topics
and their message counts; an incomplete file is read through to count them.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from fcn_follow.errors import UserError
from fcn_follow.lab.recordings.compression import MAX_MESSAGE_BYTES, plain_chunk
from fcn_follow.lab.recordings.storage import RawMessage, StorageFile, Topic

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, STATISTICS, DATA_END = 2, 3, 4, 5, 6, 11, 15
_FOOTER_BYTES = 9 + 20 + len(MAGIC)
_READ = (FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, STATISTICS, DATA_END)

_Channels = dict[int, tuple[str, str]]
_DAMAGE = (OSError, struct.error, UnicodeDecodeError, KeyError, UserError)


def open_mcap(path: Path) -> StorageFile:
    """The topics of a file by its summary, or by reading it through where the summary is missing or damaged."""
    try:
        counts = _summary(path)
        if counts is None:
            counts = Counter((message.topic, message.type) for message in _messages(path))
        damage = ""
    except _DAMAGE as error:
        counts, damage = Counter(), str(error) or "cut short"
        try:
            for message in _messages(path):
                counts[message.topic, message.type] += 1
        except _DAMAGE as found:
            damage = str(found) or damage
    topics = tuple(Topic(*key, count) for key, count in counts.items())
    return StorageFile(topics, partial(_messages_of, path, bool(damage)), damage)


def _messages_of(path: Path, damaged: bool, topics: Collection[str]) -> Iterator[RawMessage]:
    """The messages of some topics; in a damaged file up to the damage, which was reported when it was opened."""
    try:
        yield from (message for message in _messages(path) if message.topic in topics)
    except _DAMAGE:
        if not damaged:
            raise


def _messages(path: Path) -> Iterator[RawMessage]:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise UserError("not an mcap file")
        yield from _walk(file, path.stat().st_size, {}, {})


def _walk(file: BinaryIO, size: int, schemas: dict[int, str], channels: _Channels) -> Iterator[RawMessage]:
    """The messages of a file or a chunk. Raises one of _DAMAGE where it is damaged."""
    while operation := _operation(file, size):
        code, content, cut = operation
        if code == SCHEMA:
            schemas[struct.unpack_from("<H", content)[0]] = _string(content, 2)
        elif code == CHANNEL:
            channel, schema = struct.unpack_from("<HH", content)
            channels[channel] = (_string(content, 4), schemas.get(schema, ""))
        elif code == MESSAGE and not cut:
            channel, _, recorded_ns, _ = struct.unpack_from("<HIQQ", content)
            yield RawMessage(*channels[channel], recorded_ns, content[22:])
        elif code == CHUNK and not isinstance(file, BytesIO):
            records = _records(content, cut)
            yield from _in_order(_walk(BytesIO(records), len(records), schemas, channels))
        elif code == DATA_END:
            return
        if cut:
            break
    if not isinstance(file, BytesIO):
        raise UserError("cut short")


def _in_order(messages: Iterator[RawMessage]) -> Iterator[RawMessage]:
    """The messages of a chunk in the order of their recording, also those before a damage."""
    chunk: list[RawMessage] = []
    try:
        chunk.extend(messages)
    finally:
        yield from sorted(chunk, key=lambda message: message.recorded_ns)


def _operation(file: BinaryIO, size: int) -> tuple[int, bytes, bool] | None:
    """The next record: code, content (empty for codes not in _READ), whether it is truncated; None at the end."""
    head = file.read(9)
    if len(head) < 9:
        return None
    code, length = struct.unpack("<BQ", head)
    left = size - file.tell()
    if code not in _READ:
        file.seek(min(length, left), os.SEEK_CUR)
        return code, b"", length > left
    if min(length, left) > MAX_MESSAGE_BYTES:
        raise UserError(f"a record of {length:,} bytes; at most {MAX_MESSAGE_BYTES:,} are allowed")
    return code, file.read(min(length, left)), length > left


def _records(content: bytes, cut: bool) -> bytes:
    """The records of a chunk; from a truncated one without compression, the part that is there."""
    size, checksum = struct.unpack_from("<QI", content, 16)
    compression = _string(content, 28)
    start = 32 + len(compression.encode())
    (packed_size,) = struct.unpack_from("<Q", content, start)
    packed = content[start + 8 : start + 8 + packed_size]
    if cut:
        return b"" if compression else packed
    records = plain_chunk(packed, compression, size)
    if checksum and zlib.crc32(records) != checksum:
        raise UserError("a chunk's checksum is wrong")
    return records


def _summary(path: Path) -> Counter[tuple[str, str]] | None:
    """The number of messages of each (topic, type) by the summary; None for a complete file without one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _FOOTER_BYTES, 0))
        end = file.read()
        if not end.endswith(MAGIC) or end[0] != FOOTER or len(end) < _FOOTER_BYTES:
            raise UserError("has no end record; it was cut short or never closed")
        (start,) = struct.unpack_from("<Q", end, 9)
        if start == 0:
            return None
        file.seek(min(start, size))
        schemas: dict[int, str] = {}
        channels: _Channels = {}
        counts: Counter[tuple[str, str]] = Counter()
        while (operation := _operation(file, size)) and operation[0] != FOOTER:
            code, content, _ = operation
            if code == SCHEMA:
                schemas[struct.unpack_from("<H", content)[0]] = _string(content, 2)
            elif code == CHANNEL:
                channel, schema = struct.unpack_from("<HH", content)
                channels[channel] = (_string(content, 4), schemas.get(schema, ""))
                counts[channels[channel]] += 0
            elif code == STATISTICS:
                (length,) = struct.unpack_from("<I", content, 42)
                for channel, count in struct.iter_unpack("<HQ", content[46 : 46 + length]):
                    counts[channels[channel]] += count
        return counts


def _string(content: bytes, offset: int) -> str:
    (length,) = struct.unpack_from("<I", content, offset)
    return content[offset + 4 : offset + 4 + length].decode()
