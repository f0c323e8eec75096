"""Files that are written whole or not at all, and private folders."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from fcn_follow.errors import UserError

FolderT = TypeVar("FolderT", bound="NewFolder")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path to write a file to, which moves to `path` when the block ends without an error.

    The folder of `path` must exist. Raises OSError if the file cannot be written.
    """
    with folder_beside(path) as folder:
        part = Path(folder) / path.name
        yield part
        part.replace(path)


def folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A new private folder beside `path`, in which no one else can have put a link or a file; whole files move from it.

    The folder of `path` must exist. Raises OSError if it cannot be written.
    """
    return tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True)


class NewFolder:
    """A new folder, made aside as `part`; it gets its name when closed without an error, or by Ctrl-C.

    Raises UserError where the name is taken or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        require_new(path)
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.aside = folder_beside(path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from error
        self.part = Path(self.aside.name) / path.name

    def __enter__(self: FolderT) -> FolderT:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        with self.aside:
            if kind in (None, KeyboardInterrupt) and self.part.exists():
                self.part.replace(self.path)


def require_new(path: Path, advice: str = "move it away or choose another name") -> None:
    """Raise UserError, with this advice, where there is a file or folder already."""
    if path.exists():
        raise UserError(f"{path}: is there already; {advice}")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file and the folders above it, whole or not at all. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as part:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV table, and the folders above it, whole or not at all. Raises UserError if it cannot be written."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    write_whole(path, text.getvalue())


def private_folder(path: Path) -> Path:
    """Make a folder that only the user can enter, or make it so. Raises OSError if it belongs to another user."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    path.chmod(0o700)
    return path


def make_folder(path: Path, option: str) -> None:
    """Make the folder of an option where it is not there; UserError if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"{option} {path}: a file; give a folder") from error
    except OSError as error:
        raise UserError(f"{option} {path}: {error.strerror or error}") from error
