"""What is common to the files of a recording: messages as they were recorded, and how a file says what is in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class RawMessage(NamedTuple):
    """A message as it was recorded: topic, type, time of recording, CDR bytes, which zstd may have compressed."""

    topic: str
    type: str
    recorded_ns: int
    data: bytes


@dataclass(frozen=True)
class Topic:
    """A topic of a bag and how many messages the bag says it has of it."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class StorageFile:
    """A file of a recording: `messages(topics)` goes through it from its start.

    `damage` says why it cannot be read to its end, where that is known when it is opened.
    """

    topics: tuple[Topic, ...]
    messages: Callable[[Collection[str]], Iterator[RawMessage]]
    damage: str = ""
