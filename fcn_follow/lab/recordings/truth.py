"""True masks from a label-mask topic, Gazebo's labels map, or a folder of masks named by stamp or index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fcn_follow.classes import BACKGROUND, HERO, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.images.messages import MessageError, UInt8Array, image_to_rgb
from fcn_follow.images.pictures import decode_picture, read_file
from fcn_follow.lab.data.frames import IMAGE_SUFFIXES

_STAMP = re.compile(r"(?:^|\D)(\d{1,10})[_.](\d{9})$", re.ASCII)
_INDEX = re.compile(r"(\d+)$", re.ASCII)
_ADDED = re.compile(r"_?(?:data_pack\d+|mask)$")


@dataclass(frozen=True)
class TrueLabels:
    """Gazebo's labels of the hero and of other people; every other label is background."""

    hero: int = HERO
    people: tuple[int, ...] = (OTHER_PEOPLE,)


LABELS_AS_OURS = TrueLabels()


def message_labels(message: Any, gazebo: TrueLabels = LABELS_AS_OURS) -> UInt8Array:
    """Labels H x W of a mask: mono8 with 0, 1 and 2, or a labels map of Gazebo (rgb8, the label in each channel).

    Raises MessageError if it is neither.
    """
    values = image_to_rgb(message)[:, :, 0]
    if message.encoding in ("mono8", "8UC1"):
        if values.max() > HERO:
            raise MessageError(f"mask with a value of {values.max()}; it must be 0 background, 1 people or 2 hero")
        return values
    labels: UInt8Array = np.full(values.shape, BACKGROUND, np.uint8)
    labels[np.isin(values, gazebo.people)] = OTHER_PEOPLE
    labels[values == gazebo.hero] = HERO
    return labels


def stamped_name(stamp_ns: int) -> str:
    """The name of a frame with this stamp in a folder."""
    return f"{stamp_ns // 10**9:010d}_{stamp_ns % 10**9:09d}"


def stamp_of_name(name: str) -> int | None:
    """The stamp in nanoseconds at the end of a file's name (without suffix), None if there is none."""
    found = _STAMP.search(_ADDED.sub("", name))
    return int(found[1]) * 10**9 + int(found[2]) if found else None


@dataclass(frozen=True)
class MaskFolder:
    """Masks by the stamp or, where the names have no stamps, by the index of their image in the bag."""

    path: Path
    by_stamp: bool
    files: dict[int, Path]

    def labels(self, stamp_ns: int, index: int, tolerance_ns: int) -> UInt8Array | None:
        """Labels H x W of an image, None where it has no mask. Raises MessageError if the file is damaged."""
        key = stamp_ns if self.by_stamp else index
        if self.by_stamp and key not in self.files and tolerance_ns > 0:
            key = min(self.files, key=lambda stamp: abs(stamp - stamp_ns))
            key = key if abs(key - stamp_ns) <= tolerance_ns else stamp_ns
        return _read_mask(self.files[key]) if key in self.files else None


def open_mask_folder(path: Path) -> MaskFolder:
    """The masks of a folder, or of masks/ in it. Raises UserError if there are none, or two for one image."""
    folder = path / "masks" if (path / "masks").is_dir() else path
    if not folder.is_dir():
        raise UserError(f"{path}: there is no such folder of masks")
    pictures = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    stamps = [stamp_of_name(file.stem) for file in pictures]
    by_stamp = bool(stamps) and all(stamp is not None for stamp in stamps)
    files: dict[int, Path] = {}
    for file, stamp in zip(pictures, stamps, strict=True):
        index = _INDEX.search(_ADDED.sub("", file.stem))
        if not by_stamp and index is None:
            raise UserError(f"{file}: a mask's name ends with the stamp (seconds_nanoseconds) or index of its image")
        key = stamp if by_stamp and stamp is not None else int(index[1]) if index else 0
        if key in files:
            raise UserError(f"{file} and {files[key].name}: two masks for one image")
        files[key] = file
    if not files:
        raise UserError(f"{path}: has no masks (png)")
    return MaskFolder(path, by_stamp, files)


def _read_mask(path: Path) -> UInt8Array:
    """Labels of a mask that is red, green and blue as in a frame folder, or grey 0, 1, 2 as on the topic."""
    try:
        picture = decode_picture(read_file(path), cv2.IMREAD_UNCHANGED)
    except (OSError, UserError) as error:
        raise MessageError(f"{path}: {error}") from error
    if picture.ndim == 2:
        if picture.dtype != np.uint8 or picture.max() > HERO:
            raise MessageError(f"{path}: a grey mask has the values 0 background, 1 people, 2 hero")
        grey: UInt8Array = picture.astype(np.uint8)
        return grey
    channels = picture[:, :, 2::-1] > 127
    if picture.dtype != np.uint8 or not (channels.sum(axis=2) == 1).all():
        raise MessageError(f"{path}: each pixel must have one of red, green and blue set")
    labels: UInt8Array = channels.argmax(axis=2).astype(np.uint8)
    return labels


def mask_picture(labels: UInt8Array) -> UInt8Array:
    """Labels H x W as a mask of the training format, H x W x 3: red background, green people, blue hero."""
    picture: UInt8Array = (labels[:, :, None] == np.arange(3)).astype(np.uint8) * np.uint8(255)
    return picture
