"""What the readers of both storage formats give: recorded messages, topics and files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class RawMessage(NamedTuple):
    """A recorded message: topic, type, time of recording, CDR bytes, which may be compressed by zstd."""

    topic: str
    type: str
    recorded_ns: int
    data: bytes


@dataclass(frozen=True)
class Topic:
    """A topic of a bag and its number of messages, as the bag announces it."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class StorageFile:
    """A file of a recording: `messages(topics)` reads it from its start.

    `damage` is the reason why it cannot be read to its end, where that is known when it is opened.
    """

    topics: tuple[Topic, ...]
    messages: Callable[[Collection[str]], Iterator[RawMessage]]
    damage: str = ""
