"""Hostile files and messages: what would fill the memory, hang or end in a traceback is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import torch
from bag_files import MODES, camera_and_truth, image, write_bag
from command_line import fcn_follow, invoke
from drawn_frames import frame, write_frames
from onnx import TensorProto, helper
from ros_tools import ROOT
from rosbags.rosbag2 import StoragePlugin
from safetensors.torch import save_file

from fcn_follow.bags import compression
from fcn_follow.bags.compression import MAX_MESSAGE_BYTES, plain_chunk, plain_message, unpack_file, zstd
from fcn_follow.bags.images import MessageError, compressed_to_rgb, image_to_rgb
from fcn_follow.bags.reading import open_bag
from fcn_follow.bags.truth import open_mask_folder
from fcn_follow.data.frames import FrameError, open_frames
from fcn_follow.data.pictures import MAX_JPEG_SCANS, decode_picture
from fcn_follow.data.split import read_held_out_runs
from fcn_follow.deployment import foreign
from fcn_follow.errors import UserError, shown
from fcn_follow.networks.keras_graph import GraphLayer, KerasGraph, build_graph
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import CARD_KEY, ModelCard, load_weights
from fcn_follow.nodes.follower_parameters import FollowerNodeParameters
from fcn_follow.nodes.sources import open_source
from fcn_follow.parameters import with_values
from fcn_follow.training.parameters import read_recipe
from fcn_follow.yaml_text import parse_yaml

PICTURE = frame(3)[0]
JPEG, PNG = (cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in (".jpg", ".png"))
SQLITE3, MCAP = StoragePlugin.SQLITE3, StoragePlugin.MCAP


def compressed(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(format="jpeg", data=data)


def of_size(data: bytes, width_px: int, height_px: int) -> bytes:
    """The same file, saying another size; a PNG's checksum is right."""
    content = bytearray(data)
    if data.startswith(b"\x89PNG"):
        struct.pack_into(">II", content, 16, width_px, height_px)
        struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    else:
        struct.pack_into(">HH", content, data.index(b"\xff\xc0") + 5, height_px, width_px)
    return bytes(content)


@pytest.fixture
def told():
    """Hears what is told, and that it is one line each."""
    sentences: list[str] = []
    yield sentences
    assert all(len(sentence.splitlines()) == 1 for sentence in sentences)


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
@pytest.mark.parametrize(("width_px", "height_px"), [(20000, 20000), (6000, 6000), (17000, 10), (0, 10)])
def test_the_size_in_a_header_is_bounded_before_a_picture_is_decoded(tmp_path, monkeypatch, data, width_px, height_px):
    bomb = of_size(data, width_px, height_px)
    for part in ("images", "masks"):
        (tmp_path / "run" / part).mkdir(parents=True)
        (tmp_path / "run" / part / f"a_00001.{'png' if data is PNG else 'jpeg'}").write_bytes(bomb)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("images/a_00001.png", bomb)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    expected = f"picture of {width_px}x{height_px} pixels; allowed are 32 million pixels, 16384 a side"
    with pytest.raises(MessageError, match=expected):
        compressed_to_rgb(compressed(bomb))
    for frames in (open_frames(tmp_path / "run"), open_frames(tmp_path / "a.zip")):
        with pytest.raises(FrameError, match=expected):
            frames.image(0)
    with pytest.raises(MessageError, match=expected):
        open_mask_folder(tmp_path / "run").labels(0, 1, 0)


