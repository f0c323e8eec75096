"""Pets: the public layout read and refused, the figures of source 004, and a training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from augmented import augment
from command_line import fcn_follow
from PIL import Image

from fcn_follow.errors import UserError
from fcn_follow.lab.data.augment import AugmentParameters
from fcn_follow.lab.data.pets import BACKGROUND, BORDER, CLASSES, LISTS, PET, load_pets, read_list
from fcn_follow.lab.scoring.trimaps import trimap_figures
from fcn_follow.lab.training.recipe import read_recipe
from fcn_follow.networks.weights import load_weights
from fcn_follow.share import share_directory

COLOURS = np.array([[200, 40, 40], [40, 160, 60], [60, 60, 200]], np.uint8)  # of pet, background, border


def write_pet(folder: Path, name: str, height_px: int = 40, width_px: int = 60, suffix: str = "JPEG") -> np.ndarray:
    """A round pet with a border, its picture and trimap in the public layout; the trimap."""
    rows, columns = np.mgrid[:height_px, :width_px]
    radius = np.hypot(rows - height_px / 2, columns - width_px / 2) / (height_px / 2)
    trimap = np.where(radius < 0.5, 1, np.where(radius < 0.7, 3, 2)).astype(np.uint8)
    for part in ("images", "annotations/trimaps"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(COLOURS[trimap - 1]).save(folder / "images" / f"{name}.jpg", suffix)
    Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{name}.png")
    return trimap


def write_lists(folder: Path, learning: list[str], judging: list[str]) -> None:
    for name, names in zip(LISTS, (learning, judging), strict=True):
        lines = ["# name breed species number", *(f"{pet} 1 1 1" for pet in names)]
        (folder / "annotations" / name).write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    names = [f"Maine_Coon_{i}" for i in range(6)]
    for name in names:
        write_pet(tmp_path, name)
    write_lists(tmp_path, names[:4], names[4:])
    return tmp_path


def test_pictures_and_trimaps_of_the_lists_in_their_order(folder):
    assert read_list(folder, "trainval.txt") == [f"Maine_Coon_{i}" for i in range(4)]
    trimap = write_pet(folder, "Maine_Coon_1", 64, 96, "GIF")  # as some of the published ones are
    bank = load_pets(folder, ["Maine_Coon_0", "Maine_Coon_1"], 32)
    assert bank.images.shape == (2, 32, 32, 3)
    rows, columns = (np.arange(32) * size // 32 for size in trimap.shape)
    assert np.array_equal(bank.labels[1], trimap[rows][:, columns] - 1)  # nearest: no class between two
    assert bank.labels[1, 16, 16] == PET
    assert bank.labels[1, 0, 0] == BACKGROUND
    assert set(np.unique(bank.labels)) == {PET, BACKGROUND, BORDER}
    assert np.abs(bank.images[1, 16, 16].astype(int) - COLOURS[PET]).max() < 20


def test_lists_and_pictures_that_are_refused(folder):
    def refused(message: str) -> None:
        with pytest.raises(UserError, match=message):
            load_pets(folder, read_list(folder, "test.txt"), 32)

    trimap = folder / "annotations" / "trimaps" / "Maine_Coon_5.png"
    values = np.array(Image.open(trimap))
    values[3, 4] = 4
    Image.fromarray(values).save(trimap)
    refused("Maine_Coon_5.png: has a pixel of 4; a trimap has 1 pet, 2 background, 3 border")
    values[3, 4] = 0
    Image.fromarray(values).save(trimap)
    refused("Maine_Coon_5.png: has a pixel of 0")
    Image.fromarray(values[1:]).save(trimap)
    refused("Maine_Coon_5.png: has another size than its picture .60x39 and 60x40")
    Image.fromarray(COLOURS[values % 3]).save(trimap)
    refused("Maine_Coon_5.png: not a trimap of one byte per pixel, but RGB")
    Image.fromarray(values).save(trimap)
    trimap.write_bytes(trimap.read_bytes()[:60])
    refused("Maine_Coon_5.png: not a picture, or a damaged one")
    trimap.unlink()
    refused("test.txt, line 3: .*Maine_Coon_5.png is missing")
    (folder / "images" / "Maine_Coon_4.jpg").unlink()
    refused("test.txt, line 2: .*Maine_Coon_4.jpg is missing")
    for text, message in (
        ("../../secret 1 1 1", "test.txt, line 1: '../../secret' is not a picture's name"),
        ("Maine_Coon_1\n\nMaine_Coon_1", "test.txt, line 3: Maine_Coon_1 is already in line 1"),
        ("# nothing\n", "test.txt: names no picture"),
    ):
        (folder / "annotations" / "test.txt").write_text(text)
        refused(message)
    (folder / "annotations" / "test.txt").unlink()
    refused("test.txt: cannot be read as a list of pictures")


def test_the_figures_by_hand():
    labels = torch.tensor([[[0, 0, 1, 1], [2, 2, 1, 1]]])
    answer = torch.tensor([[[0, 1, 1, 0], [2, 0, 1, 1]]])
    sure = torch.nn.functional.one_hot(answer, 3).permute(0, 3, 1, 2).float()
    figures = trimap_figures([(sure, labels)])
    assert figures.pixel_accuracy == pytest.approx(5 / 8)
    assert figures.iou_without_background == pytest.approx((1 + 1) / (3 + 2))  # the pixel of true background is out
    assert figures.soft_iou == pytest.approx(5 / 11, abs=1e-3)
    unsure = torch.full_like(sure, 1 / 3)
    assert trimap_figures([(unsure, labels)]).soft_iou == pytest.approx((8 / 3) / (8 + 8 - 8 / 3), abs=1e-3)
    both = trimap_figures([(sure, labels), (unsure, labels)])
    assert both.soft_iou == pytest.approx((5 / 11 + 1 / 5) / 2, abs=1e-3)


def test_contrast_keeps_the_mean_and_changes_each_frame_by_at_most_its_share():
    images = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3
    masks = torch.ones_like(images)
    changed, _ = augment(images, masks, 8, AugmentParameters(contrast=0.3), torch.Generator().manual_seed(2))
    factors = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.7 <= factors.min() < 0.78 and 1.22 < factors.max() <= 1.3
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert torch.allclose((changed * luma).sum(1).mean((1, 2)), (images * luma).sum(1).mean((1, 2)), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "rate", "schedule", "epochs"),
    [("segnet", 0.001, ("step", 7, 0.7), 20), ("segnet_separable", 0.001, ("constant",), 20),
     ("vit_segmenter", 0.0004, ("step", 12, 0.8), 50)],
)  # fmt: skip
def test_the_recipes_are_source_004s(name, rate, schedule, epochs):
    recipe = read_recipe(share_directory() / "config" / "recipes" / f"{name}.yaml")
    assert (recipe.network, recipe.learning_rate, recipe.epochs) == (name, rate, epochs)
    assert (recipe.schedule, recipe.step_epochs, recipe.step_factor)[: len(schedule)] == schedule
    assert (recipe.input_px, recipe.frame_px, recipe.batch_size, recipe.loss) == (128, 128, 64, "cross_entropy")
    assert recipe.augment == AugmentParameters(flip=0.5, contrast=0.3)


@pytest.mark.slow
def test_a_training_on_pets_learns_and_prints_the_figures(folder, tmp_path):
    out = tmp_path / "pets.safetensors"
    command = ["train", "--data", f"pets:{folder}", "--recipe", "segnet_separable", "--out", str(out),
               "--tensorboard", str(tmp_path / "board")]  # fmt: skip
    for small in ("input_px=32", "frame_px=32", "batch_size=4", "epochs=5", "steps_per_epoch=12"):
        command += ["--set", small]
    done = fcn_follow(*command)
    assert done.returncode == 0, done.stderr
    card = load_weights(out, CLASSES).card
    assert set(card.scores) == {"pixel_accuracy", "iou_without_background", "soft_iou"}
    assert card.scores["pixel_accuracy"] > 0.8  # 0.74 is background
    assert card.data == "trained on 4 pets of trainval.txt; judged on 2 of test.txt"
    last = " ".join(done.stderr.split()).rpartition("best after epoch")[2]
    for name, value in card.scores.items():
        assert f"{name.replace('_', ' ')} {value:.4f}" in last
    history = json.loads(out.with_suffix(".training.json").read_text())["history"]
    assert len(history) == 5 and history[-1]["figures"].keys() == card.scores.keys()
    assert fcn_follow(*command, "--resume", "--start-from", str(out)).returncode == 0

    flown = fcn_follow("score", "--weights", str(out), "--data", str(folder))
    assert flown.returncode == 1
    assert "names the classes pet, background, border; they must be background, other people, hero" in flown.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "other"], "cannot be combined with other data"),
        (["--held-out-share", "0.1"], "do not work with pets"),
        (["--network", "mask_depth_separable"], "has a depth head, and pictures of pets have no depth"),
    ],
)
def test_what_pets_are_not_trained_with(folder, more, message):
    out = folder / "x.safetensors"
    done = fcn_follow("train", "--data", f"pets:{folder}", "--recipe", "segnet_separable", "--out", str(out), *more)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
