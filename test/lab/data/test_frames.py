"""Frame folders and zips: pairing by key, what is refused, splitting by run."""

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from frame_folders import draw_frame, write_frames

from fcn_follow.errors import UserError
from fcn_follow.lab.data.bank import load_bank
from fcn_follow.lab.data.frame_names import frame_key
from fcn_follow.lab.data.frames import FrameError, open_frames
from fcn_follow.lab.data.resize import resize_image, resize_mask
from fcn_follow.lab.data.split import (
    HeldOutRuns,
    all_frames,
    read_split,
    refuse_leak,
    split_by_run,
    split_by_share,
)
from fcn_follow.share import share_directory


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("4_run2cam1_00327.jpeg", "4_run2_mask_00327.png"),
        ("1_run1_cam1_00009_data_pack2.jpeg", "1_run1_mask_00009_data_pack2.png"),
        ("train_run2-2_00003.jpeg", "train_run2-2_00003.png"),
        ("0010e8febc91.jpeg", "0010e8febc91.png"),
        ("sim5_run0000_cam1_000001.jpeg", "sim5_run0000_mask_000001.png"),
        ("0_cam1_00005.jpeg", "0__mask_00005.png"),
    ],
)
def test_an_image_and_its_mask_have_one_key(image, mask):
    assert frame_key(image) == frame_key(mask)


def test_a_folder_and_its_zip_hold_the_same_frames(tmp_path):
    folder = write_frames(tmp_path / "town", 5)
    with zipfile.ZipFile(tmp_path / "town.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    first, second = open_frames(folder), open_frames(tmp_path / "town.zip")
    assert first.name == second.name == "town"
    assert first.keys == second.keys
    assert first.runs == second.runs == ("1_run1",) * 5
    for i in range(5):
        assert np.array_equal(first.image(i), second.image(i))
        assert np.array_equal(first.labels(i), second.labels(i))


def test_decoded_masks_are_the_drawn_ones(tmp_path):
    folder = write_frames(tmp_path / "town", 3, seed=7)
    frames = open_frames(folder)
    random = np.random.default_rng(7)
    for i, height in enumerate((0, 8, 24)):
        _, mask = draw_frame(random, 64, height)
        assert np.array_equal(frames.mask(i), mask)
        assert np.array_equal(frames.labels(i), mask.argmax(axis=2))


def test_images_alone_have_no_masks(tmp_path):
    folder = write_frames(tmp_path / "town", 2)
    for path in (folder / "masks").iterdir():
        path.unlink()
    frames = open_frames(folder)
    assert not frames.has_masks
    assert frames.labels(0) is None
    with pytest.raises(UserError, match="has no masks"):
        load_bank(all_frames([frames]), 64)


def test_what_does_not_pair_is_named(tmp_path):
    folder = write_frames(tmp_path / "town", 3)
    lonely = folder / "masks" / "1_run1_mask_00001.png"
    lonely.unlink()
    with pytest.raises(UserError, match=r"1_run1cam1_00001\.jpeg has no mask"):
        open_frames(folder)
    (folder / "images" / "1_run1cam1_00001.jpeg").rename(folder / "images" / "1_run1_cam2_00002.jpeg")
    with pytest.raises(UserError, match="have the same key 1_run1_00002"):
        open_frames(folder)


def test_masks_whose_names_leave_out_the_run_belong_to_their_images(tmp_path):
    folder = write_frames(tmp_path / "town", 4)
    masks = [open_frames(folder).mask(i) for i in range(4)]
    for path in (folder / "masks").iterdir():
        path.rename(path.with_name(path.name.replace("1_run1_mask", "1__mask")))
    frames = open_frames(folder)
    assert frames.keys == tuple(f"1_run1_{i:05d}" for i in range(4))
    assert frames.runs == ("1_run1",) * 4
    assert all(np.array_equal(frames.mask(i), masks[i]) for i in range(4))


def test_a_mask_that_could_belong_to_two_runs_or_names_another_is_refused(tmp_path):
    folder = write_frames(tmp_path / "town", 1)
    image, mask = folder / "images" / "1_run1cam1_00000.jpeg", folder / "masks" / "1_run1_mask_00000.png"
    other = mask.rename(folder / "masks" / "1_run2_mask_00000.png")
    with pytest.raises(UserError, match=r"1_run1cam1_00000\.jpeg has no mask"):
        open_frames(folder)
    other.rename(folder / "masks" / "1__mask_00000.png")
    assert open_frames(folder).has_masks
    (folder / "images" / "1_run2cam1_00000.jpeg").write_bytes(image.read_bytes())
    with pytest.raises(UserError, match=r"1_run1cam1_00000\.jpeg has no mask"):
        open_frames(folder)


def test_a_raw_recording_is_read_as_the_course_reads_it(tmp_path):
    random = np.random.default_rng(5)
    pictures = {}
    for run in ("run1", "run2"):
        folder = tmp_path / "train" / run / "IMG"
        folder.mkdir(parents=True)
        for camera in range(1, 5):
            pictures[run, camera] = random.integers(0, 256, (16, 16, 3), np.uint8)
            cv2.imwrite(str(folder / f"cam{camera}_00005.png"), pictures[run, camera][..., ::-1])
    frames = open_frames(tmp_path / "train")
    assert frames.keys == ("run1_00005", "run2_00005")
    assert frames.runs == ("run1", "run2")
    assert frames.name == "train"
    assert np.array_equal(frames.image(1), pictures["run2", 1])
    labels = frames.labels(1)
    for row, column in np.ndindex(16, 16):
        people, hero, rest = (int(pictures["run2", camera][row, column, 0]) for camera in (2, 3, 4))
        distances = [(rest - 1) % 256, people, hero]
        assert labels[row, column] == distances.index(min(distances))
    (tmp_path / "train" / "run2" / "IMG" / "cam3_00005.png").unlink()
    with pytest.raises(UserError, match=r"cam2_00005\.png: the mask of a raw recording is three pictures"):
        open_frames(tmp_path / "train")
    assert open_frames(tmp_path / "train" / "run1").keys == ("00005",)


def test_files_of_a_mac_beside_the_pictures_are_left_out(tmp_path):
    folder = write_frames(tmp_path / "town", 2)
    (folder / "images" / "._1_run1cam1_00000.jpeg").write_bytes(b"Mac OS X")
    assert len(open_frames(folder)) == 2


def test_a_recording_is_named_with_the_command_that_makes_frames_of_it(tmp_path):
    bag = tmp_path / "out" / "bag"
    bag.mkdir(parents=True)
    (bag / "flight_0.mcap").write_bytes(b"")
    with pytest.raises(UserError, match=rf"{bag}: a recording; `fcn-follow bag-to-frames {bag} FOLDER` makes"):
        open_frames(bag)
    above = rf"out: has the recording {bag} in it; `fcn-follow bag-to-frames {bag} FOLDER` makes"
    with pytest.raises(UserError, match=above):
        open_frames(tmp_path / "out")
    zipped = Path(shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path, "out"))
    with pytest.raises(UserError, match=r"archive\.zip: a zip with a recording; unpack it"):
        open_frames(zipped)