def test_other_formats_whose_size_nobody_reads_are_refused():
    for suffix in (".bmp", ".webp", ".tiff", ".gif"):
        data = cv2.imencode(suffix, PICTURE)[1].tobytes()
        with pytest.raises(MessageError, match="not a picture, or a damaged one"):
            compressed_to_rgb(compressed(data))


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
@pytest.mark.parametrize("padding", [bytes(100), bytes(128 << 10), b"\xff" * 300, JPEG[200:]], ids=len)
def test_what_a_driver_pads_its_buffer_with_is_ignored_and_a_cut_picture_refused(tmp_path, data, padding):
    whole = compressed_to_rgb(compressed(data))
    np.testing.assert_array_equal(compressed_to_rgb(compressed(data + padding)), whole)
    (tmp_path / "a_00001.png").write_bytes(data + padding)
    np.testing.assert_array_equal(open_frames(tmp_path).image(0), whole)
    for cut in (len(data) // 2, len(data) - 12):
        for tail in (b"", bytes(100), bytes(128 << 10)):
            with pytest.raises(MessageError, match=r"truncated|damaged"):
                compressed_to_rgb(compressed(data[:cut] + tail))


def test_a_thumbnail_in_a_jpeg_is_not_its_end():
    exif = b"Exif\x00\x00" + JPEG
    data = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(decode_picture(data), decode_picture(JPEG))
    with pytest.raises(UserError, match="truncated"):
        decode_picture(data[:-100])


def test_a_progressive_jpeg_of_endless_scans_is_refused():
    data = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_picture(data).shape == PICTURE.shape
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(UserError, match="more than 100 scans"):
        decode_picture(data[:-2] + last_scan * MAX_JPEG_SCANS + data[-2:])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"width": 40000, "step": 120000}, "picture of 40000x120 pixels"),
        ({"height": 2**32 - 1, "step": 480}, "picture of 160x4294967295 pixels"),
        ({"step": 2**31}, "step 2147483648 is longer than any row"),
        ({"encoding": "x" * 5000}, r"encoding 'xxx.{,100}\.\.\..* is not known"),
    ],
)
def test_raw_images_of_impossible_sizes_are_refused(changes, expected):
    message = image(PICTURE, 1)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=expected):
        image_to_rgb(message)


def test_a_video_of_a_size_that_no_camera_has_is_refused(tmp_path):
    path = tmp_path / "big.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (6400, 6400))
    writer.write(np.zeros((6400, 6400, 3), np.uint8))
    writer.release()
    with pytest.raises(UserError, match=r"big\.avi: a picture of 6400x6400 pixels"):
        open_source(str(path))


def test_masks_of_another_size_than_their_image_are_refused(tmp_path):
    folder = write_frames(tmp_path / "run", 2)
    mask = folder / "masks" / "1_run1_mask_00001.png"
    cv2.imwrite(str(mask), cv2.resize(cv2.imread(str(mask)), (80, 60), interpolation=cv2.INTER_NEAREST))
    frames = open_frames(folder)
    assert frames.mask(0).shape == (120, 160, 3)
    for read in (frames.mask, frames.labels):
        with pytest.raises(FrameError, match=r"00001\.png: mask of 80x60 pixels, but its image has 160x120"):
            read(1)


def zipped(path, data=JPEG, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("images/a_00001.jpeg", data)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("encrypted", "cannot be read .encrypted"),
        ("damaged", "cannot be read"),
        ("lzma", "cannot be read .packed in another way than deflate"),
        ("inflates", "cannot be read .larger than 128 MB"),
    ],
)
def test_zips_that_are_damaged_or_bombs_are_told_by_name(tmp_path, kind, expected):
    path = tmp_path / "a.zip"
    big = bytes(129 << 20) if kind == "inflates" else JPEG
    data = zipped(path, big, zipfile.ZIP_LZMA if kind == "lzma" else zipfile.ZIP_DEFLATED)
    if kind == "encrypted":
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(mark) + offset] |= 1
    if kind == "damaged":
        data[60:400] = b"\xff" * 340
    path.write_bytes(data)
    with pytest.raises(FrameError, match=rf"a_00001\.jpeg: {expected}"):
        open_frames(path).image(0)


def test_a_zip_with_a_huge_list_of_members_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.zip"
    data = zipped(path)
    struct.pack_into("<I", data, data.index(b"PK\x05\x06") + 12, 1 << 30)
    path.write_bytes(data)
    with pytest.raises(UserError, match="list of members is larger than 32 MB"):
        open_frames(path)


