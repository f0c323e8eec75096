"""Open a rosbag2 recording and go through its messages; where it is damaged, through what can still be read."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from fcn_follow.bags.compression import plain_message
from fcn_follow.bags.images import MessageError
from fcn_follow.bags.salvage import RawMessage, salvage
from fcn_follow.errors import UserError

STORAGE_SUFFIXES = (".mcap", ".db3")
TYPES = get_typestore(Stores.ROS2_JAZZY)
"""The messages that are read here are the same from Humble to Kilted."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Topic:
    """A topic of a bag and how many messages the bag says it has of it."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class _Part:
    """A storage file, or the whole of an intact bag: `messages(topics)` goes through it from its start."""

    topics: tuple[Topic, ...]
    messages: Callable[[Collection[str]], Iterator[RawMessage]]


@dataclass(frozen=True)
class Bag:
    """An opened recording. `damage` says what is wrong with it as a whole, one sentence each."""

    path: Path
    storage: str
    topics: tuple[Topic, ...]
    damage: tuple[str, ...]
    _parts: tuple[_Part, ...]

    def messages(self, topics: Collection[str], tell: Tell) -> Iterator[RawMessage]:
        """The messages of these topics in the order of their recording; `tell` hears why it ends early."""
        wanted = set(topics)
        for part in self._parts:
            try:
                yield from part.messages(wanted)
            except GeneratorExit:
                raise
            except Exception as error:  # a damaged file makes its reader raise nearly anything
                tell(f"{self.path}: the recording cannot be read to its end ({_reason(error)})")

    def count(self, topic: str) -> int:
        """How many messages the bag says it has of a topic."""
        return sum(t.count for t in self.topics if t.name == topic)


def decode(message: RawMessage) -> Any:
    """The fields of a message. Raises MessageError where its bytes are not one of its type."""
    try:
        return TYPES.deserialize_cdr(message.data, message.type)
    except Exception as error:  # hostile bytes make the deserialiser raise nearly anything
        raise MessageError(f"not a {message.type} ({_reason(error)})") from error


def stamp_ns(message: Any) -> int:
    """The time in a message's header."""
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def stamp_text(nanoseconds: int) -> str:
    """Seconds with all nine digits, which a float of today's time does not have."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def is_bag(path: Path) -> bool:
    """Whether a path is meant as a bag: a folder with metadata.yaml or a storage file, or such a file."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(file.suffix in STORAGE_SUFFIXES for file in path.iterdir())
    return path.suffix in STORAGE_SUFFIXES


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """Open a rosbag2 folder or one of its .mcap and .db3 files.

    Raises UserError when there is none, it is of another kind, or nothing in it can be read.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such bag")
    if path.suffix == ".bag":
        raise UserError(f"{path}: a ROS 1 bag; `rosbags-convert` (it comes with rosbags) makes a rosbag2 of it")
    if not path.is_dir() and path.suffix not in STORAGE_SUFFIXES:
        raise UserError(f"{path}: not a rosbag2; wanted is its folder, or a file that ends in .mcap or .db3")
    with contextlib.ExitStack() as stack:
        damage: list[str] = []
        whole = _intact(path, stack)
        parts = [whole] if isinstance(whole, _Part) else []
        if not isinstance(whole, _Part):
            if path.is_dir():
                damage.append(f"{path}: {whole}")
            files = sorted(f for f in path.iterdir() if f.suffix in STORAGE_SUFFIXES) if path.is_dir() else [path]
            for file in files:
                part = _intact(file, stack) if path.is_dir() else whole
                if not isinstance(part, _Part):
                    damage.append(f"{file}: damaged ({part}); read up to there")
                    part = _salvaged(file)
                parts.append(part)
            if not any(part.topics for part in parts):
                raise UserError(f"{path}: not a rosbag2 recording that can be read ({whole})")
            announced, there = _announced(path), sum(topic.count for part in parts for topic in part.topics)
            if announced > there:
                damage.append(f"{path}: {announced - there} of {announced} messages are lost")
        counts: Counter[tuple[str, str]] = Counter()
        for part in parts:
            for topic in part.topics:
                counts[topic.name, topic.type] += topic.count
        topics = tuple(Topic(name, kind, count) for (name, kind), count in sorted(counts.items()))
        yield Bag(path, _storage(path), topics, tuple(dict.fromkeys(damage)), tuple(parts))


def _intact(path: Path, stack: contextlib.ExitStack) -> _Part | str:
    """The bag or file as rosbags reads it, else the reason why it does not."""
    try:
        reader = stack.enter_context(Reader(path))
        connections = list(reader.connections)
    except Exception as error:  # a damaged file makes it raise nearly anything
        return _reason(error)

    def messages(topics: Collection[str]) -> Iterator[RawMessage]:
        wanted = [connection for connection in connections if connection.topic in topics]
        for connection, recorded_ns, data in reader.messages(wanted) if wanted else ():
            yield RawMessage(connection.topic, connection.msgtype, recorded_ns, plain_message(data))

    return _Part(tuple(Topic(c.topic, c.msgtype, c.msgcount) for c in connections), messages)


def _announced(path: Path) -> int:
    """How many messages metadata.yaml says a bag has; 0 where it does not say."""
    try:
        content = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))
        return int(content["rosbag2_bagfile_information"]["message_count"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return 0


def _salvaged(path: Path) -> _Part:
    counts = Counter((message.topic, message.type) for message in salvage(path))

    def messages(topics: Collection[str]) -> Iterator[RawMessage]:
        for message in salvage(path):
            if message.topic in topics:
                yield message._replace(data=plain_message(message.data))

    return _Part(tuple(Topic(name, kind, count) for (name, kind), count in counts.items()), messages)


def _storage(path: Path) -> str:
    files = path.iterdir() if path.is_dir() else [path]
    return "mcap" if any(".mcap" in file.suffixes for file in files) else "sqlite3"


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
