"""The images of a bag, each with the other messages of its stamp: the true mask and what a node published."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fcn_follow.images.messages import MessageError
from fcn_follow.lab.recordings.reading import Bag, Report, decode, stamp_ns

PATIENCE_NS = 3 * 10**9
"""A partner is recorded at most this much before or after its image."""
MAX_WAITING_BYTES = 256 << 20


@dataclass(frozen=True)
class Stamped:
    """A message with its header's stamp and the time of its recording."""

    stamp_ns: int
    recorded_ns: int
    message: Any


@dataclass(frozen=True)
class Moment:
    """An image, the index-th of the bag, and its partners by topic, if it has any.

    `time_ns` is its stamp; if the stamp is 0 or repeated, the time of the recording; if that is repeated too, the
    index in nanoseconds. It is unique in the bag.
    """

    index: int
    image: Stamped
    partners: dict[str, Stamped]
    time_ns: int


@dataclass
class Tally:
    """Counts by topic: messages read, images without a partner there, and messages without an image."""

    read: dict[str, int] = field(default_factory=dict)
    images_without: dict[str, int] = field(default_factory=dict)
    without_image: dict[str, int] = field(default_factory=dict)
    stamps_backwards: int = 0
    stamps_replaced: int = 0
    """Images whose stamp is 0 or repeated."""
    times_ns: set[int] = field(default_factory=set)


def moments(
    bag: Bag, image_topic: str, partner_topics: Sequence[str], tolerance_ns: int, tally: Tally, report: Report
) -> Iterator[Moment]:
    """The images in the order of their recording, with their partners.

    A partner has the image's stamp, else the nearest one within the tolerance. The bag is read once; messages that wait
    for a partner are bounded in time and in bytes. `report` gets the problem of each unreadable message.
    """
    waiting: deque[Stamped] = deque()
    waiting_bytes = 0
    partners: dict[str, dict[int, Stamped]] = {topic: {} for topic in partner_topics}
    for counts in (tally.read, tally.images_without, tally.without_image):
        counts.update(dict.fromkeys([image_topic, *partner_topics], 0))
    latest_stamp_ns = -1
    indices = itertools.count()
    for raw in bag.messages([image_topic, *partner_topics], report):
        try:
            message = decode(raw)
        except MessageError as error:
            report(f"{bag.path}: {raw.topic} at {raw.recorded_ns} ns: {error}")
            continue
        item = Stamped(stamp_ns(message), raw.recorded_ns, message)
        tally.read[raw.topic] += 1
        if raw.topic == image_topic:
            tally.stamps_backwards += 0 < item.stamp_ns < latest_stamp_ns
            latest_stamp_ns = item.stamp_ns
            waiting.append(item)
            waiting_bytes += len(message.data)
        else:
            tally.without_image[raw.topic] += item.stamp_ns in partners[raw.topic]
            partners[raw.topic][item.stamp_ns] = item
            _bound(partners[raw.topic], raw.topic, tally)
        while waiting and (
            all(waiting[0].stamp_ns in stamps for stamps in partners.values())
            or raw.recorded_ns - waiting[0].recorded_ns > PATIENCE_NS
            or waiting_bytes > MAX_WAITING_BYTES
        ):
            waiting_bytes -= len(waiting[0].message.data)
            yield _moment(next(indices), waiting.popleft(), partners, tolerance_ns, tally)
    while waiting:
        yield _moment(next(indices), waiting.popleft(), partners, tolerance_ns, tally)
    for topic, stamps in partners.items():
        tally.without_image[topic] += len(stamps)


def _moment(
    index: int, image: Stamped, partners: dict[str, dict[int, Stamped]], tolerance_ns: int, tally: Tally
) -> Moment:
    found = {}
    for topic, stamps in partners.items():
        partner = _take(stamps, image.stamp_ns, tolerance_ns)
        if partner is None:
            tally.images_without[topic] += 1
        else:
            found[topic] = partner
        for stamp, item in list(stamps.items()):
            if image.recorded_ns - item.recorded_ns > PATIENCE_NS:
                del stamps[stamp]
                tally.without_image[topic] += 1
    return Moment(index, image, found, _unique_time_ns(index, image, tally))


def _unique_time_ns(index: int, image: Stamped, tally: Tally) -> int:
    usable = (ns for ns in (image.stamp_ns, image.recorded_ns) if ns > 0 and ns not in tally.times_ns)
    time_ns = next(usable, index)
    tally.stamps_replaced += time_ns != image.stamp_ns
    tally.times_ns.add(time_ns)
    return time_ns


def _bound(stamps: dict[int, Stamped], topic: str, tally: Tally) -> None:
    """Drop the oldest waiting partners if they need too much memory."""
    while (
        len(stamps) > 1 and sum(len(getattr(item.message, "data", "")) for item in stamps.values()) > MAX_WAITING_BYTES
    ):
        del stamps[next(iter(stamps))]
        tally.without_image[topic] += 1


def _take(stamps: dict[int, Stamped], wanted_ns: int, tolerance_ns: int) -> Stamped | None:
    if wanted_ns not in stamps and tolerance_ns > 0 and stamps:
        nearest_ns = min(stamps, key=lambda stamp: abs(stamp - wanted_ns))
        if abs(nearest_ns - wanted_ns) <= tolerance_ns:
            wanted_ns = nearest_ns
    return stamps.pop(wanted_ns, None)
