"""Which files are a frame, its mask and its depth: by folder and name.

The names of an image and its mask differ in the public sets: `4_run2cam1_00327.jpeg` belongs to
`4_run2_mask_00327.png`, `1_run1_cam1_00009_data_pack2.jpeg` to `1_run1_mask_00009_data_pack2.png`, and
`0_run1cam1_00005.jpeg` to `0__mask_00005.png`, which leaves out the run. The key is the name without the words for
camera, mask and depth. A raw recording of the course's simulator has folders IMG/ instead, with the frame as cam1 and
its mask in three pictures: cam2 the other people, cam3 the hero, cam4 the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from fcn_follow.errors import UserError

FrameFile = TypeVar("FrameFile")
MASK_CAMERAS = (2, 3, 4)
_KIND = re.compile(r"_?(?:cam\d+|mask|depth)(?=_|$)")
_CAMERA = re.compile(r"cam(\d)(?=_|$)")
_RUN = re.compile(r"(?:^|_)run[^_]*")
_FRAME_NUMBER = re.compile(r"\d{4,}")


class FrameNames(NamedTuple):
    """The files of a set by key; a mask is one file, or three of a raw recording in the order of MASK_CAMERAS."""

    images: dict[str, PurePosixPath]
    masks: dict[str, tuple[PurePosixPath, ...]]
    depths: dict[str, PurePosixPath]


def sort_out(path: Path, names: Sequence[PurePosixPath]) -> FrameNames:
    """Images, masks and depth of the pictures in a set; masks and depths have the keys of their images.

    Raises UserError if there are no images, or if they do not pair one to one with the others.
    """
    images = [name for name in names if name.parent.name == "images"]
    masks = [name for name in names if name.parent.name == "masks"]
    if not images and not masks:
        masks = [name for name in names if _camera(name) in MASK_CAMERAS]
        images = [name for name in names if _camera(name) == 1] if masks else list(names)
    if not images:
        raise UserError(f"{path}: no frames found; they must be pictures (jpeg, png) in a folder images/")
    image_by_key = _one_each(path, _by_key(images))
    mask_by_key = {key: _mask_files(path, key, files) for key, files in _by_key(masks).items()}
    depth_by_key = _one_each(path, _by_key(name for name in names if name.parent.name == "depth"))
    return FrameNames(
        image_by_key,
        _partners(path, "mask", image_by_key, mask_by_key) if masks else {},
        _partners(path, "depth", image_by_key, depth_by_key) if depth_by_key else {},
    )


def frame_key(name: str) -> str:
    """The part that the file names of an image and its mask share: without folder, suffix, camera, "mask" and "depth".

    >>> frame_key("4_run2cam1_00327.jpeg"), frame_key("1_run1_mask_00009_data_pack2.png")
    ('4_run2_00327', '1_run1_00009_data_pack2')
    """
    return "_".join(part for part in _KIND.sub("", PurePosixPath(name).stem).split("_") if part)


def run_of(key: str, set_name: str) -> str:
    """The key without the frame number; the set's name where the key has no number behind a run."""
    parts = key.split("_")
    rest = [part for part in parts if not _FRAME_NUMBER.fullmatch(part)]
    return "_".join(rest) if rest and len(rest) < len(parts) and "run" in key else set_name


def natural(key: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key: text as it is, numbers by value, including those that are too long for int()."""
    parts = re.findall(r"0*([0-9]+)|([^0-9]+)", key)
    return tuple((1, 0, text) if text else (0, len(number), number) for number, text in parts)


def _camera(name: PurePosixPath) -> int | None:
    found = _CAMERA.search(name.stem)
    return int(found[1]) if found else None


def _by_key(names: Iterable[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    found: dict[str, list[PurePosixPath]] = {}
    for name in sorted(names):
        run = f"{name.parent.parent.name}_" if name.parent.name == "IMG" else ""
        found.setdefault(frame_key(run + name.name), []).append(name)
    return found


def _one_each(path: Path, by_key: Mapping[str, list[PurePosixPath]]) -> dict[str, PurePosixPath]:
    for key, files in by_key.items():
        if len(files) > 1:
            raise UserError(f"{path}: {files[0]} and {files[1]} have the same key {key}; each frame needs its own")
    return {key: file for key, (file,) in by_key.items()}


def _mask_files(path: Path, key: str, files: list[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    cameras = tuple(_camera(file) for file in files)
    if cameras == MASK_CAMERAS:
        return tuple(files)
    if set(cameras) & set(MASK_CAMERAS):
        raise UserError(f"{path}: {files[0]}: the mask of a raw recording is three pictures, cam2, cam3 and cam4")
    return (_one_each(path, {key: files})[key],)


def _partners(
    path: Path, kind: str, images: Mapping[str, PurePosixPath], others: Mapping[str, FrameFile]
) -> dict[str, FrameFile]:
    """The other file of each image: with the same key, or with a key that differs only by a missing run."""
    found = {key: others[key] for key in images if key in others}
    left = _by_short_key(key for key in others if key not in found)
    for short, keys in _by_short_key(key for key in images if key not in found).items():
        candidates = left.get(short, [])
        if len(keys) == len(candidates) == 1 and short in (keys[0], candidates[0]):
            found[keys[0]] = others[candidates[0]]
            del left[short]
    alone = [f"{images[key]} has no {kind}" for key in images if key not in found]
    alone += [f"the {kind} {key} has no image" for keys in left.values() for key in keys]
    if alone:
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise UserError(f"{path}: {alone[0]}{more}; every image needs one {kind} with the same key")
    return found


def _by_short_key(keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(_RUN.sub("", key), []).append(key)
    return found
