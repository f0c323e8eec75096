"""Frames of real people: cut-outs of photographs on backgrounds without people, as a worse camera would see them.

A frame depends only on the options, the photographs, the backgrounds and its number: an interrupted run can continue.
Shapes cut from other backgrounds are pasted in the same way and stay background: a pasted edge alone must not mean a
person. Other frames show a photograph unchanged, with its person where the person stood.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fcn_follow.classes import BACKGROUND, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.files import write_whole
from fcn_follow.images.pictures import write_picture
from fcn_follow.lab.data.frames import FrameError, UInt8Array
from fcn_follow.lab.data.people_photos import PARTS, Photo
from fcn_follow.lab.data.split import FrameRef

FloatArray = NDArray[np.float32]
Item = TypeVar("Item")
_MAX_PEOPLE = 8


@dataclass(frozen=True)
class CompositionOptions:
    """The options of the frames; heights are those of pasted people, in pixels of the frame."""

    count: int
    part: str = "train"
    seed: int = 0
    size_px: int = 256
    min_height_px: float = 12.0
    max_height_px: float = 150.0

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise UserError(f"part is {self.part}; it must be one of {', '.join(PARTS)}")
        if self.count < 1 or self.seed < 0:
            raise UserError(f"count is {self.count} and seed {self.seed}; they must be at least 1 and 0")
        if not 32 <= self.size_px <= 2048:
            raise UserError(f"size is {self.size_px} px; it must be 32 to 2048")
        if not 4 <= self.min_height_px <= self.max_height_px <= self.size_px:
            heights = f"{self.min_height_px:g} to {self.max_height_px:g} px"
            raise UserError(f"heights are {heights}; they must be 4 px to the frame's {self.size_px} px")


@dataclass(frozen=True)
class Composer:
    """Makes frames from photographs and from sets of frames without people (`without_people`).

    Raises UserError if there is no background.
    """

    options: CompositionOptions
    photos: Sequence[Photo]
    sets: Sequence[Sequence[FrameRef]]

    def __post_init__(self) -> None:
        if not self.sets and not self._plates:
            raise UserError("there is no background: no photograph shows its person alone, and no other was given")

    def write(self, out: Path) -> Iterator[int]:
        """Write images/ and masks/ into `out` and yield the number of finished frames, beginning with an earlier run's.

        Raises UserError if `out` holds other files, or frames of other options or sources, or cannot be written.
        """
        manifest = out / "manifest.json"
        options = {name: value for name, value in asdict(self.options).items() if name != "count"}  # it may grow
        made = {"made_by": "fcn-follow compose-people", **options, "sources": self._sources()}
        text = json.dumps(made, indent=1) + "\n"
        if out.exists() and not (manifest.is_file() and manifest.read_bytes() == text.encode()):
            raise UserError(f"{out} exists and does not hold an earlier part of this run; give another folder")
        write_whole(manifest, text)
        run = f"people_{self.options.part}_run"
        for index in range(self.options.count):
            image = out / "images" / f"{run}_cam1_{index:06d}.jpeg"
            if not image.is_file():
                rng = np.random.default_rng([self.options.seed, PARTS.index(self.options.part), index])
                rgb, labels = self.frame(rng)
                mask = (labels[..., None] == np.array([2, 1, 0])).astype(np.uint8) * 255
                write_picture(out / "masks" / f"{run}_mask_{index:06d}.png", mask)
                write_picture(image, rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))])
            yield index + 1

    def _sources(self) -> str:
        """The SHA-256 of the people and of the names of the backgrounds."""
        digest = hashlib.sha256()
        for photo in self.photos:
            digest.update(bytes([photo.alone]) + photo.person.tobytes())
        for ref in (ref for refs in self.sets for ref in refs):
            digest.update(ref.name.encode() + b"\n")
        return digest.hexdigest()

    def frame(self, rng: Generator) -> tuple[UInt8Array, UInt8Array]:
        """A frame S x S x 3 RGB and its labels S x S."""
        options, size_px = self.options, self.options.size_px
        scene, labels = self._scene(rng)
        frame = _Layers(rng, scene.astype(np.float32), labels)
        for _ in range(int(rng.integers(0, 4))):
            frame.paste_shape(self._background(rng), self._silhouette(rng))
        low, high = np.log((options.min_height_px, options.max_height_px))
        typical_px = np.exp(rng.uniform(low, high))
        crowd = 0 if rng.random() < 0.12 else 1 + int(rng.poisson(2.2 if typical_px < 0.4 * size_px else 0.7))
        heights = np.clip(typical_px * np.exp(rng.normal(0, 0.4, min(crowd, _MAX_PEOPLE))), *np.exp((low, high)))
        horizon_px, camera_heights = rng.uniform(-0.2, 0.6) * size_px, rng.uniform(0.7, 2.5)
        for height_px in sorted(map(float, heights)):
            feet_px = horizon_px + camera_heights * height_px + rng.normal(0, 0.04 * size_px)
            if not 0.35 * height_px < feet_px < size_px + 0.5 * height_px:
                feet_px = rng.uniform(0.5 * height_px, size_px + 0.3 * height_px)
            frame.paste_person(_any(rng, self.photos).cutout, height_px, float(feet_px))
            if rng.random() < 0.2:
                frame.hide(self._background(rng), height_px, float(feet_px))
        return worse_camera(rng, frame.rgb), frame.labels

    @cached_property
    def _plates(self) -> list[tuple[Photo, UInt8Array]]:
        return [(photo, photo.plate) for photo in self.photos if photo.alone and photo.plate is not None]

    def _scene(self, rng: Generator) -> tuple[UInt8Array, UInt8Array]:
        """A background S x S x 3 and its labels: without people, or a photograph with its own person."""
        size_px = self.options.size_px
        if not self._plates or rng.random() < 0.75:
            return self._background(rng), np.full((size_px, size_px), BACKGROUND, np.uint8)
        photo, plate = _any(rng, self._plates)
        return _view(rng, plate, size_px, photo)

    def _background(self, rng: Generator) -> UInt8Array:
        """A part S x S x 3 of a photograph or of a frame of the sets, without people."""
        size_px = self.options.size_px
        if self._plates and (not self.sets or rng.random() < 0.5):
            return _view(rng, _any(rng, self._plates)[1], size_px)[0]
        ref = _any(rng, _any(rng, self.sets))
        picture = ref.frames.image(ref.index)
        side_px = max(int(min(picture.shape[:2]) * rng.uniform(0.35, 1.0)), 16)
        top_px, left_px = (int(rng.integers(full - side_px + 1)) for full in picture.shape[:2])
        return _resized(picture[top_px : top_px + side_px, left_px : left_px + side_px], size_px)

    def _silhouette(self, rng: Generator) -> UInt8Array:
        """The alpha of a cut-out, upside down or lying."""
        alpha = _any(rng, self.photos).cutout[..., 3]
        return np.ascontiguousarray(np.rot90(alpha, int(rng.integers(1, 4))))


@dataclass
class _Layers:
    """A frame while it is made, float32 S x S x 3; what is pasted covers what was there."""

    rng: Generator
    rgb: FloatArray
    labels: UInt8Array

    def __post_init__(self) -> None:
        self.squeeze = float(np.exp(self.rng.uniform(-0.25, 0.25)))
        self.shadow = float(self.rng.uniform(-1.2, 1.2)), float(self.rng.uniform(-0.35, 0.35))
        self.darkness = float(self.rng.uniform(0.2, 0.6)) if self.rng.random() < 0.5 else 0.0

    def paste_person(self, cutout: UInt8Array, height_px: float, feet_px: float) -> None:
        """Paste a cut-out, changed at random in colour, posture and sharpness, with its shadow."""
        rng, size_px = self.rng, len(self.rgb)
        width_px = height_px * cutout.shape[1] / cutout.shape[0] * self.squeeze * np.exp(rng.uniform(-0.1, 0.1))
        if rng.random() < 0.5:
            cutout = cutout[:, ::-1]
        box = (max(round(width_px), 2), max(round(height_px), 4))
        person = cv2.resize(np.ascontiguousarray(cutout), box, interpolation=cv2.INTER_AREA).astype(np.float32)
        rgb = _recoloured(rng, person[..., :3], person[..., 3:] / 255, self.rgb.mean())
        middle_px = rng.uniform(0.02, 0.98) * size_px
        turn = np.deg2rad(rng.normal(0, 3))
        place = np.array([[np.cos(turn), -np.sin(turn), middle_px], [np.sin(turn), np.cos(turn), feet_px]])
        place = place @ np.array([[1, 0, -box[0] / 2], [0, 1, -box[1]], [0, 0, 1.0]])
        layer = cv2.warpAffine(np.dstack([rgb, person[..., 3] / 255]), place, (size_px, size_px))
        if self.darkness:
            lean, length = self.shadow
            cast = np.array([[1, -lean, middle_px], [0, length, feet_px]]) @ np.array(
                [[1, 0, -box[0] / 2], [0, 1, -box[1]], [0, 0, 1.0]]
            )
            shade = cv2.warpAffine(person[..., 3] / 255, cast, (size_px, size_px))
            shade = cv2.GaussianBlur(shade, (0, 0), 0.5 + 0.015 * height_px)
            self.rgb *= 1 - self.darkness * shade[..., None]
        if rng.random() < 0.5:
            layer = cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.3, 0.9))
        self._lay(layer[..., :3], layer[..., 3], OTHER_PEOPLE)

    def paste_shape(self, texture: UInt8Array, silhouette: UInt8Array) -> None:
        """Paste a piece of another background, in the shape of a silhouette, a box, an ellipse or a polygon."""
        rng, size_px = self.rng, len(self.rgb)
        form, side_px = rng.integers(4), np.exp(rng.uniform(np.log(6), np.log(0.6 * size_px)))
        width, height = (max(round(side_px * float(np.exp(rng.uniform(-0.7, 0.7)))), 3) for _ in range(2))
        alpha = np.zeros((height, width), np.uint8)
        if form == 0:
            alpha = cv2.resize(silhouette, (width, height), interpolation=cv2.INTER_AREA)
        elif form == 1:
            alpha[:] = 255
        elif form == 2:
            cv2.ellipse(alpha, ((width / 2, height / 2), (width - 1, height - 1), 0), 255, -1, cv2.LINE_AA)
        else:
            corners = (rng.random((6, 2)) * (width, height)).astype(np.int32)
            cv2.fillConvexPoly(alpha, cv2.convexHull(corners), 255, cv2.LINE_AA)
        self._lay_box(texture, alpha, *(rng.uniform(-0.2, 1.0, 2) * size_px))

    def hide(self, texture: UInt8Array, height_px: float, feet_px: float) -> None:
        """Hide a part of the person there behind a box of another background, or behind a pole."""
        rng, size_px = self.rng, len(self.rgb)
        pole = rng.random() < 0.3
        width_px = max(height_px * (rng.uniform(0.04, 0.12) if pole else rng.uniform(0.4, 2.0)), 2)
        tall_px = max(height_px * (rng.uniform(1.0, 2.0) if pole else rng.uniform(0.2, 0.7)), 2)
        people = np.flatnonzero((self.labels == OTHER_PEOPLE).any(0))
        if len(people):
            left_px = rng.choice(people) - width_px * rng.uniform(0.2, 0.8)
            alpha = np.full((round(tall_px), min(round(width_px), size_px)), 255, np.uint8)
            self._lay_box(texture, alpha, left_px, feet_px + 0.05 * height_px - tall_px)

    def _lay_box(self, texture: UInt8Array, alpha: UInt8Array, left_px: float, top_px: float) -> None:
        """Lay a piece of a texture over the frame, with a soft edge, as background."""
        rng, size_px = self.rng, len(self.rgb)
        place = np.array([[1, 0, left_px], [0, 1, top_px]], np.float64)
        cover = cv2.warpAffine(alpha.astype(np.float32) / 255, place, (size_px, size_px))
        cover = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.4, 1.2))
        light = np.exp(rng.uniform(-0.5, 0.4) + rng.uniform(-0.15, 0.15, 3))
        self._lay(texture * light.astype(np.float32) * cover[..., None], cover, BACKGROUND)

    def _lay(self, colour: FloatArray, alpha: FloatArray, label: int) -> None:
        """Lay colour (times alpha) S x S x 3 over the frame."""
        self.rgb = self.rgb * (1 - alpha[..., None]) + colour
        self.labels[alpha > 0.5] = label


def worse_camera(rng: Generator, rgb: FloatArray) -> UInt8Array:
    """The frame with haze, another exposure, blur by focus or motion, and noise, each in some frames."""
    if rng.random() < 0.1:
        rgb = rgb + (rng.uniform(150, 230) - rgb) * np.float32(rng.uniform(0.1, 0.4))
    if rng.random() < 0.6:
        gain, gamma = np.exp(rng.uniform(-0.4, 0.3)), np.float32(np.exp(rng.uniform(-0.3, 0.3)))
        rgb = 255 * np.clip(rgb / 255 * gain, 0, 1) ** gamma
    if rng.random() < 0.15:
        length_px = int(rng.integers(2, 6))
        kernel = np.zeros((2 * length_px + 1,) * 2, np.float32)
        dx, dy = np.round(length_px * np.array([np.cos(a := rng.uniform(0, np.pi)), np.sin(a)]) / 2).astype(int)
        cv2.line(kernel, (length_px - dx, length_px - dy), (length_px + dx, length_px + dy), 1.0, 1)
        rgb = cv2.filter2D(rgb, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    elif rng.random() < 0.4:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.6:
        rgb = rgb + rng.normal(0, rng.uniform(1, 9), rgb.shape).astype(np.float32)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def _recoloured(rng: Generator, colour: FloatArray, alpha: FloatArray, scene_mean: float) -> FloatArray:
    """A cut-out (times alpha) in other light: brightness nearer to the scene's mean, contrast, tint and saturation."""
    mean = float(colour.sum() / (3 * alpha.sum() + 1))
    gain = np.clip(scene_mean / (mean + 1), 0.4, 2.0) ** rng.uniform(0, 0.6) * np.exp(rng.uniform(-0.35, 0.3))
    colour = colour * (gain * np.exp(rng.uniform(-0.08, 0.08, 3))).astype(np.float32)
    grey = colour.mean(2, keepdims=True)
    colour = grey + (colour - grey) * np.float32(rng.uniform(0.3, 1.3))
    middle = mean * gain * alpha
    contrast = np.float32(np.exp(rng.uniform(-0.35, 0.2)))
    changed: FloatArray = np.clip(middle + (colour - middle) * contrast, 0, 255 * alpha)
    return changed