@pytest.mark.parametrize("name", ["1²2_00001", "٣_00001", "9" * 100 + "_00001", "a²"])
def test_any_digits_in_names_of_frames_are_read(tmp_path, name):
    for folder, count in ((tmp_path / "a", 3), (tmp_path / "b", 1)):
        (folder / "masks").mkdir(parents=True)
        for index in range(count):
            (folder / f"{name}{index}.png").write_bytes(PNG)
    (tmp_path / "b" / "masks" / f"{name}.png").write_bytes(PNG)
    assert len(open_frames(tmp_path / "a")) == 3
    try:
        open_mask_folder(tmp_path / "b")
    except UserError as error:
        assert "a mask's name ends with" in str(error)


def test_names_in_a_zip_may_have_more_digits_than_python_turns_into_a_number(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for index in (10, 9):
            archive.writestr(f"{'0' * 5000}{index}.png", PNG)
            archive.writestr(f"{'7' * 5000}{index:02}.png", PNG)
    keys = open_frames(tmp_path / "a.zip").keys
    assert [int(key[-2:]) for key in keys] == [9, 10, 9, 10]


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{c}: &{c} [{', '.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, r"has an alias \(\*a\)"),
        ("[" * 100_000, "nested deeper than 20 levels"),
        ("x: " + "{a: " * 30 + "}" * 30, "nested deeper than 20 levels"),
        ("x" * (1 << 20) + "y", "larger than 1 MB"),
        ("epochs: " + "1" * 5000, "Exceeds the limit"),
        ("epochs: 2001-99-99", "month must be in 1..12"),
    ],
    ids=["laughs", "deep", "deep mappings", "large", "digits", "date"],
)
def test_yaml_that_blows_up_is_refused(tmp_path, text, expected):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"a\.yaml: cannot be read as a recipe \({expected}"):
        read_recipe(path)
    with pytest.raises(UserError, match="cannot be read as a split file"):
        read_held_out_runs(path)
    with pytest.raises(UserError, match=expected):
        parse_yaml(text)


@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "-0x" + "f" * 5000, "[[[[1]]]]"], ids=["int", "negative", "deep"])
def test_values_of_impossible_length_are_refused_in_a_short_line(tmp_path, value):
    for name in ("epochs", "learning_rate"):
        (tmp_path / "a.yaml").write_text(f"{name}: {value}")
        with pytest.raises(UserError, match=f"parameter {name}") as caught:
            read_recipe(tmp_path / "a.yaml")
        assert len(str(caught.value)) < 400


def test_a_text_parameter_that_has_a_default_must_not_be_empty():
    parameters = FollowerNodeParameters()
    for value in ("", "  "):
        with pytest.raises(UserError, match=r"mavros\.topic: .* is not allowed; allowed is any text but an empty one"):
            with_values(parameters, {"mavros.topic": value})
    assert with_values(parameters, {"mavros.topic": "a/b"}).mavros.topic == "a/b"


def test_messages_are_one_printable_line_and_show_values_cut():
    assert str(UserError("a\nb\x1b[31mc\udcff")) == r"a\nb\x1b[31mc\udcff"
    assert len(shown("x" * 10**6)) <= 80
    assert len(shown([["x" * 100] * 100] * 100)) <= 80
    assert shown(int("f" * 5000, 16)) == "a huge int"
    with pytest.raises(UserError) as caught:
        with_values(FollowerNodeParameters(), {"mavros.topic": 7, "x" * 5000: 1})
    assert len(str(caught.value)) < 3000


