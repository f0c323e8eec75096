"""Decompression of what rosbag2 compresses, up to a bound; the modules come with rosbags."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lz4.frame  # type: ignore[import-untyped]

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from fcn_follow.errors import UserError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_MESSAGE_BYTES = 256 << 20
"""Largest message or chunk of messages; the largest image that is read has 128 MB at four bytes per pixel."""
_COPIED_BYTES = 1 << 20


def plain_message(data: bytes) -> bytes:
    """A message's CDR bytes, decompressed where they begin as a zstd frame does, which CDR never does."""
    return _unpacked(zstd.ZstdDecompressor(), data, MAX_MESSAGE_BYTES) if data[:4] == ZSTD_MAGIC else data


def plain_chunk(records: bytes, compression: str, size: int) -> bytes:
    """The records of an mcap chunk of `size` bytes; compression is "", "zstd" or "lz4".

    Raises UserError if the size is wrong or larger than MAX_MESSAGE_BYTES, or the compression is another.
    """
    if size > MAX_MESSAGE_BYTES:
        raise UserError(f"a chunk of {size:,} bytes; at most {MAX_MESSAGE_BYTES:,} are allowed")
    if compression == "zstd":
        records = _unpacked(zstd.ZstdDecompressor(), records, size)
    elif compression == "lz4":
        records = _unpacked(lz4.frame.LZ4FrameDecompressor(), records, size)
    elif compression:
        raise UserError(f"compression {compression[:20]} is not known")
    if len(records) != size:
        raise UserError(f"a chunk of {len(records):,} bytes announces {size:,}")
    return records


def unpack_file(packed: Path, plain: Path, max_bytes: int) -> str:
    """Decompress a zstd file as far as possible; the problem in words, or an empty string."""
    written = 0
    try:
        with zstd.open(packed, "rb") as source, plain.open("wb") as target:
            while piece := source.read(_COPIED_BYTES):
                written += len(piece)
                if written > max_bytes:
                    return f"unpacks to more than the {max_bytes >> 20} MB that are free"
                target.write(piece)
    except (zstd.ZstdError, EOFError, OSError) as error:
        return str(error)
    return ""


def _unpacked(decompressor: Any, data: bytes, max_bytes: int) -> bytes:
    try:
        plain = decompressor.decompress(data, max_length=max_bytes + 1)
    except (zstd.ZstdError, RuntimeError, EOFError) as error:
        raise UserError(f"damaged, it cannot be unpacked ({error})") from error
    if len(plain) > max_bytes:
        raise UserError(f"unpacks to more than {max_bytes:,} bytes")
    if not decompressor.eof:
        raise UserError("compressed, and cut short")
    return bytes(plain)
