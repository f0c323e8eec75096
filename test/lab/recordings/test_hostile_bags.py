"""Hostile recordings: bounded in memory and work, refused or read as far as they are sound."""

from __future__ import annotations

import json
import sqlite3
import struct

import pytest
from bag_files import MCAP, MODES, SQLITE3, camera_and_truth, storage_file, write_bag
from command_line import invoke

from fcn_follow.errors import UserError
from fcn_follow.lab.recordings import compression
from fcn_follow.lab.recordings.compression import MAX_MESSAGE_BYTES, plain_chunk, plain_message, unpack_file, zstd
from fcn_follow.lab.recordings.reading import open_bag


@pytest.fixture
def reported():
    """Receives the reports and checks that each is one line."""
    sentences: list[str] = []
    yield sentences
    assert all(len(sentence.splitlines()) == 1 for sentence in sentences)


def read_all(path, reported):
    with open_bag(path) as bag:
        reported.extend(bag.damage)
        return list(bag.messages([topic.name for topic in bag.topics], reported.append))


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("CREATE VIEW schema2 AS SELECT 1", "holds a view schema2"),
        ("CREATE TRIGGER t AFTER INSERT ON topics BEGIN SELECT 1; END", "holds a trigger t"),
        (
            "DROP TABLE schema; CREATE VIEW schema AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
            "SELECT max(x) AS schema_version FROM c",
            "holds a view schema",
        ),
        (
            "DROP TABLE messages; CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, "
            "data BLOB AS (zeroblob(1000000000)))",
            "table messages has computed columns",
        ),
        ("CREATE VIRTUAL TABLE f USING fts5(x)", "holds a table f; a recording has only plain tables"),
    ],
)
def test_databases_that_bring_queries_of_their_own_are_refused(tmp_path, statements, expected):
    path = write_bag(tmp_path / "bag", camera_and_truth(1), SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.executescript(statements)
    with pytest.raises(UserError, match=expected), open_bag(storage_file(path)):
        pass


def test_null_and_text_in_the_columns_of_a_database_are_no_messages(tmp_path, reported):
    path = write_bag(tmp_path / "bag", camera_and_truth(2), SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.executescript(
            "CREATE TABLE m(id, topic_id, timestamp, data); INSERT INTO m SELECT * FROM messages; DROP TABLE messages;"
            "ALTER TABLE m RENAME TO messages; CREATE TABLE t(id, name, type); DELETE FROM t;"
            "INSERT INTO t SELECT id, name, type FROM topics; DROP TABLE topics; ALTER TABLE t RENAME TO topics;"
            "INSERT INTO topics VALUES (NULL, NULL, NULL), (9, x'ff', 1);"
            "INSERT INTO messages VALUES (NULL, NULL, NULL, NULL), (7, 1, NULL, NULL), (8, 1, 'noon', 'text')"
        )
    messages = read_all(storage_file(path), reported)
    assert sorted(len(message.data) > 0 for message in messages) == [False, False, True, True, True, True]


def test_pages_of_a_database_that_repeat_without_end_are_given_up(tmp_path, monkeypatch, reported):
    """As much work as the file's size allows, and no more."""
    path = write_bag(tmp_path / "bag", camera_and_truth(3), SQLITE3)
    monkeypatch.setattr("fcn_follow.lab.recordings.sqlite._STEPS", 1)
    monkeypatch.setattr("fcn_follow.lab.recordings.sqlite._STEPS_PER_BYTE", 0)
    with pytest.raises(UserError, match="interrupted"), open_bag(storage_file(path)):
        pass


def test_compressed_messages_and_chunks_unpack_to_what_is_allowed_and_no_more(monkeypatch):
    assert plain_message(zstd.compress(b"abc" * 1000)) == b"abc" * 1000
    monkeypatch.setattr(compression, "MAX_MESSAGE_BYTES", 1 << 20)
    bomb = zstd.compress(bytes(2 << 20))
    with pytest.raises(UserError, match="unpacks to more than 1,048,576 bytes"):
        plain_message(bomb)
    with pytest.raises(UserError, match="cut short"):
        plain_message(zstd.compress(b"abc" * 1000)[:-4])
    import lz4.frame

    for name, packed in (("zstd", bomb), ("lz4", lz4.frame.compress(bytes(2 << 20)))):
        with pytest.raises(UserError, match="unpacks to more than 1,000 bytes"):
            plain_chunk(packed, name, 1000)
        with pytest.raises(UserError, match="a chunk of 2,097,152 bytes"):
            plain_chunk(packed, name, 2 << 20)
    with pytest.raises(UserError, match="announces 7"):
        plain_chunk(b"abc", "", 7)


def test_a_packed_recording_is_unpacked_as_far_as_there_is_room(tmp_path):
    packed, plain = tmp_path / "a.zstd", tmp_path / "a"
    packed.write_bytes(zstd.compress(bytes(5 << 20)))
    assert "more than the 2 MB that are free" in unpack_file(packed, plain, 2 << 20)
    assert plain.stat().st_size <= 2 << 20
    assert unpack_file(packed, plain, 5 << 20) == ""


@pytest.mark.parametrize("mode", ["raw", "message", "file"])
def test_a_message_that_unpacks_to_more_than_any_is_named_and_the_rest_is_read(tmp_path, reported, mode):
    path = write_bag(tmp_path / "bag", camera_and_truth(3), SQLITE3, MODES["message"])
    with sqlite3.connect(storage_file(path)) as database:
        bomb = zstd.compress(bytes(MAX_MESSAGE_BYTES + 1))
        database.execute("UPDATE messages SET data = ? WHERE id = 1", [bomb])
    out, _ = invoke("bag-info", path, "--json")
    figures = json.loads(out)
    assert sum(topic["messages"] for topic in figures["topics"]) == 6
    assert [topic["unreadable"] for topic in figures["topics"]] == [1, 0]
    assert "unpacks to more than" in figures["skipped"][0]


def mcap_record(code, content):
    return struct.pack("<BQ", code, len(content)) + content


def mcap_chunk(says_bytes, packed):
    head = struct.pack("<QQQII4sQ", 0, 0, says_bytes, 0, 4, b"zstd", len(packed))
    return mcap_record(6, head + packed)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (struct.pack("<BQ", 3, 2**62), "a record of 4,611,686,018,427,387,904 bytes"),
        (mcap_chunk(3 << 30, b""), "a chunk of 3,221,225,472 bytes"),
        (mcap_chunk(100, zstd.compress(bytes(1 << 24))), "unpacks to more than 100 bytes"),
    ],
    ids=["record", "chunk", "lying chunk"],
)
def test_mcap_records_larger_than_any_end_the_reading_with_one_line(tmp_path, reported, record, expected):
    path = write_bag(tmp_path / "bag", camera_and_truth(2), MCAP)
    file = storage_file(path)
    data = file.read_bytes()
    (summary,) = struct.unpack_from("<Q", data, len(data) - 28)
    cut = summary - 13  # before the data's end
    with file.open("wb") as out:
        out.write(data[:cut] + record)
        out.truncate(len(data) + (300 << 20))  # room for what the record says, without taking it
    messages = read_all(file, reported)
    assert len(messages) == 4
    assert any(expected in sentence for sentence in reported)