def weights_file(path, change=lambda tensors: None, **card):
    torch.manual_seed(0)
    tensors = dict(build_network("fcn_001").state_dict())
    change(tensors)
    values = {**dataclasses.asdict(ModelCard("fcn_001", 32, 32)), **card}
    save_file(tensors, path, metadata={CARD_KEY: json.dumps(values)})
    return path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_with_nan_or_infinity_are_refused_by_the_tensors_name(tmp_path, value):
    name = next(name for name, tensor in build_network("fcn_001").state_dict().items() if tensor.dim() == 4)

    def spoil(tensors):
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[-1] = value

    with pytest.raises(UserError, match=f"its tensor {name} holds NaN or infinite numbers"):
        load_weights(weights_file(tmp_path / "a.safetensors", spoil))


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"network": 0}, "has 0 as network; wanted is str"),
        ({"network": None}, "has None as network"),
        ({"input_height_px": 32.0}, "has 32.0 as input_height_px; wanted is int"),
        ({"flip_average": "no"}, "has 'no' as flip_average; wanted is bool"),
        ({"scores": {"a": "b"}}, "has 'b' as the score 'a'"),
        ({"scores": [1]}, "as scores"),
        ({"hero_min_area_px": True}, "has True as hero_min_area_px"),
        ({"depth": ["x" * 999]}, "as depth; wanted is str"),
        ({"input_height_px": 4096, "input_width_px": 4096}, "impossible input size of 4096x4096"),
        ({"graph": {"input_px": [8, 8], "layers": [{"name": 1, "kind": [], "inputs": 3}]}}, "no possible network"),
    ],
)
def test_cards_of_wrong_types_are_refused(tmp_path, card, expected):
    with pytest.raises(UserError, match=expected):
        load_weights(weights_file(tmp_path / "a.safetensors", **card))


def test_a_card_nested_without_end_and_a_header_of_gigabytes_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={CARD_KEY: "[" * 100_000})
    with pytest.raises(UserError, match="its model card cannot be read"):
        load_weights(path)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 90 << 20))
        file.truncate(100 << 20)
    with pytest.raises(UserError, match="larger than that of any network"):
        load_weights(path)


def test_tensors_of_another_network_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = weights_file(tmp_path / "a.safetensors", lambda tensors: tensors.update(more=torch.zeros(100)))
    monkeypatch.setattr("fcn_follow.networks.weights.finite_tensors", lambda *_: pytest.fail("they were read"))
    with pytest.raises(UserError, match="more is not part of it"):
        load_weights(path)


def test_a_graph_that_needs_more_than_any_computer_has_is_refused():
    def layers(*kinds):
        names = ["input", *(f"l{index}" for index in range(len(kinds)))]
        return tuple(
            GraphLayer(names[i + 1], kind, (names[i],) * (1 + (kind == "add")), **options)
            for i, (kind, options) in enumerate(kinds)
        )

    wide = layers(("conv", {"filters": 8192}), ("conv", {"filters": 3}))
    with pytest.raises(UserError, match="layers give more than"):
        build_graph(KerasGraph(1024, 1024, wide))
    slow = layers(
        ("conv", {"filters": 64}), *[("conv", {"filters": 64, "kernel_px": (15, 15)})] * 4, ("conv", {"filters": 3})
    )
    with pytest.raises(UserError, match="multiplies more than"):
        build_graph(KerasGraph(1024, 1024, slow))


def onnx_file(path, *nodes, initializers=(), size=(1, 3)):
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, size)
    graph = helper.make_graph(list(nodes), "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
                              [output], list(initializers))  # fmt: skip
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_onnx_files_that_would_compute_without_end_are_refused(tmp_path):
    path = tmp_path / "a.onnx"
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [10**6, 10**6])
    onnx_file(path, helper.make_node("ConstantOfShape", ["s"], ["y"]), initializers=[shape])
    with pytest.raises(UserError, match="operation 'ConstantOfShape'"):
        foreign.read_onnx(path)
    doubled = [helper.make_node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], axis=1) for i in range(28)]
    onnx_file(
        path,
        helper.make_node("Relu", ["x"], ["v0"]),
        *doubled,
        helper.make_node("Relu", ["v28"], ["y"]),
        size=["N", "M"],
    )
    with pytest.raises(UserError, match="has a result of 805,306,368 numbers"):
        foreign.read_onnx(path)
    huge = helper.make_tensor("w", TensorProto.FLOAT, [2], [0.0, 0.0])
    huge.dims[:] = [2**31, 2**31]
    onnx_file(path, helper.make_node("Add", ["x", "w"], ["y"]), initializers=[huge])
    with pytest.raises(UserError, match="tensor 'w' has an impossible size"):
        foreign.read_onnx(path)
    outside = helper.make_tensor("w", TensorProto.FLOAT, [1, 3], [0.0] * 3)
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    onnx_file(path, helper.make_node("Add", ["x", "w"], ["y"]), initializers=[outside])
    with pytest.raises(UserError, match="refers to other files"):
        foreign.read_onnx(path)