@pytest.mark.parametrize("kind", ["missing", "empty", "text"])
def test_paths_without_frames(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "empty":
        path.mkdir()
    if kind == "text":
        path.write_text("no zip")
    message = {"missing": "no such folder", "empty": "no frames found", "text": "not a zip"}[kind]
    with pytest.raises(UserError, match=message):
        open_frames(path)


def test_damaged_frames_are_named_skipped_and_counted(tmp_path):
    folder = write_frames(tmp_path / "town", 4)
    picture = folder / "images" / "1_run1cam1_00001.jpeg"
    picture.write_bytes(picture.read_bytes()[:400])
    mask = folder / "masks" / "1_run1_mask_00002.png"
    cv2.imwrite(str(mask), np.full((64, 64, 3), 255, np.uint8))
    frames = open_frames(folder)
    with pytest.raises(FrameError, match=r"1_run1cam1_00001\.jpeg: truncated"):
        frames.image(1)
    with pytest.raises(FrameError, match=r"00002\.png: each pixel must have one of"):
        frames.mask(2)
    bank = load_bank(all_frames([frames]), 64)
    assert bank.names == ("town/1_run1_00000", "town/1_run1_00003")
    assert len(bank.skipped) == 2


def test_split_by_run_and_its_refusals(tmp_path):
    sets = [open_frames(write_frames(tmp_path / run, 6, run=run)) for run in ("1_run1", "2_run1", "3_run1")]
    refs = all_frames(sets)
    training, choosing = split_by_run(refs, HeldOutRuns(frozenset({"2_run1"}), frozenset({"3_run1"})))
    assert {ref.run for ref in training} == {"1_run1"}
    assert {ref.run for ref in choosing} == {"2_run1"}
    refuse_leak(training, choosing)
    with pytest.raises(UserError, match="run 2_run1 is on both sides"):
        refuse_leak(refs, choosing)
    with pytest.raises(UserError, match="leaves no frame for choosing"):
        split_by_run(refs, HeldOutRuns(frozenset({"9_run9"}), frozenset({"3_run1"})))
    training, held_out = split_by_share(refs, 0.5)
    assert [ref.index for ref in held_out] == [3, 4, 5] * 3


def test_the_projects_split_file_is_read_and_others_refused(tmp_path):
    split = read_split(share_directory() / "config" / "split.yaml")
    assert "8_run5" in split.judging
    assert "9_run3" in split.choosing
    assert "8_run5" in split
    assert "6_run1" not in split
    path = tmp_path / "split.yaml"
    for text in ("runs: [a]", "choosing_runs: [a]", "choosing_runs: [a]\njudging_runs: b"):
        path.write_text(text)
        with pytest.raises(UserError, match="two keys, choosing_runs and judging_runs"):
            read_split(path)
    path.write_text("choosing_runs: [a, b]\njudging_runs: [b]")
    with pytest.raises(UserError, match="b cannot both choose and judge"):
        read_split(path)


def test_masks_are_resized_as_pillow_does_it_with_rounding_after_each_pass():
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[..., 0] = 1
    mask[0, 0] = (0, 0, 1)
    small = resize_mask(mask, 2, 2)
    assert set(np.unique(small)) <= {0, 1}
    assert resize_mask(mask, 4, 4) is mask
    assert resize_image(np.full((8, 8, 3), 7, np.uint8), 3, 5).tolist() == np.full((3, 5, 3), 7).tolist()
