"""fcn-follow enrol: a clip becomes an appearance file, and the user hears how much it is worth."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from command_line import fcn_follow, invoke
from drawn_frames import write_weights
from people import BLACK, BLUE, RED, WHITE, Person, scene

from fcn_follow.cli import enrol
from fcn_follow.inference.engine import Answer, EngineSpec
from fcn_follow.nodes.support.appearance_file import read_appearance
from fcn_follow.perception.selection import Selection


class EngineByGrass:
    """Whatever is not grass is a person."""

    spec, device_name = EngineSpec(), "test"

    def run(self, images: np.ndarray) -> Answer:
        return Answer((np.abs(images.astype(int) - (60, 110, 50)).max(axis=-1) > 40).astype(np.uint8))


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """Write two seconds of these people, who walk to the right, and return the arguments of the command."""
    monkeypatch.setattr(enrol, "choose_for", lambda *_, **__: SimpleNamespace(engine=EngineByGrass()))

    def write(*people: Person) -> list[str | Path]:
        (tmp_path / "clip" / "images").mkdir(parents=True)
        for index in range(36):  # a folder is played at 15 Hz
            walked = [(x + index, y, *clothes) for x, y, *clothes in people]
            image = scene(*walked, size=(128, 192), seed=index)[0]
            cv2.imwrite(str(tmp_path / "clip" / "images" / f"{index:05d}.png"), image[..., ::-1])
        weights = write_weights(tmp_path / "any.safetensors")
        return ["enrol", tmp_path / "clip", "--out", tmp_path / "out" / "hero.json", "--weights", weights]

    return write


def test_a_person_among_others_is_learnt_and_found_again(clip, tmp_path):
    out, _ = invoke(*clip((30, 100, RED, BLACK), (110, 110, BLUE, WHITE)), "--number", 1)
    assert "the user would be asked in 0" in out and "likeness of others in the clip: 0.0" in out
    assert "warning" not in out
    path = tmp_path / "out" / "hero.json"
    assert f"written: {path}; fly with: scripts/follow --hero {path}" in out.replace("\n", " ")
    picture = cv2.imread(str(path.with_suffix(".png")))
    assert picture.shape == (128, 192, 3)
    selection = Selection(read_appearance(path))
    people = ((40, 100, BLUE, WHITE), (140, 110, RED, BLACK))
    choices = [selection.choose(*scene(*people, size=(128, 192), seed=i), 0.1 * i, 30) for i in range(8)]
    assert np.nonzero(choices[-1].labels == 2)[1].mean() == pytest.approx(139.5)


def test_a_clip_with_a_twin_or_with_nobody_else_leaves_a_warning(clip, tmp_path):
    arguments = clip((30, 100, RED, BLACK), (110, 110, RED, BLACK))
    out, _ = invoke(*arguments, "--largest")
    assert "warning: others in the clip look like this person" in out
    for image in (tmp_path / "clip" / "images").iterdir():
        pixels = cv2.imread(str(image))
        pixels[:, 90:] = (50, 110, 60)
        cv2.imwrite(str(image), pixels)
    out, _ = invoke(*arguments, "--largest")
    assert "warning: nobody else is in the clip" in out


def test_who_it_is_must_be_said(clip, tmp_path):
    arguments = clip((30, 100, RED, BLACK), (110, 110, BLUE, WHITE))
    for more, reason in (
        ((), "shows the numbers: 1 at "),
        (("--number", 5), "nobody has the number 5 in "),
        (("--number", -1), "nobody has the number -1 in "),
    ):
        done = fcn_follow(*arguments, *more)
        said = " ".join(done.stderr.split())
        assert done.returncode == 1 and reason in said and "2 at " in said
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "hero.json").exists()


def test_a_clip_without_people_or_too_short_is_refused(clip, tmp_path):
    arguments = clip((30, 100, RED, BLACK))
    images = sorted((tmp_path / "clip" / "images").iterdir())
    for image in images[10:]:
        image.unlink()
    done = fcn_follow(*arguments, "--largest")
    assert done.returncode == 1 and "is not seen for long enough" in done.stderr
    for image in images[:10]:
        cv2.imwrite(str(image), np.full((128, 192, 3), (50, 110, 60), np.uint8))
    done = fcn_follow(*arguments, "--largest")
    assert done.returncode == 1 and "nobody is found in the first 2 s" in done.stderr
    done = fcn_follow("enrol", tmp_path / "none.mp4", "--out", tmp_path / "x.json", "--largest")
    assert done.returncode == 1 and "there is no such" in done.stderr
