"""The content of a bag: topics, rates, sizes, gaps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from fcn_follow.images.messages import MessageError
from fcn_follow.lab.recordings.frame_folders import pixels_of
from fcn_follow.lab.recordings.reading import TYPES, Bag, Report, decode, stamp_ns
from fcn_follow.lab.recordings.topics import IMAGE, IMAGE_TYPES

GAP_PERIODS = 2.5  # a longer silence, in median periods, is a gap of a topic with a steady rate
STEADY_SHARE = 0.75  # a larger share of the periods of a steady rate is within half of the median
CLOCK_CHANGE_S = 1e8  # a longer step between two stamps is a change between wall time and simulated time


@dataclass
class TopicInfo:
    """One topic as it was read. Times in seconds; stamps are those of the headers, where the type has a header."""

    name: str
    type: str
    announced: int
    messages: int = 0
    unreadable: int = 0
    bytes: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    """Images: "640x480 rgb8" -> their number."""
    recorded_s: list[float] = field(default_factory=list, repr=False)
    stamps_s: list[float] = field(default_factory=list, repr=False)

    @property
    def duration_s(self) -> float:
        """From the first to the last recorded message."""
        return self.recorded_s[-1] - self.recorded_s[0] if self.recorded_s else 0.0

    @property
    def rate_hz(self) -> float | None:
        """Messages per second; None for fewer than two."""
        return (self.messages - 1) / self.duration_s if self.messages > 1 and self.duration_s > 0 else None

    @property
    def stamps_backwards(self) -> int:
        """How often a stamp is earlier than the one before it."""
        return sum(period < 0 for _, period in self._periods_s)

    @property
    def is_steady(self) -> bool:
        """Whether the messages come at one rate; those of several publishers, or of events, do not."""
        near = [abs(period - self._median_s) <= self._median_s / 2 for _, period in self._periods_s]
        return self._median_s > 0 and sum(near) > STEADY_SHARE * len(near)

    @property
    def gaps_s(self) -> list[tuple[float, float]]:
        """(stamp, length) of each silence longer than GAP_PERIODS median periods; none without a steady rate."""
        longest_s = GAP_PERIODS * self._median_s if self.is_steady else math.inf
        return [(stamp, period) for stamp, period in self._periods_s if period > longest_s]

    @property
    def _median_s(self) -> float:
        periods = sorted(period for _, period in self._periods_s)
        return periods[len(periods) // 2] if periods else 0.0

    @property
    def clock_changes(self) -> int:
        """How often the stamps change between wall time and simulated time."""
        return max(len(self.stamps_s) - 1, 0) - len(self._periods_s)

    @property
    def _periods_s(self) -> list[tuple[float, float]]:
        """Each stamp with the time to the next one, by the same clock."""
        steps = zip(self.stamps_s, self.stamps_s[1:], strict=False)
        return [(earlier, later - earlier) for earlier, later in steps if abs(later - earlier) < CLOCK_CHANGE_S]


def bag_info(bag: Bag, report: Report, on_message: Callable[[], None] = lambda: None) -> list[TopicInfo]:
    """Read a whole bag; the topics by name. At least one image of each topic is decoded."""
    infos = {(t.name, t.type): TopicInfo(t.name, t.type, t.count) for t in bag.topics}
    stamped = {t.type for t in bag.topics if _has_header(t.type)}
    for raw in bag.messages([topic.name for topic in bag.topics], report):
        info = infos[raw.topic, raw.type]
        info.messages += 1
        info.bytes += len(raw.data)
        info.recorded_s.append(raw.recorded_ns * 1e-9)
        on_message()
        if raw.type not in stamped:
            continue
        try:
            message = decode(raw)
            info.stamps_s.append(stamp_ns(message) * 1e-9)
            if raw.type in IMAGE_TYPES:
                size = _size(message) if raw.type == IMAGE or not info.sizes else next(iter(info.sizes))
                info.sizes[size] = info.sizes.get(size, 0) + 1
        except MessageError as error:
            info.unreadable += 1
            report(f"{bag.path}: {raw.topic} at {raw.recorded_ns} ns: {error}")
    return list(infos.values())


def _size(message: object) -> str:
    height, width = pixels_of(message).shape[:2]
    return f"{width}x{height} {getattr(message, 'encoding', '') or getattr(message, 'format', '')}"


def _has_header(kind: str) -> bool:
    fields = TYPES.fielddefs[kind][1] if kind in TYPES.fielddefs else []
    return any(name == "header" for name, _ in fields)
