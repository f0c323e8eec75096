"""JPEG and PNG files; the size in the header and the end marker are checked before a file is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.files import write_whole

MAX_SIDE_PX = 16384
MAX_PIXELS = 32_000_000
MAX_FILE_BYTES = 128 << 20
MAX_JPEG_SCANS = 100  # a progressive JPEG has about ten; each one is a pass over the whole picture

_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # markers without a segment are skipped
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_NO_PICTURE = "not a picture, or a damaged one (JPEG and PNG are read)"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def decode_picture(data: bytes | memoryview, flags: int = cv2.IMREAD_COLOR) -> Any:
    """A JPEG or PNG file as OpenCV decodes it (B, G, R), H x W or H x W x C of uint8 or uint16.

    Data behind the end marker is ignored, because some drivers pad their buffers.

    Raises UserError with the reason if it is damaged, truncated or above the size limits.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8, count=checked_length(data)), flags)
    if picture is None:
        raise UserError(_NO_PICTURE)
    return picture


def write_picture(path: Path, bgr: NDArray[Any], settings: Sequence[int] = ()) -> None:
    """Write a picture in OpenCV's layout, H x W or H x W x 3 (B, G, R), in the format of the name, whole or not at all.

    Raises UserError if it cannot be written.
    """
    encoded, data = cv2.imencode(path.suffix, np.ascontiguousarray(bgr), list(settings))
    if not encoded:
        raise UserError(f"cannot encode {path}")
    write_whole(path, data.tobytes())


def checked_length(data: bytes | memoryview) -> int:
    """The number of bytes of a JPEG or PNG up to its end marker, without decoding; raises as `decode_picture` does."""
    if len(data) > MAX_FILE_BYTES:
        raise UserError(f"a picture of {len(data):,} bytes; at most {MAX_FILE_BYTES:,} are allowed")
    try:
        if bytes(data[:2]) == b"\xff\xd8":
            return _jpeg_length(data)
        if bytes(data[:8]) == _PNG_SIGNATURE:
            return _png_length(data)
    except (struct.error, IndexError) as error:
        raise UserError("truncated") from error
    raise UserError(_NO_PICTURE)


def is_16_bit_png(data: bytes) -> bool:
    """Whether the header of a file is that of a PNG with 16 bits per channel."""
    return data[:8] == _PNG_SIGNATURE and data[24:25] == b"\x10"


def read_file(path: Path) -> bytes:
    """The bytes of a picture's file. Raises OSError, and UserError for a file above the size limit."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UserError(f"larger than {MAX_FILE_BYTES >> 20} MB")
    return data


def check_size(width_px: int, height_px: int) -> None:
    """Raise UserError for a picture that would fill the memory."""
    if not (0 < width_px <= MAX_SIDE_PX and 0 < height_px <= MAX_SIDE_PX and width_px * height_px <= MAX_PIXELS):
        most = f"{MAX_PIXELS // 10**6} million pixels and {MAX_SIDE_PX} per side"
        raise UserError(f"a picture of {width_px}x{height_px} pixels; at most {most} are allowed")


def _jpeg_length(data: bytes | memoryview) -> int:
    """Go from marker to marker, as decoders do (ITU-T T.81, annex B)."""
    position, scans, sized = 2, 0, False
    while found := _JPEG_MARKER.search(data, position):
        position, marker = found.end(), found[1][0]
        if marker == _JPEG_END:
            if not (sized and scans):
                raise UserError("a JPEG without pixels")
            return position
        if marker in _JPEG_SIZES:
            height_px, width_px = struct.unpack_from(">HH", data, position + 3)
            check_size(width_px, height_px)
            sized = True
        scans += marker == _JPEG_SCAN
        if scans > MAX_JPEG_SCANS:
            raise UserError(f"a JPEG of more than {MAX_JPEG_SCANS} scans")
        position += struct.unpack_from(">H", data, position)[0]
    raise UserError("truncated")


def _png_length(data: bytes | memoryview) -> int:
    """Go from chunk to chunk: length, kind, content, checksum. The first one holds the size."""
    if bytes(data[12:16]) != b"IHDR":
        raise UserError("a PNG without its header")
    check_size(*struct.unpack_from(">II", data, 16))
    position = len(_PNG_SIGNATURE)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + int(length)
        if kind == b"IEND" and position <= len(data):
            return position
