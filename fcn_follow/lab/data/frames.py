"""Folders and zips of camera frames, with or without masks: paired by key, decoded on demand.

A folder holds images/ and masks/ (or images/ alone, or the images directly), and depth/ (`depth_files.py`) where there
is depth; or it is a raw recording of the course's simulator. `frame_names.py` pairs the files. Masks are RGB with
exactly one channel set: red background, green other people, blue the hero.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.images.pictures import MAX_FILE_BYTES, decode_picture, is_16_bit_png, read_file
from fcn_follow.lab.data.depth_files import LISTING, decode_depth, read_focal_lengths
from fcn_follow.lab.data.frame_names import natural, run_of, sort_out

UInt8Array = NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
RECORDING_SUFFIXES = frozenset({".mcap", ".db3"})
_CLASSES_SET = np.ones((1, 3), np.float32)  # the sum of a mask's channels
_ZIP_ERRORS = (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError, zlib.error, struct.error, OverflowError)
"""zipfile raises these for damaged files."""
_ZIP_TAIL_BYTES = 66_000  # the end record with the longest comment, and those of zip64 before it
_IN_ZIP64 = 0xFFFFFFFF
MAX_ZIP_DIRECTORY_BYTES = 32 << 20


class FrameError(UserError):
    """A single frame cannot be read; callers with many frames skip and count it."""


@dataclass(frozen=True)
class _Folder:
    root: Path

    def names(self) -> list[PurePosixPath]:
        return [PurePosixPath(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()]

    def read(self, name: PurePosixPath) -> bytes:
        return read_file(self.root / name)


@dataclass(frozen=True)
class _Zip:
    file: zipfile.ZipFile

    def names(self) -> list[PurePosixPath]:
        return [PurePosixPath(entry.filename) for entry in self.file.infolist() if not entry.filename.endswith("/")]

    def read(self, name: PurePosixPath) -> bytes:
        entry = self.file.getinfo(str(name))
        if entry.flag_bits & 1:
            raise UserError("encrypted")
        if entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):  # others can take any amount of memory
            raise UserError("not compressed with deflate; zip the frames again")
        if entry.file_size > MAX_FILE_BYTES:
            raise UserError(f"larger than {MAX_FILE_BYTES >> 20} MB")
        with self.file.open(entry) as member:
            return member.read(MAX_FILE_BYTES)  # ends at the size that was checked


@dataclass(frozen=True)
class FrameSet:
    """Frames sorted by key; `name` is the folder's, `keys[i]` the frame's, `runs[i]` the run it was recorded in.

    A set whose names do not contain the run is one run, named after the folder.
    """

    name: str
    path: Path
    keys: tuple[str, ...]
    runs: tuple[str, ...]
    _source: _Folder | _Zip
    _images: tuple[PurePosixPath, ...]
    _masks: tuple[tuple[PurePosixPath, ...], ...] | None
    _depths: tuple[PurePosixPath, ...] | None = None
    _shapes: dict[int, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)
    """H x W x 3 of the images decoded so far, which their masks must have."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def has_masks(self) -> bool:
        return self._masks is not None

    def image(self, index: int) -> UInt8Array:
        """The frame as uint8 H x W x 3, RGB. Raises FrameError, naming the file, when it cannot be decoded."""
        rgb = self._decode(self._images[index])
        self._shapes[index] = rgb.shape
        return rgb

    def image_file(self, index: int) -> bytes:
        """The bytes of the frame's JPEG or PNG file. Raises FrameError where it cannot be read."""
        return self._read(self._images[index])

    def mask(self, index: int) -> UInt8Array | None:
        """The 0/1 mask as uint8 H x W x 3 (background, other people, hero), or None in a set without masks.

        Raises FrameError if the file is damaged or differs in size from its image, or a pixel has no class or two.
        """
        if self._masks is None:
            return None
        files = self._masks[index]
        image_shape = self._shapes.get(index) or self.image(index).shape
        pictures = [self._decode(file) for file in files]
        for file, picture in zip(files, pictures, strict=True):
            if picture.shape != image_shape:
                sizes = [f"{width}x{height}" for height, width, _ in (picture.shape, image_shape)]
                raise FrameError(f"{self.path}: {file}: mask of {sizes[0]} pixels, but its image has {sizes[1]}")
        if len(pictures) > 1:
            return _nearest_class(pictures)
        _, mask = cv2.threshold(pictures[0], 127, 1, cv2.THRESH_BINARY)
        if bool((cv2.transform(mask, _CLASSES_SET) != 1).any()):
            raise FrameError(f"{self.path}: {files[0]}: each pixel must have one of red, green and blue set")
        classes: UInt8Array = mask.astype(np.uint8, copy=False)
        return classes

    def labels(self, index: int) -> UInt8Array | None:
        """The mask as uint8 H x W: 0 background, 1 other people, 2 hero; None in a set without masks."""
        mask = self.mask(index)
        return None if mask is None else mask.argmax(axis=2).astype(np.uint8)

    @property
    def has_depth(self) -> bool:
        return self._depths is not None

    def depth_m(self, index: int, image: UInt8Array) -> NDArray[np.float32] | None:
        """Depth in metres along the optical axis, float32 H x W, 0 where not measured; None in a set without depth.

        Raises FrameError, naming the file, where it is damaged, not 16-bit, 0 everywhere, or of another size than the
        frame's image.
        """
        if self._depths is None:
            return None
        name = self._depths[index]
        data = self._read(name)
        try:
            depth_m = decode_depth(data)
        except UserError as error:
            raise FrameError(f"{self.path}: {name}: {error}") from error
        if depth_m.shape != image.shape[:2]:
            sizes = [f"{width}x{height}" for height, width in (depth_m.shape, image.shape[:2])]
            raise FrameError(f"{self.path}: {name}: depth of {sizes[0]} pixels, but its image has {sizes[1]}")
        return depth_m

    @cached_property
    def focal_y_px(self) -> tuple[float | None, ...]:
        """Each frame's vertical focal length in its own pixels, from frames.jsonl; None if it is unknown.

        Raises UserError if frames.jsonl cannot be read.
        """
        listing = self._images[0].parent.parent / LISTING
        if listing not in self._source.names():
            return (None,) * len(self)
        try:
            by_number = read_focal_lengths(self._read(listing).decode())
        except (UserError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: {error}") from error
        numbers = [re.findall(r"[0-9]+", key) for key in self.keys]
        return tuple(by_number.get(found[-1].lstrip("0") or "0") if found else None for found in numbers)

    def _read(self, name: PurePosixPath) -> bytes:
        try:
            return self._source.read(name)
        except (UserError, KeyError, *_ZIP_ERRORS) as error:
            raise FrameError(f"{self.path}: {name}: cannot be read ({error})") from error

    def _decode(self, name: PurePosixPath) -> UInt8Array:
        data = self._read(name)
        try:
            if is_16_bit_png(data):
                raise UserError("16 bits a channel, as in depth/; frames and masks have 8")
            picture = decode_picture(data)
        except UserError as error:
            raise FrameError(f"{self.path}: {name}: {error}") from error
        rgb: UInt8Array = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return rgb


def open_frames(path: Path, folder: str = "") -> FrameSet:
    """The frames of a folder or zip, or of the folder with this name in it. Nothing is decoded yet.

    Raises UserError if the path is neither, holds no images, or images and masks do not pair one to one.
    """
    source, name = _open_source(path)
    names = [entry for entry in source.names() if not entry.name.startswith(".")]
    recordings = sorted({entry.parent for entry in names if entry.suffix in RECORDING_SUFFIXES})
    if recordings:
        _refuse_recording(path, path / recordings[0])
    pictures = [entry for entry in names if entry.suffix.lower() in IMAGE_SUFFIXES]
    if folder:
        pictures = [entry for entry in pictures if entry.parent.parent.name == folder]
    images, masks, depths = sort_out(path, pictures)
    ordered = sorted(images, key=natural)
    roots = {image.parent.parent.name for image in images.values()}
    root = name if len(roots) > 1 else roots.pop() or name
    return FrameSet(
        root,
        path,
        tuple(ordered),
        tuple(run_of(key, root) for key in ordered),
        source,
        tuple(images[key] for key in ordered),
        tuple(masks[key] for key in ordered) if masks else None,
        tuple(depths[key] for key in ordered) if depths else None,
    )


def _refuse_recording(path: Path, recording: Path) -> None:
    if path.is_file():
        raise UserError(f"{path}: a zip with a recording; unpack it, and fcn-follow bag-to-frames makes frames from it")
    what = "a recording" if recording == path else f"has the recording {recording} in it"
    raise UserError(f"{path}: {what}; `fcn-follow bag-to-frames {recording} FOLDER` makes frames from it")


def set_folders(path: Path) -> frozenset[str]:
    """The names of the folders in a folder or zip that hold images/. Raises UserError if the path is neither."""
    source, name = _open_source(path)
    return frozenset(entry.parent.parent.name or name for entry in source.names() if entry.parent.name == "images")


def _nearest_class(pictures: list[UInt8Array]) -> UInt8Array:
    """The 0/1 mask from a raw recording's three pictures, which hold the distance of people, hero and rest.

    Each pixel has the class of the nearest, as in the course's preprocessing, with its overflow: 0 - 1 is 255.
    """
    people, hero, rest = (picture[..., 0] for picture in pictures)
    labels = np.argmin([rest - np.uint8(1), people, hero], axis=0)
    mask: UInt8Array = np.eye(3, dtype=np.uint8)[labels]
    return mask


def _open_source(path: Path) -> tuple[_Folder | _Zip, str]:
    if path.is_dir():
        return _Folder(path), path.resolve().name
    if path.is_file():
        try:
            _check_zip_directory(path)
            return _Zip(zipfile.ZipFile(path)), path.stem
        except (UserError, *_ZIP_ERRORS) as error:
            raise UserError(f"{path}: not a folder of frames and not a zip of one ({error})") from error
    raise UserError(f"{path}: there is no such folder or zip")


def _check_zip_directory(path: Path) -> None:
    """Raise UserError if a zip's list of members, which zipfile reads as a whole, is too large for a frame set."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _ZIP_TAIL_BYTES), os.SEEK_END)
        tail = file.read()
    sizes = [struct.unpack_from("<I", tail, found.start() + 12) for found in re.finditer(b"PK\x05\x06(?s:.){12}", tail)]
    sizes += [
        struct.unpack_from("<Q", tail, found.start() + 40) for found in re.finditer(b"PK\x06\x06(?s:.){44}", tail)
    ]
    if any(MAX_ZIP_DIRECTORY_BYTES < size != _IN_ZIP64 for (size,) in sizes):
        raise UserError(f"its list of members is larger than {MAX_ZIP_DIRECTORY_BYTES >> 20} MB")