def test_metadata_of_a_bag_that_laughs_is_refused_and_the_bag_read(tmp_path, reported):
    path = write_bag(tmp_path / "bag", camera_and_truth(2), MCAP)
    (path / "metadata.yaml").write_text("a: &a [x]\nb: [*a, *a]\n")
    assert len(read_all(path, reported)) == 4
    assert "has an alias" in reported[0]


def test_a_topic_of_two_types_is_read_as_one(tmp_path, reported):
    path = write_bag(tmp_path / "bag", camera_and_truth(3), SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute(
            "UPDATE topics SET name = '/cam/image_raw', type = 'std_msgs/msg/String' WHERE name LIKE '%mask'"
        )
        database.execute("DELETE FROM messages WHERE id = 2")
    messages = read_all(storage_file(path), reported)
    assert {message.type for message in messages} == {"sensor_msgs/msg/Image"}
    assert "topic /cam/image_raw has several types; only its sensor_msgs/msg/Image are read" in reported[0]


def test_a_database_whose_definitions_are_no_text_is_refused_in_one_line(tmp_path):
    path = storage_file(write_bag(tmp_path / "bag", camera_and_truth(1), SQLITE3))
    data = path.read_bytes()
    for sound, damaged in ((b"tabletopics", b"table\xff\xf6pics"), (b"CREATE TABLE topics", b"CREATE TABXE topics")):
        assert sound in data
        data = data.replace(sound, damaged)
    path.write_bytes(data)
    with pytest.raises(UserError, match="not a rosbag2 recording"), open_bag(path):
        pass


def test_a_file_that_metadata_names_a_thousand_times_is_read_once(tmp_path, reported):
    path = write_bag(tmp_path / "bag", camera_and_truth(1), MCAP)
    text = (path / "metadata.yaml").read_text()
    line = next(line for line in text.splitlines() if line.strip() == "- bag.mcap")
    (path / "metadata.yaml").write_text(text.replace(line, "\n".join([line] * 1000)))
    assert len(read_all(path, reported)) == 2
    assert reported == []
