"""fcn-follow enrol: a clip becomes an appearance file, and the user hears how much it is worth."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from command_line import fcn_follow, invoke
from drawn_frames import write_weights
from made_weights import write_depth_weights
from people import BLACK, BLUE, RED, WHITE, Person, scene
from stopped_training import stopped_after_a_checkpoint

from fcn_follow.cli import enrol, own_person
from fcn_follow.inference.engine import Answer, EngineSpec
from fcn_follow.lab.training.checkpoint import load_checkpoint
from fcn_follow.lab.training.trainer import Trainer
from fcn_follow.networks.weights import load_weights
from fcn_follow.nodes.support.appearance_file import read_appearance
from fcn_follow.perception.selection import Selection


class EngineByGrass:
    """Whatever is not grass is a person."""

    spec, device_name = EngineSpec(), "test"

    def run(self, images: np.ndarray) -> Answer:
        return Answer((np.abs(images.astype(int) - (60, 110, 50)).max(axis=-1) > 40).astype(np.uint8))


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """Write some seconds of these people, who walk to the right, and return the arguments of the command."""
    monkeypatch.setattr(enrol, "choose_for", lambda *_, **__: SimpleNamespace(engine=EngineByGrass()))

    def write(*people: Person, frames: int = 36, speed: float = 1.0) -> list[str | Path]:
        (tmp_path / "clip" / "images").mkdir(parents=True)
        for index in range(frames):  # a folder is played at 15 Hz
            walked = [(x + speed * index, y, *clothes) for x, y, *clothes in people]
            image = scene(*walked, size=(128, 192), seed=index)[0]
            cv2.imwrite(str(tmp_path / "clip" / "images" / f"{index:05d}.png"), image[..., ::-1])
        weights = write_weights(tmp_path / "any.safetensors")
        return ["enrol", tmp_path / "clip", "--out", tmp_path / "out" / "hero.json", "--weights", weights]

    return write


def test_a_person_among_others_is_learnt_and_found_again(clip, tmp_path):
    out, _ = invoke(*clip((30, 100, RED, BLACK), (110, 110, BLUE, WHITE)), "--number", 1)
    assert "the drone would ask in 0 of them" in out and "likeness of others in the clip: 0.0" in out
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


def test_nothing_else_is_overwritten_by_the_appearance_file(clip, tmp_path):
    arguments = [*clip((30, 100, RED, BLACK), (110, 110, BLUE, WHITE)), "--largest"]
    weights = tmp_path / "any.safetensors"
    before = weights.read_bytes()
    for name in ("a", "b", "c", "d"):
        suffix = {"a": ".json", "b": ".png", "c": ".safetensors", "d": ".checkpoint"}[name]
        (tmp_path / f"{name}{suffix}").mkdir()
    for out, more, reason in (
        (weights, (), "must end in .json"),
        (tmp_path / "walk.avi", (), "must end in .json"),
        (".", (), "must end in .json"),
        ("", (), "must end in .json"),
        ("/", (), "must end in .json"),
        (tmp_path / "a.json", (), "is not a file"),
        (tmp_path / "b.json", (), "is not a file"),
        (tmp_path / "c.json", ("--finetune",), "is not a file"),
        (tmp_path / "d.json", ("--finetune",), "is not a file"),
    ):
        done = fcn_follow(*arguments, "--out", out, *more)
        said = " ".join(done.stderr.split())
        assert done.returncode == 1 and reason in said and "Traceback" not in said, (out, said)
    assert weights.read_bytes() == before and not list(tmp_path.glob("*.png/*"))


def test_without_standard_input_who_it_is_must_be_an_option(clip, monkeypatch):
    monkeypatch.setattr(enrol.sys, "stdin", None)
    done = fcn_follow(*clip((30, 100, RED, BLACK), (110, 110, BLUE, WHITE)))
    assert done.returncode == 1 and "give --number or --largest" in done.stderr


class Seen(Trainer):
    """The trainer, which keeps the last one."""

    last: Seen

    def __post_init__(self) -> None:
        super().__post_init__()
        Seen.last = self


@pytest.fixture
def small(monkeypatch):
    """A training of a few steps, with few frames of the simulator."""

    def small_parameters(*arguments):
        parameters = own_parameters(*arguments)
        return dataclasses.replace(parameters, epochs=2, steps_per_epoch=2, batch_size=4, input_px=32)

    own_parameters = own_person.own_parameters
    monkeypatch.setattr(own_person, "own_parameters", small_parameters)
    monkeypatch.setattr(own_person, "OTHERS_TRAINING", 4)
    monkeypatch.setattr(own_person, "OTHERS_CHOOSING", 2)
    monkeypatch.setattr(own_person, "Trainer", Seen)


TWO = ((30, 100, RED, BLACK), (80, 110, BLUE, WHITE))


def test_weights_are_trained_whose_hero_is_the_person(clip, small, tmp_path):
    arguments = [*clip(*TWO, frames=150, speed=0.5), "--number", 1, "--finetune"]
    out, _ = invoke(*arguments)
    path = tmp_path / "out" / "hero.safetensors"
    card = load_weights(path).card
    assert (card.network, card.input_height_px, card.input_width_px) == ("hero_net", 64, 96)
    assert "one person" in card.data and "Started from any.safetensors" in card.data
    assert card.command.startswith("fcn-follow enrol ") and "clip_person_found" in card.scores
    assert "16 frames seen" in out and "which are no truth" in out and f"scripts/follow --weights {path}" in out
    assert "others taken for the person" in out and "warning: other people are found less well than by any" in out
    assert "other people are found less well than by any.safetensors" in card.notes

    bank = Seen.last.bank
    times = np.array([float(name.split("/")[1]) for name in bank.names if name.startswith("clip/")])
    judged = [float(frame.name.removesuffix(" s")) for frame in Seen.last.held_out if frame.name[0] != "0"]
    assert len(times) > 100 and times.max() < min(judged) - 0.49
    assert max(judged) < 8.16 - 0.49, "the last fifth of 1.1 to 9.9 s is in no training, and chooses nothing"
    heroes = np.array([bool((labels == 2).any()) for labels in bank.labels])
    assert heroes[: len(times)].sum() == len(times) / 2, "half of them are doubles"
    assert not heroes[len(times) :].any() and (bank.labels[len(times) :] == 1).any(), "the simulator's hero is another"
    for image, labels in zip(bank.images[heroes], bank.labels[heroes], strict=True):
        assert image[labels == 2].mean(axis=0).argmax() == 0, "the one in red"


@pytest.mark.parametrize("left", ["hero.safetensors", "hero.checkpoint"])
def test_an_earlier_training_is_not_overwritten(clip, small, tmp_path, left):
    arguments = [*clip(*TWO, frames=150, speed=0.5), "--number", 1, "--finetune"]
    path = tmp_path / "out" / left
    path.parent.mkdir()
    path.write_bytes(b"the work of a night")
    done = fcn_follow(*arguments)
    said = " ".join(done.stderr.split())
    advice = "--resume continues its training" if "checkpoint" in left else "move it away or choose another name"
    assert done.returncode == 1 and f"{left}: is there already; {advice}" in said
    assert path.read_bytes() == b"the work of a night" and not path.with_name("hero.json").exists()


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(clip, small, tmp_path):
    arguments = [*clip(*TWO, frames=150, speed=0.5), "--number", 1, "--finetune"]
    invoke(*arguments)
    path = tmp_path / "out" / "hero.checkpoint"
    whole = load_checkpoint(path)
    path.unlink()
    path.with_suffix(".safetensors").unlink()
    with stopped_after_a_checkpoint():
        out, errors = invoke(*arguments)
    assert "stopped" in errors and "8 frames seen" in out and f"written: {path.with_suffix('.safetensors')}" in out
    images = tmp_path / "clip" / "images"
    first = images.with_name("first")
    images.rename(first)
    images.mkdir()
    for image in first.iterdir():  # another clip of as many frames: the picture is brighter
        cv2.imwrite(str(images / image.name), cv2.add(cv2.imread(str(image)), np.full((128, 192, 3), 3, np.uint8)))
    done = fcn_follow(*arguments, "--resume")
    assert done.returncode == 1 and "made with other frames; resume with the same" in " ".join(done.stderr.split())
    shutil.rmtree(images)
    first.rename(images)
    out, _ = invoke(*arguments, "--resume")
    again = load_checkpoint(path)
    assert "16 frames seen" in out and len(again.notes["history"]) == 2
    assert all(torch.equal(tensor, again.tensors[name]) for name, tensor in whole.tensors.items())


def test_what_cannot_be_trained_is_refused_in_a_line(clip, small, tmp_path):
    arguments = [*clip(*TWO), "--number", 1]
    depth = write_depth_weights(tmp_path / "depth.safetensors", 5.0)
    for more, reason in (
        (("--finetune",), "the person is recognised for certain in 21 frames, within 1.3 s"),
        (("--finetune", "--out", tmp_path / "any.json"), "the weights would overwrite"),
        (("--finetune", "--out", tmp_path / "x.safetensors"), "an appearance file must end in .json"),
        (("--finetune", "--weights", depth), "without a depth head"),
        (("--resume",), "--resume continues a training: give --finetune"),
    ):
        done = fcn_follow(*arguments, *more)
        said = " ".join(done.stderr.split())
        assert done.returncode == 1 and reason in said and "Traceback" not in said
    assert not list(tmp_path.glob("**/hero.safetensors"))
