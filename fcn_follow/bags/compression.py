"""What rosbag2 compresses with; the modules come with rosbags."""

from __future__ import annotations

import sys

import lz4.frame  # type: ignore[import-untyped]

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

ERRORS = (zstd.ZstdError, RuntimeError, EOFError)
"""What the functions here raise for damaged bytes."""


def plain_message(data: bytes) -> bytes:
    """A message's CDR bytes, which never begin as a zstd frame does; decompressed where they are one."""
    return zstd.decompress(data) if data[:4] == ZSTD_MAGIC else data


def plain_chunk(records: bytes, compression: str) -> bytes:
    """The records of an mcap chunk; compression is "", "zstd" or "lz4"."""
    if not compression:
        return records
    return zstd.decompress(records) if compression == "zstd" else bytes(lz4.frame.decompress(records))