def test_an_onnx_file_of_millions_of_empty_nodes_is_not_parsed(tmp_path, monkeypatch):
    nodes = b"\x0a\x00" * (5 << 20)  # field 1 of a graph, empty
    (tmp_path / "a.onnx").write_bytes(b"\x3a" + varint(len(nodes)) + nodes)
    monkeypatch.setattr(onnx, "load_model_from_string", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(UserError, match="more than 8 MB that are not weights"):
        foreign.read_onnx(tmp_path / "a.onnx")


def varint(value):
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def read_all(path, told):
    with open_bag(path) as bag:
        told.extend(bag.damage)
        return list(bag.messages([topic.name for topic in bag.topics], told.append))


def storage_file(path):
    return next(file for file in path.iterdir() if file.name != "metadata.yaml")


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
        ("CREATE VIRTUAL TABLE f USING fts5(x)", "holds a table f; a recording has plain tables alone"),
    ],
)
def test_databases_that_bring_queries_of_their_own_are_refused(tmp_path, statements, expected):
    path = write_bag(tmp_path / "bag", camera_and_truth(1), SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.executescript(statements)
    with pytest.raises(UserError, match=expected), open_bag(storage_file(path)):
        pass


def test_null_and_text_in_the_columns_of_a_database_are_no_messages(tmp_path, told):
    path = write_bag(tmp_path / "bag", camera_and_truth(2), SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.executescript(
            "CREATE TABLE m(id, topic_id, timestamp, data); INSERT INTO m SELECT * FROM messages; DROP TABLE messages;"
            "ALTER TABLE m RENAME TO messages; CREATE TABLE t(id, name, type); DELETE FROM t;"
            "INSERT INTO t SELECT id, name, type FROM topics; DROP TABLE topics; ALTER TABLE t RENAME TO topics;"
            "INSERT INTO topics VALUES (NULL, NULL, NULL), (9, x'ff', 1);"
            "INSERT INTO messages VALUES (NULL, NULL, NULL, NULL), (7, 1, NULL, NULL), (8, 1, 'noon', 'text')"
        )
    messages = read_all(storage_file(path), told)
    assert sorted(len(message.data) > 0 for message in messages) == [False, False, True, True, True, True]


def test_pages_of_a_database_that_repeat_without_end_are_given_up(tmp_path, monkeypatch, told):
    """As much work as the file's size allows, and no more."""
    path = write_bag(tmp_path / "bag", camera_and_truth(3), SQLITE3)
    monkeypatch.setattr("fcn_follow.bags.sqlite._STEPS", 1)
    monkeypatch.setattr("fcn_follow.bags.sqlite._STEPS_A_BYTE", 0)
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
    with pytest.raises(UserError, match="says that it has 7"):
        plain_chunk(b"abc", "", 7)


def test_a_packed_recording_is_unpacked_as_far_as_there_is_room(tmp_path):
    packed, plain = tmp_path / "a.zstd", tmp_path / "a"
    packed.write_bytes(zstd.compress(bytes(5 << 20)))
    assert "more than the 2 MB that there is room for" in unpack_file(packed, plain, 2 << 20)
    assert plain.stat().st_size <= 2 << 20
    assert unpack_file(packed, plain, 5 << 20) == ""


@pytest.mark.parametrize("mode", ["raw", "message", "file"])
def test_a_message_that_unpacks_to_more_than_any_is_named_and_the_rest_is_read(tmp_path, told, mode):
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
def test_mcap_records_larger_than_any_end_the_reading_with_one_line(tmp_path, told, record, expected):
    path = write_bag(tmp_path / "bag", camera_and_truth(2), MCAP)
    file = storage_file(path)
    data = file.read_bytes()
    (summary,) = struct.unpack_from("<Q", data, len(data) - 28)
    cut = summary - 13  # before the data's end
    with file.open("wb") as out:
        out.write(data[:cut] + record)
        out.truncate(len(data) + (300 << 20))  # room for what the record says, without taking it
    messages = read_all(file, told)
    assert len(messages) == 4
    assert any(expected in sentence for sentence in told)


def test_metadata_of_a_bag_that_laughs_is_refused_and_the_bag_read(tmp_path, told):
    path = write_bag(tmp_path / "bag", camera_and_truth(2), MCAP)
    (path / "metadata.yaml").write_text(LAUGHS)
    assert len(read_all(path, told)) == 4
    assert "has an alias" in told[0]


def test_a_topic_of_two_types_is_read_as_one(tmp_path, told):
    path = write_bag(tmp_path / "bag", camera_and_truth(3), SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute(
            "UPDATE topics SET name = '/cam/image_raw', type = 'std_msgs/msg/String' WHERE name LIKE '%mask'"
        )
        database.execute("DELETE FROM messages WHERE id = 2")
    messages = read_all(storage_file(path), told)
    assert {message.type for message in messages} == {"sensor_msgs/msg/Image"}
    assert "topic /cam/image_raw has several types; only its sensor_msgs/msg/Image are read" in told[0]


def test_markup_and_terminal_codes_in_names_are_printed_as_they_are(tmp_path):
    path = write_bag(tmp_path / "[/x]", [("/a/image_raw", 1, image(PICTURE, 1))], SQLITE3)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE topics SET name = '/[/x]\x1b[31m/[red]image_raw'")
    done = fcn_follow("bag-info", storage_file(path))
    assert done.returncode == 0, done.stderr
    assert "/[/x]\\x1b[31m/[red]image_raw" in done.stdout
    assert "\x1b" not in done.stdout
    frames = write_frames(tmp_path / "[/y]", 2)
    _, told = invoke("frames-to-bag", frames, tmp_path / "[/z]")
    assert "[/z]: 2 frames" in told
    done = fcn_follow("score", "--data", tmp_path / "[/nowhere]")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "[/nowhere]" in done.stderr


def test_the_fuzzer_runs_each_kind_and_finds_what_is_wrong(tmp_path):
    command = [sys.executable, "test/fuzz.py", "--seconds", "300", "--trial", "3", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("images", "sqlite3", "mcap", "onnx", "weights", "parameters"):
        assert kind in done.stdout


def test_a_finding_of_the_fuzzer_is_kept_with_the_command_that_repeats_it(tmp_path, monkeypatch, capsys):
    import fuzz

    (tmp_path / "trial").mkdir()
    monkeypatch.setattr(fuzz.Worker, "__init__", lambda self, folder: None)
    monkeypatch.setattr(fuzz.Worker, "stop", lambda self: None)
    monkeypatch.setattr(fuzz.Worker, "folder", tmp_path / "trial", raising=False)
    monkeypatch.setattr(fuzz.Worker, "run", lambda self, kind, *_: "KeyError: 'x'" if kind == "zips" else "")
    assert fuzz.fuzz(["zips", "names"], 60.0, 7, tmp_path / "out", 5, 5) == 1
    report = (tmp_path / "out" / "zips-7-5" / "report.txt").read_text()
    assert report == "scripts/fuzz --seed 7 --trial 5 zips\n\nKeyError: 'x'"


def test_the_fuzzer_tells_what_is_a_finding(tmp_path, monkeypatch):
    import fuzz

    def outcome(look):
        monkeypatch.setitem(fuzz.KINDS, "zips", lambda folder, chance: look())
        return fuzz.try_one(tmp_path, "zips", 0, 0)

    def refuse():
        raise UserError("no")

    assert outcome(lambda: None) == ""
    assert outcome(refuse) == "refused"
    assert "ZeroDivisionError" in outcome(lambda: 1 / 0)
    assert outcome(lambda: np.ones(800 << 20, np.uint8)).startswith("took ")
