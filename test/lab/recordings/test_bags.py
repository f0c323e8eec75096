"""Bags: found out about, made of frames and taken apart; damaged ones read as far as they go."""

from __future__ import annotations

import copy
import json
import re

import cv2
import numpy as np
import pytest
import yaml
from bag_files import (
    MCAP,
    MODES,
    PERIOD_NS,
    SQLITE3,
    START_NS,
    camera_and_truth,
    image,
    png,
    point,
    storage_file,
    write_bag,
)
from command_line import fcn_follow, figures, invoke
from drawn_frames import frame, write_frames
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import String

from fcn_follow.errors import UserError
from fcn_follow.images.messages import MessageError
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.recordings.frame_folders import FrameFolder, decoded, true_labels
from fcn_follow.lab.recordings.pairing import Tally, moments
from fcn_follow.lab.recordings.reading import open_bag
from fcn_follow.lab.recordings.topics import choose_topics
from fcn_follow.lab.recordings.truth import TrueLabels, message_labels, open_mask_folder
from fcn_follow.lab.recordings.writing import BagWriter

IMAGE, TRUTH = "/cam/image_raw", "/ground_truth/label_mask"


def read(path):
    """Every frame of a bag with its truth, and what was reported."""
    reported = []
    with open_bag(path) as bag:
        topics = choose_topics(bag)
        reported.extend(bag.damage)
        images = decoded(bag, topics, tolerance_ns=0, tally=Tally(), report=reported.append)
        return [(moment.image.stamp_ns, rgb, true_labels(moment, topics, rgb)) for moment, rgb in images], reported


def check_frames(frames, indices):
    assert [stamp for stamp, _, _ in frames] == [START_NS + index * PERIOD_NS for index in indices]
    for (_, rgb, labels), index in zip(frames, indices, strict=True):
        np.testing.assert_array_equal(rgb, frame(index)[0])
        np.testing.assert_array_equal(labels, frame(index)[1])


@pytest.mark.parametrize("store", [Stores.ROS2_HUMBLE, Stores.ROS2_KILTED])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("storage", [SQLITE3, MCAP])
def test_bags_of_rclpy_in_every_storage_and_compression(tmp_path, storage, mode, store):
    path = write_bag(tmp_path / "bag", camera_and_truth(5), storage, MODES[mode], store, version=8)
    frames, reported = read(path)
    check_frames(frames, range(5))
    assert reported == []


