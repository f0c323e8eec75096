"""Open a rosbag2 recording and read its messages; from a damaged one, those that can still be read."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rosbags.typesys import Stores, get_typestore

from fcn_follow.errors import UserError
from fcn_follow.images.messages import MessageError
from fcn_follow.lab.recordings.compression import plain_message, unpack_file
from fcn_follow.lab.recordings.mcap import open_mcap
from fcn_follow.lab.recordings.sqlite import open_sqlite
from fcn_follow.lab.recordings.storage import RawMessage, StorageFile, Topic
from fcn_follow.yaml_text import read_yaml

STORAGES = {".mcap": open_mcap, ".db3": open_sqlite}
PACKED = ".zstd"
TYPES = get_typestore(Stores.ROS2_JAZZY)
"""The message types that are read here are the same from Humble to Kilted."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Bag:
    """An opened recording. `damage` holds a sentence for each problem of the recording as a whole."""

    path: Path
    storage: str
    topics: tuple[Topic, ...]
    damage: tuple[str, ...]
    _files: tuple[StorageFile, ...]

    def messages(self, topics: Collection[str], report: Report) -> Iterator[RawMessage]:
        """The messages of these topics in the order of their recording; `report` gets the reason for an early end."""
        types = {topic.name: topic.type for topic in self.topics if topic.name in topics}
        for file in self._files:
            try:
                for message in file.messages(types):
                    if message.type == types[message.topic]:
                        yield message
            except GeneratorExit:
                raise
            except Exception as error:  # a reader can raise nearly anything for a damaged file
                report(f"{self.path}: the recording cannot be read to its end ({_reason(error)})")

    def count(self, topic: str) -> int:
        """The number of messages of a topic, as the bag announces it."""
        return sum(t.count for t in self.topics if t.name == topic)


def decode(message: RawMessage) -> Any:
    """The fields of a message. Raises MessageError if its bytes are not one of its type."""
    try:
        return TYPES.deserialize_cdr(plain_message(message.data), message.type)
    except Exception as error:  # the deserialiser can raise nearly anything for hostile bytes
        raise MessageError(f"not a {message.type} ({_reason(error)})") from error


def stamp_ns(message: Any) -> int:
    """The time in a message's header."""
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def stamp_text(nanoseconds: int) -> str:
    """Seconds with nine decimals, more than a float of today's time holds."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def is_bag(path: Path) -> bool:
    """Whether a path is a bag: a folder with metadata.yaml or a storage file, or such a file."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(file.suffix in STORAGES for file in path.iterdir())
    return path.suffix in STORAGES


def refuse_folder_of_bags(path: Path) -> None:
    """Raise UserError, with what to give instead, for a folder that is no bag but has one in it."""
    bags = sorted({file.parent for file in path.rglob("*") if file.suffix in STORAGES}) if path.is_dir() else []
    if bags and path not in bags:
        others = "" if len(bags) == 1 else f" or another of the {len(bags)} recordings in it"
        raise UserError(f"{path}: a folder above a recording; give {bags[0]}{others}")


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """Open a rosbag2 folder or one of its .mcap and .db3 files.

    Raises UserError if it is missing, of another kind, or unreadable as a whole.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such bag")
    if path.suffix == ".bag":
        raise UserError(f"{path}: a ROS 1 bag; `rosbags-convert` (it comes with rosbags) converts it to a rosbag2")
    if not path.is_dir() and path.suffix not in STORAGES:
        raise UserError(f"{path}: not a rosbag2; give its folder, or a file that ends in .mcap or .db3")
    with contextlib.ExitStack() as stack:
        damage: list[str] = []
        paths, announced = _contents(path, damage) if path.is_dir() else ([path], 0)
        files = [_open_file(file, stack, damage) for file in paths]
        if not any(file.topics for file in files):
            refuse_folder_of_bags(path)
            reason = damage[0].removeprefix(f"{path}: ") if damage else "it is empty"
            raise UserError(f"{path}: not a rosbag2 recording that can be read ({reason})")
        there = sum(topic.count for file in files for topic in file.topics)
        if damage and announced > there:
            damage.append(f"{path}: {announced - there} of {announced} messages are lost")
        counts: Counter[tuple[str, str]] = Counter()
        for file in files:
            for topic in file.topics:
                counts[topic.name, topic.type] += topic.count
        topics = _one_type_each(path, counts, damage)
        storage = "mcap" if any(".mcap" in file.suffixes for file in paths) else "sqlite3"
        yield Bag(path, storage, topics, tuple(damage), tuple(files))


def _one_type_each(path: Path, counts: Counter[tuple[str, str]], damage: list[str]) -> tuple[Topic, ...]:
    """The topics by name; if a topic has several types, only the most frequent one is read."""
    topics: dict[str, Topic] = {}
    for (name, kind), count in counts.most_common():
        if name in topics:
            damage.append(f"{path}: topic {name} has several types; only its {topics[name].type} are read")
        topics.setdefault(name, Topic(name, kind, count))
    return tuple(topics[name] for name in sorted(topics))


def _contents(folder: Path, damage: list[str]) -> tuple[list[Path], int]:
    """The storage files of a recording in order, and the number of messages that metadata.yaml announces.

    Where metadata.yaml is missing or damaged, all storage files in the folder.
    """
    announced = 0
    try:
        about = read_yaml(folder / "metadata.yaml", "a recording's metadata")["rosbag2_bagfile_information"]
        names = list(dict.fromkeys(PurePosixPath(name).name for name in about["relative_file_paths"]))
        announced = int(about["message_count"])
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return [folder / name for name in names], announced
        damage.append(f"{folder}: {missing[0]} is named in metadata.yaml, but missing")
    except UserError as error:
        damage.append(str(error))
    except (TypeError, KeyError, ValueError, OverflowError):
        damage.append(f"{folder}: metadata.yaml is not that of a recording")
    there = sorted(file for file in folder.iterdir() if _plain_name(file).suffix in STORAGES)
    return there, announced


def _open_file(path: Path, stack: contextlib.ExitStack, damage: list[str]) -> StorageFile:
    """A storage file, decompressed where needed; its problems are added to `damage`."""
    open_plain = STORAGES.get(_plain_name(path).suffix)
    if open_plain is None:
        damage.append(f"{path}: not a file of a recording; they end in .mcap and .db3")
        return StorageFile((), lambda _topics: iter(()))
    plain, problem = path, ""
    if path.suffix == PACKED:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = folder / _plain_name(path).name
        problem = unpack_file(path, plain, shutil.disk_usage(folder).free // 2)
    try:
        file = open_plain(plain)
    except (UserError, OSError) as error:
        file = StorageFile((), lambda _topics: iter(()), str(error))
    if problem or file.damage:
        damage.append(f"{path}: damaged ({_reason(problem or file.damage)}); read up to there")
    return file


def _plain_name(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == PACKED else path


def _reason(error: Exception | str) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
