"""Video files that every browser plays: WebM (VP8)."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from fcn_follow.errors import UserError
from fcn_follow.files import written_aside
from fcn_follow.lab.data.frames import UInt8Array

_WAITING = 32


class Video(AbstractContextManager["Video"]):
    """One video; each call of `add` adds an image. The file gets its name when it is closed without an error.

    Encoding takes 10 ms per image and runs in another thread; `add` waits only when that is far behind.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        self._path, self._rate_hz = path, rate_hz
        self._aside = contextlib.ExitStack()
        self._writer: cv2.VideoWriter | None = None
        self._size_px = (0, 0)
        self._pictures: queue.Queue[UInt8Array | None] = queue.Queue(_WAITING)
        self._encoder = threading.Thread(target=self._encode, name="video", daemon=True)

    def add(self, rgb: UInt8Array) -> None:
        """Add an image H x W x 3, resized to the size of the first one. UserError if it cannot be written."""
        picture = np.ascontiguousarray(rgb[..., ::-1])
        if self._writer is None:
            self._size_px = (picture.shape[1], picture.shape[0])
            self._writer = _open_writer(self._open_part(), self._rate_hz, *self._size_px)
            self._encoder.start()
        if (picture.shape[1], picture.shape[0]) != self._size_px:
            picture = cv2.resize(picture, self._size_px).astype(np.uint8)
        self._pictures.put(picture)

    def _open_part(self) -> Path:
        try:
            return self._aside.enter_context(written_aside(self._path))
        except OSError as error:
            raise UserError(f"cannot write a video to {self._path}: {error.strerror or error}") from error

    def _encode(self) -> None:
        assert self._writer is not None
        while (picture := self._pictures.get()) is not None:
            self._writer.write(picture)

    def close(self) -> None:
        """Finish the file and move it to its name."""
        self._finish()
        self._aside.close()

    def _finish(self) -> None:
        """Wait for the encoder to finish."""
        if self._writer is None:
            return
        self._pictures.put(None)
        self._encoder.join()
        self._writer.release()
        self._writer = None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or kind is KeyboardInterrupt:
            self.close()
        else:
            self._finish()
            self._aside.__exit__(kind, value, trace)


def _open_writer(path: Path, rate_hz: float, width_px: int, height_px: int) -> cv2.VideoWriter:
    with _quiet():  # OpenCV warns of a tag that WebM does not use
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), rate_hz, (width_px, height_px))
    if not writer.isOpened():
        raise UserError(f"cannot write a video to {path}: no VP8 encoder in this OpenCV, or no such folder")
    return writer


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what libraries print to the standard error of the process."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