@pytest.mark.parametrize("profiles", ["", [], [{"depth": 3}], None])
@pytest.mark.parametrize("storage", [SQLITE3, MCAP])
def test_quality_of_service_in_the_metadata_that_differs_from_the_storage_changes_nothing(tmp_path, storage, profiles):
    path = write_bag(tmp_path / "bag", camera_and_truth(5), storage)
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())
    for topic in metadata["rosbag2_bagfile_information"]["topics_with_message_count"]:
        topic["topic_metadata"]["offered_qos_profiles"] = copy.deepcopy(profiles)
    (path / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    frames, reported = read(path)
    check_frames(frames, range(5))
    assert reported == []
    topics = {topic["name"]: topic for topic in figures("bag-info", path)["topics"]}
    assert topics[IMAGE]["messages"] == topics[IMAGE]["announced"] == 5


@pytest.mark.parametrize("mode", ["raw", "message"])
@pytest.mark.parametrize("storage", [SQLITE3, MCAP])
def test_a_bag_without_its_metadata_is_read_and_reported(tmp_path, storage, mode):
    path = write_bag(tmp_path / "bag", camera_and_truth(5), storage, MODES[mode])
    (path / "metadata.yaml").unlink()
    frames, reported = read(path)
    check_frames(frames, range(5))
    assert len(reported) == 1
    assert "metadata" in reported[0]
    check_frames(read(storage_file(path))[0], range(5))


@pytest.mark.parametrize("storage", [SQLITE3, MCAP])
def test_a_bag_cut_short_is_read_up_to_there(tmp_path, storage):
    path = write_bag(tmp_path / "bag", camera_and_truth(40), storage)
    file = storage_file(path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 6 // 10])
    frames, reported = read(path)
    assert 15 < len(frames) < 30
    check_frames([f for f in frames if f[2] is not None], range(sum(f[2] is not None for f in frames)))
    assert any("damaged" in sentence for sentence in reported)
    assert re.search(r"[34]\d of 80 messages are lost", reported[-1])
    assert all(len(sentence.splitlines()) == 1 for sentence in reported)


def test_an_mcap_with_chunks_of_zstd_cut_short_is_read_up_to_there(tmp_path):
    folder = write_frames(tmp_path / "frames", 12)
    invoke("frames-to-bag", folder, tmp_path / "bag", "--zstd", "--raw")
    file = storage_file(tmp_path / "bag")
    file.write_bytes(file.read_bytes()[:-60])  # the index is gone, each chunk is whole
    frames, reported = read(tmp_path / "bag")
    assert len(frames) == 12
    assert any("damaged" in sentence for sentence in reported)


def test_damage_in_the_middle_ends_the_reading_with_one_line(tmp_path):
    path = write_bag(tmp_path / "bag", camera_and_truth(30), SQLITE3)
    file = storage_file(path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 70_000] = bytes(70_000)
    file.write_bytes(data)
    frames, reported = read(path)
    assert len(frames) < 31
    assert reported


def test_bad_images_are_named_and_the_rest_is_read(tmp_path):
    messages = camera_and_truth(4)
    messages[2][2].data = messages[2][2].data[:-7]
    frames, reported = read(write_bag(tmp_path / "bag", messages))
    check_frames(frames, [0, 2, 3])
    assert len(reported) == 1
    assert "height * step" in reported[0]


def test_bytes_that_are_no_message_are_named(tmp_path):
    path = write_bag(tmp_path / "bag", camera_and_truth(3), SQLITE3)
    import sqlite3

    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE messages SET data = x'00010000ffffffffffffffffffffffffffffff' WHERE id = 1")
    frames, reported = read(path)
    check_frames(frames, [1, 2])
    assert "not a sensor_msgs/msg/Image" in reported[0]


def test_topics_are_found_or_asked_for(tmp_path):
    picture, labels = frame(0)
    both = [*camera_and_truth(1), ("/left/image_raw", START_NS, image(picture, 0))]
    with open_bag(write_bag(tmp_path / "two", both)) as bag:
        with pytest.raises(UserError, match="several cameras; choose the image topic: /cam/image_raw, /left/image_raw"):
            choose_topics(bag)
        assert choose_topics(bag, "/left/image_raw").image == "/left/image_raw"
        with pytest.raises(UserError, match="no image topic /up; it has"):
            choose_topics(bag, "/up")
    flight = [
        *camera_and_truth(1),
        (IMAGE + "/compressed", START_NS, png(picture, 0)),
        ("/segmentation/label_mask", START_NS, image(labels, 0)),
        ("/segmentation/overlay", START_NS, image(picture, 0)),
    ]
    with open_bag(write_bag(tmp_path / "flight", flight)) as bag:
        topics = choose_topics(bag)
        assert (topics.image, topics.truth, topics.mask) == (IMAGE, TRUTH, "/segmentation/label_mask")
    talk = write_bag(tmp_path / "talk", [("/chatter", 1, String(data="hi"))])
    nothing = r"no image topic; it has /chatter \(std_msgs/msg/String\)"
    with open_bag(talk) as bag, pytest.raises(UserError, match=nothing):
        choose_topics(bag)


def pairs(tmp_path, messages, tolerance_ns=0):
    tally = Tally()
    with open_bag(write_bag(tmp_path / "bag", messages)) as bag:
        found = list(moments(bag, IMAGE, [TRUTH], tolerance_ns, tally, pytest.fail))
    return [(m.image.stamp_ns, m.partners[TRUTH].stamp_ns if m.partners else None) for m in found], tally


def test_masks_belong_to_images_by_stamp(tmp_path):
    """Late and early masks, one without an image, an image without one, stamps that go backwards."""
    picture, labels = frame(0, 8, 8)
    seconds = 10**9
    messages = [
        (TRUTH, 1 * seconds, image(labels, 3)),
        (IMAGE, 2 * seconds, image(picture, 1)),
        (IMAGE, 3 * seconds, image(picture, 3)),
        (IMAGE, 4 * seconds, image(picture, 2)),
        (TRUTH, 4 * seconds, image(labels, 1)),
        (TRUTH, 5 * seconds, image(labels, 77)),
        (IMAGE, 20 * seconds, image(picture, 5)),
        (TRUTH, 21 * seconds, image(labels, 5)),
    ]
    found, tally = pairs(tmp_path, messages)
    assert found == [(1, 1), (3, 3), (2, None), (5, 5)]
    assert tally.images_without[TRUTH] == 1
    assert tally.without_image[TRUTH] == 1
    assert tally.stamps_backwards == 1
    assert tally.read == {IMAGE: 4, TRUTH: 4}


@pytest.mark.parametrize(
    ("stamps", "recorded", "named"),
    [
        ([0, 0, 0], [70, 71, 72], [70, 71, 72]),
        ([50, 50, 51], [70, 71, 72], [50, 71, 51]),
        ([0, 0, 0], [70, 70, 70], [70, 1, 2]),
        ([0, 50, 0], [0, 0, 0], [0, 50, 2]),
    ],
)
def test_zero_and_repeated_stamps_give_way_to_the_time_of_recording_and_that_to_the_index(
    tmp_path, stamps, recorded, named
):
    messages = []
    for index, (stamp, recorded_ns) in enumerate(zip(stamps, recorded, strict=True)):
        pixels, labels = frame(index)
        messages.append((IMAGE, recorded_ns, image(pixels, stamp)))
        messages.append((TRUTH, recorded_ns, image(labels, stamp)))
    path = write_bag(tmp_path / "bag", messages, SQLITE3)
    _, reported = invoke("bag-to-frames", path, tmp_path / "frames")
    replaced = sum(stamp != name for stamp, name in zip(stamps, named, strict=True))
    assert f"{replaced} images of {IMAGE} have a stamp that is 0 or repeated" in " ".join(reported.split())
    folder = open_frames(tmp_path / "frames")
    assert folder.keys == tuple(f"0000000000_{name:09d}" for name in sorted(named))
    for name, index in sorted((name, index) for index, name in enumerate(named)):
        np.testing.assert_array_equal(folder.image(sorted(named).index(name)), frame(index)[0])
    masks = open_mask_folder(tmp_path / "frames")
    assert all(masks.labels(name, index, 0) is not None for index, name in enumerate(named))


@pytest.mark.parametrize(("tolerance_ns", "expected"), [(0, None), (2, None), (3, 103)])
def test_the_nearest_mask_within_the_tolerance(tmp_path, tolerance_ns, expected):
    picture, labels = frame(0, 8, 8)
    messages = [(TRUTH, 5, image(labels, 103)), (TRUTH, 5, image(labels, 95)), (IMAGE, 6, image(picture, 100))]
    assert pairs(tmp_path, messages, tolerance_ns)[0] == [(100, expected)]


def test_labels_map_of_gazebo_and_masks_that_are_none(tmp_path):
    labels = np.array([[0, 1, 2], [9, 10, 255]], np.uint8)
    message = image(np.repeat(labels[..., None], 3, axis=2), 0)
    assert message_labels(message).tolist() == [[0, 1, 2], [0, 0, 0]]
    assert message_labels(message, TrueLabels(hero=255, people=(9, 10))).tolist() == [[0, 0, 0], [1, 1, 2]]
    with pytest.raises(MessageError, match="value of 255; it must be 0 background"):
        message_labels(image(labels, 0))


@pytest.mark.parametrize("options", [(), ("--raw",), ("--storage", "sqlite3", "--zstd")])
def test_frames_go_into_a_bag_and_come_back(tmp_path, options):
    folder = write_frames(tmp_path / "frames", 5)
    invoke("frames-to-bag", folder, tmp_path / "bag", *options)
    invoke("bag-to-frames", tmp_path / "bag", tmp_path / "back")
    before, after = open_frames(folder), open_frames(tmp_path / "back")
    assert len(after) == 5
    for index in range(5):
        np.testing.assert_array_equal(after.image(index), before.image(index))
        np.testing.assert_array_equal(after.labels(index), before.labels(index))
        if not options:
            assert after.image_file(index) == before.image_file(index)
    invoke("frames-to-bag", tmp_path / "back", tmp_path / "again")
    stamps = [moment for path in ("bag", "again") for moment in [[s for s, _, _ in read(tmp_path / path)[0]]]]
    assert stamps[0] == stamps[1] == [10**9 + round(index * 1e9 / 15) for index in range(5)]
    with AnyReader([tmp_path / "bag"], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        assert reader.message_count == 10
    again = fcn_follow("bag-to-frames", tmp_path / "bag", tmp_path / "back")
    assert again.returncode == 1 and "is there already" in again.stderr


def test_a_folder_of_masks_by_stamp_by_index_and_neither(tmp_path):
    labels = np.array([[0, 1], [2, 0]], np.uint8)
    for name, key in (("stamp", "mask_0000000012_500000000"), ("index", "7"), ("neither", "town")):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / f"{key}.png"), labels)
    assert open_mask_folder(tmp_path / "stamp").labels(12_500_000_000, 0, 0).tolist() == labels.tolist()
    assert open_mask_folder(tmp_path / "stamp").labels(12_500_000_009, 0, 8) is None
    assert open_mask_folder(tmp_path / "stamp").labels(12_500_000_008, 0, 8) is not None
    assert open_mask_folder(tmp_path / "index").labels(3, 7, 0).tolist() == labels.tolist()
    with pytest.raises(UserError, match="a mask's name ends with the stamp"):
        open_mask_folder(tmp_path / "neither")


def test_bag_info_finds_rates_sizes_and_gaps(tmp_path):
    messages = [item for index, item in enumerate(camera_and_truth(20)) if not 20 <= index < 28]
    path = write_bag(tmp_path / "bag", messages)
    result = fcn_follow("bag-info", path, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    camera = next(topic for topic in figures["topics"] if topic["name"] == IMAGE)
    assert camera["messages"] == camera["announced"] == 16
    assert camera["sizes"] == {"160x120 rgb8": 16}
    assert camera["rate_hz"] == pytest.approx(15 / 1.9)
    assert camera["gaps_s"] == [[pytest.approx(50.9), pytest.approx(0.5)]]
    assert camera["stamps_backwards"] == 0
    assert "gap in /cam/image_raw: 0.500 s after stamp 50.900" in invoke("bag-info", path)[0]


def test_a_topic_without_a_steady_rate_has_no_gaps(tmp_path):
    """As on /diagnostics: three publishers at 1 Hz, one just after the other, and a fourth that speaks at a change."""
    stamps_s = sorted([*(second + offset for second in range(8) for offset in (0.0, 0.02, 0.05)), 2.4, 5.07])
    points = [point(0, 0, 0, START_NS + round(1e9 * stamp_s)) for stamp_s in stamps_s]
    messages = [("/events", START_NS + index, message) for index, message in enumerate(points)]
    path = write_bag(tmp_path / "bag", messages)
    (topic,) = figures("bag-info", path)["topics"]
    assert (topic["messages"], topic["gaps_s"]) == (26, [])
    printed = invoke("bag-info", path)[0]
    assert "gap in" not in printed
    row = next(line for line in printed.splitlines() if "/events" in line)
    assert [cell.strip() for cell in row.split("│")][-3:-1] == ["-", "0"]


def test_a_change_between_wall_time_and_simulated_time_is_no_gap(tmp_path):
    """As on /diagnostics, where nodes in simulated time and others publish."""
    wall_ns, simulated_ns = 1_800_000_000 * 10**9, 5 * 10**9
    messages = []
    for index in range(10):
        base_ns = wall_ns if index in (4, 5) else simulated_ns
        messages.append((IMAGE, START_NS + index * PERIOD_NS, image(frame(0)[0], base_ns + index * PERIOD_NS)))
    path = write_bag(tmp_path / "bag", messages)
    (topic,) = figures("bag-info", path)["topics"]
    assert (topic["gaps_s"], topic["stamps_backwards"], topic["clock_changes"]) == ([], 0, 2)
    printed, _ = invoke("bag-info", path)
    assert f"stamps of {IMAGE} change 2 times between wall time and simulated time" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nowhere", None, "there is no such bag"),
        ("flight.bag", b"#ROSBAG V2.0", "a ROS 1 bag"),
        ("notes.txt", b"hello", "not a rosbag2"),
        ("empty/readme", b"hello", "not a rosbag2 recording that can be read"),
        ("text/text.mcap", b"hello", "not a rosbag2 recording that can be read"),
        ("text/text.db3", b"hello", "not a rosbag2 recording that can be read"),
        ("bad/metadata.yaml", b"rosbag2: [", "not a rosbag2 recording that can be read"),
    ],
)
def test_what_is_no_bag_is_reported_in_one_line(tmp_path, name, content, expected):
    path = tmp_path / name
    if content is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(UserError, match=expected) as caught, open_bag(path.parent if "/" in name else path):
        pass
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_above_bags_is_refused_with_the_bag_to_give(tmp_path):
    for name, others in (("b", ""), ("a", " or another of the 2 recordings in it")):
        bag = write_bag(tmp_path / name, camera_and_truth(2))
        message = re.escape(f"{tmp_path}: a folder above a recording; give {bag}{others}")
        with pytest.raises(UserError, match=f"^{message}$"), open_bag(tmp_path):
            pass


@pytest.mark.parametrize("writer", [BagWriter, FrameFolder])
def test_what_is_not_whole_leaves_nothing(tmp_path, writer):
    with pytest.raises(RuntimeError), writer(tmp_path / "new" / "out"):
        (private,) = (tmp_path / "new").iterdir()
        assert private.name.startswith(".out.") and private.stat().st_mode & 0o077 == 0
        raise RuntimeError
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(UserError, match="is there already"):
        writer(tmp_path / "new")


def test_a_frame_that_cannot_be_written_names_the_users_folder(tmp_path):
    with (
        pytest.raises(UserError, match=f"{tmp_path}/new/images/.*cannot be written"),
        FrameFolder(tmp_path / "new") as folder,
    ):
        folder.part.touch()
        folder.add_frame(1, np.zeros((4, 4, 3), np.uint8), None)