def without_people(refs: Sequence[FrameRef], on_frame: Callable[[], None] = lambda: None) -> list[FrameRef]:
    """The frames without people; a frame without a mask counts as one, an unreadable frame is left out."""

    def empty(ref: FrameRef) -> bool:
        on_frame()
        try:
            labels = ref.frames.labels(ref.index)
        except FrameError:
            return False
        return labels is None or not (labels != BACKGROUND).any()

    return [ref for ref in refs if empty(ref)]


def _any(rng: Generator, items: Sequence[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def _view(rng: Generator, plate: UInt8Array, size_px: int, photo: Photo | None = None) -> tuple[UInt8Array, UInt8Array]:
    """A window of 100 to 900 px as S x S x 3, and labels: the photo if given, around it or else the mirrored plate."""
    side_px, aspect = np.exp(rng.uniform(np.log(100), np.log(900))), np.exp(rng.uniform(-0.15, 0.15))
    inside, folded = [], []
    for full, side in zip(plate.shape, (int(side_px / aspect), int(side_px * aspect)), strict=False):
        places = int(rng.integers(min(0, full - side), max(0, full - side) + 1)) + np.arange(side)
        inside.append((places >= 0) & (places < full))
        folded.append(np.minimum(places % (2 * full), 2 * full - 1 - places % (2 * full)))
    around, own = np.ix_(*folded), np.ix_(*inside)
    view, person = plate[around], np.zeros((len(folded[0]), len(folded[1])), np.float32)
    if photo is not None:
        view[own], person[own] = photo.image[around][own], photo.person[around][own]
    covered = cv2.resize(person, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return _resized(view, size_px), np.where(covered > 0.5, np.uint8(OTHER_PEOPLE), np.uint8(BACKGROUND))


def _resized(picture: UInt8Array, size_px: int) -> UInt8Array:
    """A picture at size_px x size_px."""
    shrunk = min(picture.shape[:2]) > size_px
    method = cv2.INTER_AREA if shrunk else cv2.INTER_CUBIC
    resized: UInt8Array = cv2.resize(picture, (size_px, size_px), interpolation=method)
    return resized
