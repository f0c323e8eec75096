"""The Oxford-IIIT Pets (Parkhi et al., "Cats and Dogs", 2012) as they are published: images/, annotations/.

annotations/trainval.txt and test.txt list one picture per line (name, breed, species, breed of the species; # comment);
images/NAME.jpg is the picture; annotations/trimaps/NAME.png has the class of each pixel: 1 pet, 2 background, 3 border.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fcn_follow.errors import UserError
from fcn_follow.images.pictures import check_size
from fcn_follow.lab.data.bank import FrameBank
from fcn_follow.lab.data.frames import UInt8Array
from fcn_follow.lab.data.resize import resize_image

PREFIX = "pets:"
PET, BACKGROUND, BORDER = 0, 1, 2
CLASSES = ("pet", "background", "border")
LISTS = ("trainval.txt", "test.txt")
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_FORMATS = ("JPEG", "PNG", "GIF")  # some of the published .jpg files have the other formats


def read_list(folder: Path, name: str) -> list[str]:
    """The names in a list file; image and trimap of each are in the folder.

    Raises UserError, naming the file, where the list cannot be read, is empty, repeats a name, or a file is missing.
    """
    path = folder / "annotations" / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list of pictures ({error})") from error
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not _NAME.fullmatch(words[0]):
            raise UserError(f"{path}, line {number}: {words[0]!r} is not a picture's name")
        if words[0] in seen:
            raise UserError(f"{path}, line {number}: {words[0]} is already in line {seen[words[0]]}")
        for needed in (image_path(folder, words[0]), trimap_path(folder, words[0])):
            if not needed.is_file():
                raise UserError(f"{path}, line {number}: {needed} is missing")
        seen[words[0]] = number
    if not seen:
        raise UserError(f"{path}: names no picture")
    return list(seen)


def load_pets(
    folder: Path, names: list[str], size_px: int, workers: int = 2, on_frame: Callable[[], None] = lambda: None
) -> FrameBank:
    """Pictures (antialiased) and trimaps (nearest) at size_px x size_px; the labels are 0 pet, 1 background, 2 border.

    Raises UserError, naming the file, where one is damaged, or a trimap has another size than its picture or a fourth
    value.
    """

    def load(name: str) -> tuple[UInt8Array, UInt8Array]:
        image = _open(image_path(folder, name), "RGB")
        trimap = _open(trimap_path(folder, name), "L")
        if trimap.shape != image.shape[:2]:
            sizes = " and ".join(f"{array.shape[1]}x{array.shape[0]}" for array in (trimap, image))
            raise UserError(f"{trimap_path(folder, name)}: has another size than its picture ({sizes})")
        if trimap.min() < 1 or trimap.max() > len(CLASSES):
            wrong = trimap[(trimap < 1) | (trimap > len(CLASSES))][0]
            raise UserError(
                f"{trimap_path(folder, name)}: has a pixel of {wrong}; a trimap has 1 pet, 2 background, 3 border"
            )
        labels: UInt8Array = cv2.resize(trimap - 1, (size_px, size_px), interpolation=cv2.INTER_NEAREST)
        on_frame()
        return resize_image(image, size_px, size_px), labels

    images = np.empty((len(names), size_px, size_px, 3), np.uint8)
    labels = np.empty((len(names), size_px, size_px), np.uint8)
    with ThreadPoolExecutor(workers) as pool:
        for i, (image, label) in enumerate(pool.map(load, names)):
            images[i], labels[i] = image, label
    return FrameBank(images, labels, tuple(names), ())


def image_path(folder: Path, name: str) -> Path:
    """The path of a picture."""
    return folder / "images" / f"{name}.jpg"


def trimap_path(folder: Path, name: str) -> Path:
    """The path of a picture's trimap."""
    return folder / "annotations" / "trimaps" / f"{name}.png"


def _open(path: Path, mode: str) -> UInt8Array:
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            if mode == "L" and picture.mode not in ("L", "P"):
                raise UserError(f"{path}: not a trimap of one byte per pixel, but {picture.mode}")
            check_size(*picture.size)
            return np.array(picture if mode == "L" else picture.convert(mode))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a picture, or a damaged one ({error})") from error
