"""Photographs of people: cut-outs and plates, what is refused, and frames composed of them."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest
from command_line import fcn_follow, invoke
from frame_folders import write_frames

from fcn_follow.classes import BACKGROUND, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.lab.data.compose import Composer, CompositionOptions, without_people
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.people_photos import PARTS, part_of, read_alone, read_photos
from fcn_follow.lab.data.split import all_frames
from fcn_follow.networks.registry import network_info
from fcn_follow.networks.summary import count_parameters
from fcn_follow.networks.weights import read_card
from fcn_follow.share import share_directory

HEIGHT, WIDTH = 90, 60
BOX = slice(10, 80), slice(22, 37)
NUMBERS = (2, 3, 4, 5, 6, 8, 12, 13, 18, 19, 21, 25)  # each is in config/people_photos.yaml


def photo_files(number, channel=1, mask_size=(HEIGHT, WIDTH), box=BOX):
    """The files of a photograph: a red person (mask channel of RGB) on blue paving."""
    image = np.full((HEIGHT, WIDTH, 3), (40, 60, 150), np.uint8)
    image[::8] = image[:, ::8] = (70, 90, 190)
    image[box] = (230, 20, 20)
    mask = np.zeros((*mask_size, 3), np.uint8)
    mask[..., 0] = 255
    mask[box] = 0
    mask[(*box, channel)] = 255
    return {
        f"people/images/photo_cam1_{number:05d}.png": cv2.imencode(".png", image[..., ::-1])[1].tobytes(),
        f"people/masks/photo_mask_{number:05d}.png": cv2.imencode(".png", mask[..., ::-1])[1].tobytes(),
    }


def write_zip(path, *files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {name: content for group in files for name, content in group.items()}.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def photos(tmp_path):
    return write_zip(tmp_path / "people.zip", *map(photo_files, NUMBERS))


@pytest.fixture
def people(photos):
    return read_photos(open_frames(photos), "train", frozenset(NUMBERS[:4]))[0]


def test_a_photograph_is_of_one_part_by_its_name_and_a_tenth_is_kept_back():
    parts = [part_of(f"photo_{number:05d}") for number in range(2000)]
    assert set(parts) == set(PARTS)
    assert 0.08 < parts.count("judge") / 2000 < 0.12
    assert 0.03 < parts.count("choose") / 2000 < 0.07
    assert [part_of(name) for name in ("photo_00001", "photo_00007", "photo_00027")] == ["train", "judge", "choose"]


def test_cutouts_hold_the_person_and_plates_nothing_of_it(people):
    for photo in people:
        colour, alpha = photo.cutout[..., :3], photo.cutout[..., 3]
        assert photo.cutout.shape[:2] == (70, 15)
        assert alpha[35, 7] == 255
        assert alpha[0, 0] < 100  # soft at its edge
        assert (colour <= alpha[..., None]).all()
        assert colour[35, 7].tolist() == [230, 20, 20]
        assert photo.plate.shape == photo.image.shape
        assert photo.plate[..., 0].max() <= 70  # no red is left
    assert [photo.alone for photo in people].count(True) == sum(
        part_of(f"photo_{n:05d}") == "train" for n in NUMBERS[:4]
    )


def test_a_person_without_room_beside_it_has_no_plate(tmp_path):
    wide = write_zip(tmp_path / "wide.zip", photo_files(2, box=(slice(5, 85), slice(4, 56))))
    assert read_photos(open_frames(wide), part_of("photo_00002"), frozenset())[0][0].plate is None


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (photo_files(2, mask_size=(HEIGHT, WIDTH - 1)), "mask of 59x90 pixels, but its image has 60x90"),
        (photo_files(2, channel=2), "no photograph of a person"),
        (photo_files(2, box=(slice(10, 12), slice(5, 9))), "no photograph of a person"),
        ({**photo_files(2), "people/images/photo_cam1_00002.png": b"\x89PNG\r\n\x1a\n junk"}, "photo_cam1_00002.png"),
    ],
)
def test_broken_photographs_are_skipped_by_name_and_nothing_else_is(tmp_path, broken, message):
    path = write_zip(tmp_path / "some.zip", broken, *map(photo_files, NUMBERS[1:]))
    photos, problems = read_photos(open_frames(path), part_of("photo_00002"), frozenset())
    assert len(photos) == sum(part_of(f"photo_{n:05d}") == part_of("photo_00002") for n in NUMBERS[1:])
    assert len(problems) == 1
    assert message in problems[0]
    alone = write_zip(tmp_path / "alone.zip", broken)
    with pytest.raises(UserError, match="no photograph for the part"):
        read_photos(open_frames(alone), part_of("photo_00002"), frozenset())


def test_sets_without_masks_or_without_the_part_are_refused(tmp_path, photos):
    images = write_zip(tmp_path / "images.zip", {"a/images/photo_cam1_00002.png": b""})
    with pytest.raises(UserError, match="has no masks/"):
        read_photos(open_frames(images), "train", frozenset())
    one = write_zip(tmp_path / "one.zip", photo_files(2))
    other = next(part for part in PARTS if part != part_of("photo_00002"))
    with pytest.raises(UserError, match="none of its 1 names belongs to this part"):
        read_photos(open_frames(one), other, frozenset())
    done = fcn_follow("compose-people", "--photos", photos, "--out", tmp_path / "out", "--part", "all")
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (
        1,
        "fcn-follow: part is all; it must be one of train, choose, judge",
    )


def test_the_projects_list_of_photographs_is_read_and_others_are_refused(tmp_path):
    assert set(NUMBERS) < read_alone(share_directory() / "config" / "people_photos.yaml")
    path = tmp_path / "alone.yaml"
    for text in ("alone: 3", "alone: [true]", "alone: ['3']", "others: [3]", "[3]", "alone: [3]\nmore: 1"):
        path.write_text(text)
        with pytest.raises(UserError, match="it must have one key, alone"):
            read_alone(path)


def test_frames_have_people_of_the_wanted_heights_and_depend_on_the_seed_alone(people):
    small, large = (
        Composer(CompositionOptions(1, min_height_px=low, max_height_px=high), people, ())
        for low, high in ((12, 20), (100, 200))
    )
    areas = []
    for composer in (small, large):
        frames = [composer.frame(np.random.default_rng(seed)) for seed in range(12)]
        for rgb, labels in frames:
            assert (rgb.shape, rgb.dtype) == ((256, 256, 3), np.uint8)
            assert set(np.unique(labels)) <= {BACKGROUND, OTHER_PEOPLE}
        areas.append(np.median([(labels == OTHER_PEOPLE).sum() for _, labels in frames]))
        again = composer.frame(np.random.default_rng(3))
        assert all(np.array_equal(*pair) for pair in zip(again, frames[3], strict=True))
    assert 0 < areas[0] < areas[1]


def test_where_people_are_labelled_the_frame_is_red_and_elsewhere_it_is_not(people):
    composer = Composer(CompositionOptions(1, min_height_px=60, max_height_px=150), people, ())
    inside, outside = [], []
    for seed in range(20):
        rgb, labels = composer.frame(np.random.default_rng(seed))
        excess = rgb[..., 0].astype(int) - rgb[..., 2]
        inside += [np.median(excess[labels == OTHER_PEOPLE])] if (labels == OTHER_PEOPLE).sum() > 200 else []
        outside.append(np.median(excess[labels == BACKGROUND]))
    assert len(inside) > 10
    assert min(inside) > 10 > max(outside)


def test_an_interrupted_composition_goes_on_to_the_same_bytes_and_other_options_are_refused(tmp_path, photos):
    command = ("compose-people", "--photos", photos, "--count", 3, "--seed", 4, "--height", "20-60", "--out")
    invoke(*command, tmp_path / "whole")
    invoke(*command, tmp_path / "part", "--count", 2)
    (tmp_path / "part" / "images" / "people_train_run_cam1_000001.jpeg").unlink()
    invoke(*command, tmp_path / "part")
    frames, again = (sorted(path for path in (tmp_path / name).rglob("*.*g")) for name in ("whole", "part"))
    assert [path.read_bytes() for path in frames] == [path.read_bytes() for path in again]
    assert {frame.run for frame in all_frames([open_frames(tmp_path / "part")])} == {"people_train_run"}
    for other in (("--seed", 5), ("--height", "20-61")):
        done = fcn_follow(*command, tmp_path / "part", *other)
        assert done.returncode == 1
        assert "does not hold an earlier part of this run" in done.stderr


def test_backgrounds_are_frames_without_people_of_the_runs_of_the_part(tmp_path, photos):
    frames = write_frames(tmp_path / "frames", count=6, run="8_run5", hero_heights=(8,))
    mask = tmp_path / "frames" / "masks" / "8_run5_mask_00002.png"
    cv2.imwrite(str(mask), np.full((64, 64, 3), (0, 0, 255), np.uint8))
    assert [ref.index for ref in without_people(all_frames([open_frames(frames)]))] == [2]
    command = ("compose-people", "--photos", photos, "--count", 1, "--background", frames, "--out", tmp_path / "out")
    done = fcn_follow(*command)  # 8_run5 judges
    assert done.returncode == 1
    assert "none of its 0 frames of the part train is without people" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--height", "tall"), "give MIN-MAX in pixels"),
        (("--height", "100-50"), "heights are 100 to 50 px; they must be 4 px"),
        (("--height", "12-300"), "heights are 12 to 300 px; they must be 4 px"),
        (("--count", 0), "count is 0"),
        (("--photos", "nowhere.zip"), "there is no such folder or zip"),
    ],
)
def test_options_that_are_refused(tmp_path, photos, options, message):
    done = fcn_follow("compose-people", "--photos", photos, "--out", tmp_path / "out", *options)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]


def test_photographs_that_all_show_bystanders_need_another_background(photos):
    people, _ = read_photos(open_frames(photos), "train", frozenset())
    with pytest.raises(UserError, match="there is no background"):
        Composer(CompositionOptions(1), people, ())


def test_the_card_of_the_shipped_weights_says_what_for_and_of_whose_photographs():
    card = read_card(share_directory() / "weights" / "people_net.safetensors")
    assert (card.network, card.input_height_px, card.input_width_px) == ("hero_net", 160, 160)
    assert count_parameters(network_info(card.network).outline()).total <= 160_000
    for words in ("within 10 m in daylight", "not for night", "hand on the mode switch", "rights of the photographs"):
        assert words in card.notes
    assert card.scores["near_iou"] >= 0.85
