"""Synthetic frames: real folders, decoded again; the same bytes however the run came to its end."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_follow.errors import UserError
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.simulation.outfits import HERO
from fcn_follow.simulation.people import ON_FOOT
from fcn_follow.simulation.random_scene import SceneRequest, draw_scene
from fcn_follow.simulation.synthesize import SynthesisOptions, synthesize
from fcn_follow.simulation.town import GroundHeight, town_of

OPTIONS = SynthesisOptions(count=6, width_px=96, height_px=64, seed=5, no_hero_share=0.3, far_share=0.3)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("frames") / "made"
    assert list(synthesize(OPTIONS, out)) == [0, 1, 2, 3, 4, 5, 6]
    return out


def test_frames_are_read_by_the_projects_own_loader(made):
    frames = open_frames(made)
    assert len(frames) == 6


def test_masks_depth_and_listing_agree(made):
    lines = [json.loads(line) for line in (made / "frames.jsonl").read_text().splitlines()]
    images, masks, depths = (sorted((made / name).iterdir()) for name in ("images", "masks", "depth"))
    assert len(lines) == len(images) == len(masks) == len(depths) == 6
    for line, image_path, mask_path, depth_path in zip(lines, images, masks, depths, strict=True):
        image = cv2.imread(str(image_path))
        mask = cv2.imread(str(mask_path))[..., ::-1]
        depth_mm = cv2.imread(str(depth_path), cv2.IMREAD_UNCHANGED)
        assert image.shape == mask.shape == (64, 96, 3)
        assert depth_mm.shape == (64, 96) and depth_mm.dtype == np.uint16
        assert (mask.astype(int).sum(-1) == 255).all()
        assert set(np.unique(mask)) <= {0, 255}
        hero = mask[..., 2] == 255
        assert hero.sum() == line["hero_px"] and (mask[..., 1] == 255).sum() == line["other_people_px"]
        assert (line["kind"] == "none") == (not hero.any())
        assert image.std() > 3
        if hero.sum() > 3:
            assert 1000 < np.median(depth_mm[hero]) < 60000


def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(made, tmp_path):
    out = tmp_path / "again"
    running = synthesize(OPTIONS, out)
    assert [next(running) for _ in range(4)] == [0, 1, 2, 3]
    running.close()
    (out / "frames.jsonl").open("a").write('{"frame": 3, "cut o')
    assert list(synthesize(OPTIONS, out)) == [3, 4, 5, 6]
    assert digests(out) == digests(made)


def test_two_processes_write_the_same_bytes(made, tmp_path):
    list(synthesize(OPTIONS, tmp_path / "two", on="2"))
    assert digests(tmp_path / "two") == digests(made)


def test_the_heros_clothes_are_options(tmp_path):
    def redness(clothes: dict[str, str], out: Path) -> float:
        options = SynthesisOptions(
            count=3, width_px=96, height_px=96, seed=1, no_hero_share=0, far_share=0, clothes=clothes
        )
        list(synthesize(options, out))
        images, masks = (sorted((out / name).iterdir()) for name in ("images", "masks"))
        pixels = np.concatenate(
            [cv2.imread(str(i))[cv2.imread(str(m))[..., 0] > 0] for i, m in zip(images, masks, strict=True)]
        )
        return float((pixels[:, 2].astype(float) - pixels[:, 0]).mean())

    blue = {"top": "#1040c0", "hair": "blond", "bottom": "navy"}
    assert redness({}, tmp_path / "red") > 25
    assert redness(blue, tmp_path / "blue") < 5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"count": 0}, "at least 1"),
        ({"width_px": 8}, "32 to 4096"),
        ({"far_share": 1.5}, "it must be 0 to 1"),
        ({"clothes": {"top": "reddish"}}, "'reddish' is not a colour"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_impossible_options_are_refused(changes, expected):
    with pytest.raises(UserError, match=expected):
        SynthesisOptions(**changes)


def test_heroes_behind_low_walls_have_something_nearer_below_them(tmp_path):
    options = SynthesisOptions(12, 160, 120, seed=3, no_hero_share=0.0, far_share=0.0, behind_wall_share=1.0)
    list(synthesize(options, tmp_path / "walls"))
    hidden = 0
    masks, depths = (sorted((tmp_path / "walls" / name).iterdir()) for name in ("masks", "depth"))
    for mask_file, depth_file in zip(masks, depths, strict=True):
        hero = cv2.imread(str(mask_file))[..., 0] > 127
        depth_mm = cv2.imread(str(depth_file), cv2.IMREAD_UNCHANGED)
        rows, columns = np.nonzero(hero)
        if len(rows) and rows.max() < 119:
            foot = np.argmax(rows)
            below_mm = int(depth_mm[rows[foot] + 1, columns[foot]])
            hidden += below_mm < np.median(depth_mm[hero]) - 200
    assert hidden >= 6


def test_a_seated_hero_is_staged_so():
    town = town_of(3)
    for seed in range(5):
        wanted = SceneRequest(64, 64, hero=True, far=False, seated=True)
        hero, *others = draw_scene(np.random.default_rng(seed), town, GroundHeight(town), HERO, wanted).people
        assert hero.pose >= len(ON_FOOT) and all(other.pose < len(ON_FOOT) for other in others)


def test_a_folder_with_other_files_is_refused_and_left_alone(made, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        list(synthesize(OPTIONS, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match="other options"):
        list(synthesize(SynthesisOptions(count=7), made))
    with pytest.raises(UserError, match="is a file"):
        list(synthesize(OPTIONS, tmp_path / "notes.txt"))
