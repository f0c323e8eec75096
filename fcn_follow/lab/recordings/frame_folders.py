"""Frame folders to bags and back: the same pictures, the same masks, the same stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fcn_follow.errors import UserError
from fcn_follow.files import NewFolder, write_whole
from fcn_follow.images.messages import MessageError, UInt8Array, compressed_to_rgb, image_to_rgb
from fcn_follow.images.pictures import write_picture
from fcn_follow.lab.data.frames import FrameError, FrameSet
from fcn_follow.lab.recordings.pairing import Moment, Tally, moments
from fcn_follow.lab.recordings.reading import Bag, Report
from fcn_follow.lab.recordings.topics import BagTopics
from fcn_follow.lab.recordings.truth import (
    LABELS_AS_OURS,
    TrueLabels,
    mask_picture,
    message_labels,
    stamp_of_name,
    stamped_name,
)
from fcn_follow.lab.recordings.writing import BagWriter, compressed_message, image_message

IMAGE_TOPIC, TRUTH_TOPIC = "/image_raw", "/ground_truth/label_mask"
START_NS = 10**9  # a stamp of 0 means "not set" to many tools

OnFrame = Callable[[], None]


def frames_to_bag(
    frames: FrameSet, writer: BagWriter, rate_hz: float, *, raw: bool, report: Report, on_frame: OnFrame = lambda: None
) -> int:
    """Write frames and their masks and return how many; `report` gets the problem of each frame that cannot be read.

    Names as bag-to-frames writes them give the stamps; other frames follow each other at rate_hz. The image files are
    written unchanged (CompressedImage), or with `raw` as pixels (Image).
    """
    named = [stamp_of_name(key) for key in frames.keys]
    written = 0
    for index in range(len(frames)):
        stamp = named[index]
        if stamp is None or None in named:
            stamp = START_NS + round(index * 1e9 / rate_hz)
        on_frame()
        try:
            pixels, labels = frames.image(index), frames.labels(index)
            picture = frames.image_file(index)
        except FrameError as error:
            report(str(error))
            continue
        if labels is not None:
            writer.write(TRUTH_TOPIC, image_message(labels, stamp), stamp)
        if raw:
            writer.write(IMAGE_TOPIC, image_message(pixels, stamp), stamp)
        else:
            writer.write(f"{IMAGE_TOPIC}/compressed", compressed_message(picture, stamp), stamp)
        written += 1
    return written


class FrameFolder(NewFolder):
    """A new folder of frames in the training format: images/ and masks/."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.frames = 0

    def add(self, moment: Moment, image_rgb: UInt8Array, labels: UInt8Array | None) -> None:
        """Write an image of a bag: its JPEG unchanged, another as PNG; labels H x W as its mask."""
        message = moment.image.message
        self.add_frame(moment.time_ns, image_rgb, labels, bytes(message.data) if hasattr(message, "format") else b"")

    def add_frame(self, stamp_ns: int, image_rgb: UInt8Array, labels: UInt8Array | None, file: bytes = b"") -> None:
        """Write a frame: its file if that is a JPEG, else a PNG; labels H x W as its mask.

        Raises UserError if it cannot be written.
        """
        try:
            self._write(stamped_name(stamp_ns), image_rgb, labels, file)
        except UserError as error:
            raise UserError(str(error).replace(str(self.part), str(self.path))) from error
        self.frames += 1

    def _write(self, name: str, image_rgb: UInt8Array, labels: UInt8Array | None, file: bytes) -> None:
        if file.startswith(b"\xff\xd8"):
            write_whole(self.part / "images" / f"cam1_{name}.jpeg", file)
        else:
            write_picture(self.part / "images" / f"cam1_{name}.png", image_rgb[..., ::-1])
        if labels is not None:
            write_picture(self.part / "masks" / f"mask_{name}.png", mask_picture(labels)[..., ::-1])


def decoded(
    bag: Bag, topics: BagTopics, *, tolerance_ns: int, tally: Tally, report: Report, on_image: OnFrame = lambda: None
) -> Iterator[tuple[Moment, UInt8Array]]:
    """The images of a bag as pixels H x W x 3, with their partners; `report` gets the problems of unreadable ones."""
    partners = [topic for topic in (topics.truth, topics.mask, topics.centroid) if topic]
    for moment in moments(bag, topics.image, partners, tolerance_ns, tally, report):
        on_image()
        try:
            yield moment, pixels_of(moment.image.message)
        except MessageError as error:
            report(f"{bag.path}: {topics.image} at {moment.image.recorded_ns} ns: {error}")


def pixels_of(message: Any) -> UInt8Array:
    """The pixels H x W x 3 of an Image or CompressedImage; MessageError if it is damaged."""
    return compressed_to_rgb(message) if hasattr(message, "format") else image_to_rgb(message)


def true_labels(
    moment: Moment, topics: BagTopics, image_rgb: UInt8Array, gazebo: TrueLabels = LABELS_AS_OURS
) -> UInt8Array | None:
    """The true labels of a moment, None where it has none; MessageError if they do not fit the image."""
    truth = moment.partners.get(topics.truth)
    if truth is None:
        return None
    labels = message_labels(truth.message, gazebo)
    refuse_other_size(labels, image_rgb)
    return labels


def refuse_other_size(labels: UInt8Array, image_rgb: UInt8Array) -> None:
    """Raise MessageError if a mask has another size than its image."""
    if labels.shape != image_rgb.shape[:2]:
        height, width = image_rgb.shape[:2]
        raise MessageError(f"mask of {labels.shape[1]}x{labels.shape[0]} for an image of {width}x{height}")
