"""`fcn-follow bag-info`, `frames-to-bag`, `bag-to-frames`: describe, make and convert rosbag2 recordings."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fcn_follow.cli.options import Json
from fcn_follow.errors import UserError
from fcn_follow.images.messages import MessageError
from fcn_follow.lab.console import console, output, progress_bar, table_of
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.recordings.frame_folders import FrameFolder, decoded, frames_to_bag, true_labels
from fcn_follow.lab.recordings.info import TopicInfo
from fcn_follow.lab.recordings.info import bag_info as read_bag_info
from fcn_follow.lab.recordings.pairing import Tally
from fcn_follow.lab.recordings.reading import open_bag
from fcn_follow.lab.recordings.topics import choose_topics
from fcn_follow.lab.recordings.truth import TrueLabels
from fcn_follow.lab.recordings.writing import BagWriter

SHOWN_LOSSES = 5
SHOWN_GAPS = 8

BagPath = Annotated[Path, typer.Argument(help="A rosbag2 folder, or one .mcap or .db3 file of it.")]
ImageTopic = Annotated[str, typer.Option(help="The camera's topic; needed if the bag has several cameras.")]
TruthTopic = Annotated[str, typer.Option(help="The topic of the true masks; needed if the bag has several.")]
Tolerance = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Seconds by which the stamps of an image and its mask may differ.")
]
GazeboHero = Annotated[int, typer.Option(min=0, max=255, help="The hero's label in a Gazebo labels map.")]
GazeboPeople = Annotated[
    list[int], typer.Option(min=0, max=255, help="Label of other people in that map; may be repeated.")
]


def print_losses(losses: Sequence[str]) -> None:
    """Print what could not be read: the first few sentences, and the number of others."""
    for sentence in losses[:SHOWN_LOSSES]:
        console.print(f"skipped: {sentence}", style="yellow")
    if len(losses) > SHOWN_LOSSES:
        console.print(f"skipped: {len(losses) - SHOWN_LOSSES} more like these", style="yellow")


def print_unpaired(tally: Tally, image: str) -> None:
    """Print the number of messages without a partner, topic by topic."""
    for topic, count in tally.images_without.items():
        if topic != image and count:
            console.print(f"{count} images have no partner on {topic}", style="yellow")
    for topic, count in tally.without_image.items():
        if count:
            console.print(f"{count} messages of {topic} have no image", style="yellow")
    if tally.stamps_replaced:
        zero = f"{tally.stamps_replaced} images of {image} have a stamp that is 0 or repeated"
        console.print(f"{zero}; they are named by the time of their recording", style="yellow")
    if tally.stamps_backwards:
        backwards = f"the stamps of {image} go backwards {tally.stamps_backwards} times"
        console.print(backwards, style="yellow")


def bag_info(bag: BagPath, as_json: Json = False) -> None:
    """Describe a bag: topics, types, counts, rates, duration, image sizes, gaps in the stamps."""
    losses: list[str] = []
    with open_bag(bag) as opened, progress_bar() as progress:
        losses.extend(opened.damage)
        task = progress.add_task("reading", total=sum(topic.count for topic in opened.topics))
        topics = read_bag_info(opened, losses.append, lambda: progress.advance(task))
        storage = opened.storage
    print_losses(losses)
    starts = [topic.recorded_s[0] for topic in topics if topic.recorded_s]
    start_s = min(starts, default=0.0)
    duration_s = max((topic.recorded_s[-1] for topic in topics if topic.recorded_s), default=0.0) - start_s
    if as_json:
        figures = {
            "storage": storage, "start_s": start_s, "duration_s": duration_s,
            "topics": [_topic_figures(topic) for topic in topics], "skipped": losses,
        }  # fmt: skip
        print(json.dumps(figures, indent=1))
        return
    out = output(140)
    start = datetime.datetime.fromtimestamp(start_s, datetime.timezone.utc)
    messages = sum(topic.messages for topic in topics)
    when = f"{duration_s:.2f} s from {start:%Y-%m-%d %H:%M:%S} UTC"
    out.print(f"{bag}: {storage}, {messages} messages in {when}")
    table = table_of("", ("topic", "type", "images"), ("messages", "Hz", "MB", "gaps", "backwards"))
    for topic in topics:
        unread = f" ({topic.announced - topic.messages} lost)" if topic.announced > topic.messages else ""
        table.add_row(
            topic.name, topic.type, ", ".join(topic.sizes), f"{topic.messages}{unread}",
            f"{topic.rate_hz:.2f}" if topic.rate_hz else "-", f"{topic.bytes / 1e6:.1f}",
            str(len(topic.gaps_s)) if topic.is_steady else "-",
            str(topic.stamps_backwards) if topic.stamps_s else "-",
        )  # fmt: skip
    out.print(table)
    for topic in topics:
        if topic.clock_changes:
            out.print(f"stamps of {topic.name} change {topic.clock_changes} times between wall time and simulated time")
        for stamp_s, length_s in topic.gaps_s[:SHOWN_GAPS]:
            out.print(f"gap in {topic.name}: {length_s:.3f} s after stamp {stamp_s:.3f}")
        if len(topic.gaps_s) > SHOWN_GAPS:
            out.print(f"gap in {topic.name}: {len(topic.gaps_s) - SHOWN_GAPS} more")


def _topic_figures(topic: TopicInfo) -> dict[str, object]:
    kept = {k: v for k, v in dataclasses.asdict(topic).items() if k not in ("recorded_s", "stamps_s")}
    return kept | {"rate_hz": topic.rate_hz, "duration_s": topic.duration_s, "gaps_s": topic.gaps_s,
                   "stamps_backwards": topic.stamps_backwards, "clock_changes": topic.clock_changes}  # fmt: skip


def folder_to_bag(
    folder: Annotated[Path, typer.Argument(help="A folder or zip of frames, with or without masks.")],
    out: Annotated[Path, typer.Argument(help="The new bag.")],
    rate: Annotated[
        float, typer.Option(min=0.01, max=1000.0, help="Frames per second, if the names have no stamps.")
    ] = 15.0,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write pixels (Image) instead of the files (CompressedImage).")
    ] = False,
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    zstd: Annotated[bool, typer.Option("--zstd", help="Compress with zstd, as rosbag2 does.")] = False,
) -> None:
    """Convert a folder of frames into a bag: image_raw, and ground_truth/label_mask if there are masks."""
    frames = open_frames(folder)
    losses: list[str] = []
    with BagWriter(out, storage, zstd=zstd) as writer, progress_bar() as progress:
        task = progress.add_task("writing", total=len(frames))
        written = frames_to_bag(
            frames, writer, rate, raw=raw, report=losses.append, on_frame=lambda: progress.advance(task)
        )
        print_losses(losses)
        if not written:
            raise UserError(f"{folder}: none of the frames could be read")
    console.print(f"{out}: {written} frames{' with masks' if frames.has_masks else ''}")


def bag_to_folder(
    bag: BagPath,
    out: Annotated[Path, typer.Argument(help="The new folder, in the training format.")],
    image_topic: ImageTopic = "",
    truth_topic: TruthTopic = "",
    tolerance: Tolerance = 0.0,
    every: Annotated[int, typer.Option(min=1, help="Take only every N-th image.")] = 1,
    gazebo_hero: GazeboHero = 2,
    gazebo_people: GazeboPeople = [1],  # noqa: B006 (typer's way)
) -> None:
    """Convert a bag into a folder of frames named by stamp; with true masks, only the images that have one."""
    losses: list[str] = []
    tally = Tally()
    gazebo = TrueLabels(gazebo_hero, tuple(gazebo_people))
    with open_bag(bag) as opened, FrameFolder(out) as folder, progress_bar() as progress:
        losses.extend(opened.damage)
        topics = choose_topics(opened, image_topic, truth_topic)
        topics = dataclasses.replace(topics, mask="", centroid="")
        task = progress.add_task("writing", total=opened.count(topics.image))
        images = decoded(
            opened, topics, tolerance_ns=round(tolerance * 1e9), tally=tally, report=losses.append,
            on_image=lambda: progress.advance(task),
        )  # fmt: skip
        for moment, image_rgb in images:
            if moment.index % every:
                continue
            try:
                labels = true_labels(moment, topics, image_rgb, gazebo)
            except MessageError as error:
                losses.append(f"{bag}: {topics.truth} at stamp {moment.image.stamp_ns} ns: {error}")
                continue
            if labels is not None or not topics.truth:
                folder.add(moment, image_rgb, labels)
        print_losses(losses)
        print_unpaired(tally, topics.image)
        if not folder.frames:
            raise UserError(f"{bag}: not one frame of {topics.image} could be written")
    console.print(f"{out}: {folder.frames} frames{' with masks' if topics.truth else ''}")
