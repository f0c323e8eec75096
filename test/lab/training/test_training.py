"""Losses against their formulas, augmentation that moves image and mask as one, `fcn-follow train`."""

import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from augmented import augment
from command_line import fcn_follow, invoke, process
from frame_folders import marked_squares, write_frames
from ros_tools import ROOT
from safetensors.torch import load_file
from stopped_training import stopped_after_a_checkpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fcn_follow.cli.training import empty_classes
from fcn_follow.errors import UserError
from fcn_follow.lab.data.augment import AugmentParameters, to_tensors
from fcn_follow.lab.data.bank import load_bank
from fcn_follow.lab.data.frames import open_frames
from fcn_follow.lab.data.split import all_frames
from fcn_follow.lab.scoring.evaluation import judge_labels, labelled_frames, summarise
from fcn_follow.lab.scoring.follow_me import Kind
from fcn_follow.lab.training import trainer as trainer_module
from fcn_follow.lab.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fcn_follow.lab.training.judgement import HERO, PEOPLE, quality
from fcn_follow.lab.training.losses import parse_loss
from fcn_follow.lab.training.lr_finder import range_test
from fcn_follow.lab.training.recipe import TrainingParameters, read_recipe
from fcn_follow.lab.training.sampling import ALWAYS, epoch_indices, frame_weights, highest_false_hero
from fcn_follow.lab.training.schedule import learning_rate
from fcn_follow.lab.training.team import Team
from fcn_follow.lab.training.tensorboard_log import TensorBoardLog
from fcn_follow.lab.training.trainer import Trainer
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import LoadedWeights, ModelCard, load_weights
from fcn_follow.share import share_directory

ONES = torch.ones(3)


def logits_and_targets():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 8, 8))
    return torch.randn(2, 3, 8, 8), torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float(), labels


def test_cross_entropy_is_torchs_also_with_class_weights():
    logits, targets, labels = logits_and_targets()
    weights = torch.tensor([1.0, 2.0, 4.0])
    expected = torch.nn.functional.cross_entropy(logits, labels, weights)
    assert parse_loss("cross_entropy", weights)(logits, targets).item() == pytest.approx(expected.item(), rel=1e-5)


def test_hero_presence_sees_a_false_alarm_of_four_pixels_and_a_hero_that_is_nowhere_found():
    loss = parse_loss("hero_presence", ONES)
    targets = torch.zeros(1, 3, 32, 32)
    targets[:, 0] = 1.0
    calm = torch.zeros(1, 3, 32, 32)
    calm[:, 0] = 8.0
    alarm = calm.clone()
    alarm[:, 2, 4:6, 4:6] = 12.0
    p = torch.softmax(alarm[0, :, 4, 4], 0)[2]
    assert loss(calm, targets).item() < 0.01
    assert loss(alarm, targets).item() == pytest.approx(-torch.log(1 - p).item(), rel=1e-4)
    with_hero = targets.clone()
    with_hero[:, :, 20:26, 20:26] = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    assert loss(calm, with_hero).item() > 7.9  # nothing is seen where the hero is
    found = calm.clone()
    found[:, 2, 20:23, 20:23] = 16.0  # a part of the hero is enough
    assert loss(found, with_hero).item() < 0.01
    beside = found.clone()
    beside[:, 2, 18:20, 20:26] = 16.0  # its edge may be drawn either way
    assert loss(beside, with_hero).item() < 0.01


def test_l1_and_l2_means_and_sums():
    logits, targets, _ = logits_and_targets()
    difference = torch.softmax(logits, 1) - targets
    for spec, expected in (
        ("l1", difference.abs().mean()),
        ("l1_sum", difference.abs().sum() / 2),
        ("l2", difference.square().mean()),
        ("l2_sum", difference.square().sum() / 2),
        ("l1 + 0.5 l2_sum", difference.abs().mean() + difference.square().sum() / 4),
    ):
        assert parse_loss(spec, ONES)(logits, targets).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("spec", ["dice", "hero_jaccard", "lovasz", "focal", "cross_entropy"])
def test_losses_vanish_for_a_perfect_answer_and_fall_towards_it(spec):
    logits, targets, _ = logits_and_targets()
    loss = parse_loss(spec, ONES)
    steps = [loss(targets * scale + logits * (1 - scale / 30), targets).item() for scale in (0.0, 3.0, 30.0)]
    assert steps[0] > steps[1] > steps[2]
    assert steps[2] == pytest.approx(0.0, abs=1e-3)


def test_unknown_losses_are_refused_by_name():
    with pytest.raises(UserError, match="'crossentropy' is not known; known are cross_entropy"):
        parse_loss("crossentropy + dice", ONES)


ALL = AugmentParameters(
    flip=0.5,
    warp=0.6,
    paste_hero=0.3,
    paste_people=0.3,
    recolour_people=0.5,
    mosaic=1.0,
    colour=1,
    blur=1,
    noise=1,
    jpeg=1,
)


def test_image_and_mask_move_together():
    moving = AugmentParameters(flip=0.5, warp=1.0, paste_hero=0.5, mosaic=1.0)
    images, masks = augment(*to_tensors(*marked_squares()), 48, moving, torch.Generator().manual_seed(5))
    red = (images[:, 0] - images[:, 1]).clamp(min=0)
    assert red.sum() > 50
    assert (red - masks[:, 2]).abs().mean() < 0.003


def test_augmentation_keeps_masks_whole_and_repeats_by_seed():
    first = augment(*to_tensors(*marked_squares()), 48, ALL, torch.Generator().manual_seed(5))
    again = augment(*to_tensors(*marked_squares()), 48, ALL, torch.Generator().manual_seed(5))
    other = augment(*to_tensors(*marked_squares()), 48, ALL, torch.Generator().manual_seed(6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert torch.allclose(first[1].sum(1), torch.ones(8, 48, 48), atol=1e-4)
    assert first[0].min() >= 0
    assert first[0].max() <= 1


def test_a_crop_shows_the_hero_or_else_another_person():
    """A person of 4 x 4 of 64 x 64 pixels at a random place is seldom in a crop that is not aimed."""
    masks = torch.zeros(40, 3, 64, 64)
    for index, (x, y) in enumerate(torch.randint(4, 56, (40, 2), generator=torch.Generator().manual_seed(3)).tolist()):
        masks[index, 1 + index % 2, y : y + 4, x : x + 4] = 1.0
    masks[:, 0] = 1.0 - masks[:, 1:].sum(1)
    shown = {}
    for share in (0.0, 1.0):
        crops = AugmentParameters(warp=1.0, turn_deg=0.0, zoom_out=1.0, zoom_in=8.0, at_people=share)
        _, moved = augment(torch.rand(40, 3, 64, 64), masks, 32, crops, torch.Generator().manual_seed(5))
        shown[share] = (moved[:, 1:].sum(1).amax((1, 2)) > 0.5).float().mean().item()
    assert shown[0.0] < 0.6
    assert shown[1.0] > 0.95


def test_no_augmentation_changes_nothing():
    images, masks = to_tensors(*marked_squares())
    same = augment(images, masks, 64, AugmentParameters(), torch.Generator().manual_seed(1))
    assert torch.equal(same[0], images)
    assert torch.equal(same[1], masks)


def test_schedules():
    def rates(**changes):
        parameters = TrainingParameters(epochs=20, learning_rate=1.0, **changes)
        return [learning_rate(parameters, step, 10) for step in range(200)]

    assert set(rates(schedule="constant")) == {1.0}
    steps = rates(schedule="step", step_epochs=7, step_factor=0.7)
    assert steps[69] == 1.0
    assert steps[70] == pytest.approx(0.7)
    assert steps[140] == pytest.approx(0.49)
    cosine, cycle = rates(schedule="cosine"), rates(schedule="one_cycle")
    assert max(cosine) == pytest.approx(1.0, rel=0.01)
    assert cosine[-1] < 0.001
    assert cycle[0] == pytest.approx(1 / 25)
    assert cycle[60] == pytest.approx(1.0)
    assert cycle[-1] < 0.001


def test_balanced_sampling_draws_heroes_of_every_size(tmp_path):
    frames = open_frames(write_frames(tmp_path / "town", 40, hero_heights=(0, 0, 0, 0, 0, 0, 0, 0, 6, 40)))
    bank = load_bank(all_frames([frames]), 64)
    parameters = TrainingParameters(sampling="balanced", without_hero=0.2)
    drawn = epoch_indices(frame_weights(bank, parameters), 5000, "balanced", torch.Generator().manual_seed(1))
    hero = bank.hero_px[drawn.numpy()]
    assert np.mean(hero == 0) == pytest.approx(0.2, abs=0.03)
    assert np.mean((hero > 0) & (hero < 31)) == pytest.approx(0.4, abs=0.03)
    natural = epoch_indices(torch.ones(40), 40, "natural", torch.Generator().manual_seed(1))
    assert sorted(natural.tolist()) == list(range(40))


def test_every_recipe_of_the_project_is_read():
    recipes = sorted((share_directory() / "config" / "recipes").glob("*.yaml"))
    assert {"fcn_000", "fcn_001", "fcn_002", "hero_net", "hero_net_hd"} <= {path.stem for path in recipes}
    for path in recipes:
        assert read_recipe(path).network


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epohs: 3", "unknown parameter epohs; did you mean epochs"),
        ("epochs: 0", "epochs: 0 is not allowed; it must be 1 to"),
        ("augment: {flip: 2.0}", "augment.flip: 2.0 is not allowed; it must be 0 to 1"),
        ("- a", "'name: value' lines"),
        ("a: [", "cannot be read as a recipe"),
    ],
)
def test_recipes_that_are_refused(tmp_path, text, message):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_recipe(path)


@pytest.fixture
def data(tmp_path):
    write_frames(tmp_path / "a", 12, run="1_run1")
    write_frames(tmp_path / "b", 6, run="9_run3", seed=1)
    return tmp_path


def command(data, out, *more):
    settings = ("epochs=3", "batch_size=4", "input_px=16", "frame_px=64", "steps_per_epoch=3", "workers=1")
    arguments = [
        "train",
        "--data",
        data / "a",
        "--data",
        data / "b",
        "--out",
        out,
        "--recipe",
        "fcn_001",
        "--device",
        "cpu",
    ]
    arguments += [item for setting in settings for item in ("--set", setting)]
    return [*arguments, *more]


def test_a_training_repeats_by_seed_and_resumes_to_the_same_weights(data):
    whole, again = data / "whole.safetensors", data / "again.safetensors"
    first = fcn_follow(*command(data, whole))
    assert first.returncode == 0, first.stderr
    card = load_weights(whole).card
    assert card.network == "fcn_001"
    assert card.input_height_px == 16
    assert "12 frames of a; chosen on 6 frames of the runs 9_run3" in card.data
    assert "final_score" in card.scores
    record = json.loads(whole.with_suffix(".training.json").read_text())
    assert len(record["history"]) == 3
    assert record["parameters"]["batch_size"] == 4
    assert whole.with_suffix(".training.png").stat().st_size > 10_000

    words = [sys.executable, "-m", "fcn_follow", *map(str, command(data, again))]
    stopped = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not again.with_suffix(".checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=60)
    assert "Traceback" not in errors
    resumed = process(*command(data, again, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed after epoch" in resumed.stderr
    history = json.loads(again.with_suffix(".training.json").read_text())["history"]
    assert history == record["history"]


def test_resuming_a_finished_training_or_another_one_says_so(data):
    out = data / "w.safetensors"
    invoke(*command(data, out))
    before = out.with_suffix(".checkpoint").read_bytes()
    assert "the training was finished already: it has all its 3 epochs" in invoke(*command(data, out, "--resume"))[1]
    changed = ("--set", "epochs=5", "--set", "augment.warp=0.5", "--resume")
    refused = " ".join(fcn_follow(*command(data, out, *changed)).stderr.split())
    assert "made with other settings: epochs was 3 and is 5, augment.warp was 0.0 and is 0.5; resume with" in refused
    write_frames(data / "c", 4, run="2_run1")
    refused = " ".join(fcn_follow(*command(data, out, "--data", data / "c", "--resume")).stderr.split())
    assert "made with other frames; resume with the same" in refused
    assert out.with_suffix(".checkpoint").read_bytes() == before


def test_weights_are_kept_by_the_score_or_by_people_and_the_near_hero_or_by_the_hero():
    hero, people = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    hero[:10], people[:10] = 2, 1
    half_seen, all_background = people.copy(), np.zeros_like(people)
    half_seen[:5] = 0
    frames = [("a", Kind.NEAR, hero, hero), ("b", Kind.NONE, people, half_seen), ("c", Kind.NONE, people, people)]
    result = summarise([judge_labels(*frame, 4) for frame in frames])
    assert quality(result, PEOPLE) == pytest.approx((15 / 20 + 1.0) / 2)
    assert quality(result) == pytest.approx(0.5)  # the score: no far frame
    alarmed = summarise([judge_labels(*frame, 4) for frame in (*frames, ("d", Kind.NONE, people, hero))])
    assert (quality(result, HERO), quality(alarmed, HERO)) == (1.0, 0.5)
    blind = summarise([judge_labels("a", Kind.NONE, all_background, all_background, 4)])
    assert quality(blind, PEOPLE) == 0.0


def test_two_processes_train_as_one_does_and_resume_what_it_has_begun(data):
    """With losses that are no means over frames, batch norms, augmentation across frames, mining and a clipped norm."""
    more = [
        *("--set", "loss=cross_entropy + dice + hero_jaccard", "--set", "ema_decay=0.5", "--set", "hero_weight=4"),
        *(
            "--set",
            "sampling=balanced",
            "--set",
            "mining=true",
            "--set",
            "augment.warp=0.5",
            "--set",
            "augment.mosaic=1",
        ),
    ]
    alone, together = data / "alone.safetensors", data / "together.safetensors"
    assert fcn_follow(*command(data, alone, *more)).returncode == 0
    with stopped_after_a_checkpoint():
        assert "stopped" in fcn_follow(*command(data, together, *more)).stderr
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "fcn_follow"]
    words = [sys.executable, *launcher, *map(str, command(data, together, *more, "--resume"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("resumed after epoch 1 of 3") == 1, "the first process speaks"

    one, two = (load_checkpoint(path.with_suffix(".checkpoint")) for path in (alone, together))
    losses = [[report["loss"] for report in each.notes["history"]] for each in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    torch.testing.assert_close(two.tensors["alarms"], one.tensors["alarms"], rtol=1e-4, atol=1e-5)
    # not the weights: the noise of a bias before a batch norm, whose gradient is zero, is a whole step of Adam
    pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    outputs = [load_weights(path).network(pictures) for path in (alone, together)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-3, atol=1e-4)


def test_a_batch_that_cannot_be_divided_is_refused():
    team = Team()
    team.check(5)
    team.size = 2
    team.check(4)
    with pytest.raises(UserError, match="batch_size 5 cannot be divided among 2 processes"):
        team.check(5)


def test_mining_draws_the_frames_that_mislead_and_forgets_none(tmp_path):
    frames = [
        open_frames(write_frames(tmp_path / name, 4, hero_heights=(height,))) for name, height in (("a", 0), ("b", 12))
    ]
    bank = load_bank(all_frames(frames), 32)
    parameters = TrainingParameters(sampling="balanced", without_hero=0.6, mining=True)
    alarms = torch.tensor([0.9, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    weights = frame_weights(bank, parameters, alarms)
    assert weights[:4].sum().item() == pytest.approx(0.6)
    assert weights[4:].sum().item() == pytest.approx(0.4)
    assert (weights[0] / weights[1]).item() == pytest.approx((0.9 + ALWAYS) / ALWAYS)
    assert weights.min() > 0

    output = torch.zeros(2, 3, 8, 8)
    output[:, 0] = 9.0
    output[:, 2, 3, 3] = 9.0
    targets = torch.zeros(2, 3, 8, 8)
    targets[1, 2, 3, 3] = 1.0
    assert highest_false_hero(output, targets, torch.tensor([0.1, 0.2])).tolist() == pytest.approx([0.5, 0.2], abs=1e-3)


def test_trainings_that_are_refused(data):
    out = data / "w.safetensors"
    for more, message in (
        (("--set", "learning_rat=1"), "unknown parameter learning_rat; did you mean learning_rate"),
        (("--recipe", "nope"), "no such recipe; known are fcn_000"),
        (("--judge", data / "a"), "run 1_run1 is on both sides"),
        (("--resume",), "no checkpoint to resume from"),
        (("--start-from", "nobody.safetensors", "--data", "nowhere"), "nobody.safetensors: there is no such weights"),
        (("--teacher", "nobody.safetensors", "--data", "nowhere"), "nobody.safetensors: there is no such weights"),
        (("--out", "w.pt"), "weights files end in .safetensors"),
    ):
        refused = fcn_follow(*command(data, out, *more))
        assert refused.returncode == 1 and message in refused.stderr
        assert not out.exists()


@pytest.mark.parametrize("left", ["w.safetensors", "w.checkpoint"])
def test_an_earlier_training_is_not_overwritten(data, left):
    (data / left).write_bytes(b"the work of a night")
    refused = fcn_follow(*command(data, data / "w.safetensors"))
    said = " ".join(refused.stderr.split())
    advice = "--resume continues its training" if "checkpoint" in left else "move it away or choose another name"
    assert refused.returncode == 1 and f"{left}: is there already; {advice}" in said
    assert (data / left).read_bytes() == b"the work of a night"


def test_what_a_split_does_not_show_is_reported(data, tmp_path):
    frames = open_frames(write_frames(tmp_path / "empty", 2, hero_heights=(0,)))
    bank = load_bank(all_frames([frames]), 32)
    problems = empty_classes(bank, [])
    assert "no training frame shows the class hero: it cannot be learned" in problems
    assert len([line for line in problems if "held-out" in line]) == 3
    assert not [
        line for line in empty_classes(load_bank(all_frames([open_frames(data / "a")]), 32), []) if "tra" in line
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_disk_that_is_full_leaves_the_last_checkpoint_whole(tmp_path):
    path = tmp_path / "w.checkpoint"
    save_checkpoint(path, Checkpoint({"a": torch.ones(10)}, {"epoch": 1}))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match=r"w\.checkpoint: cannot be written .* what was there before is untouched"):
            save_checkpoint(path, Checkpoint({"a": torch.ones(1_000_000)}, {"epoch": 2}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert load_checkpoint(path).notes == {"epoch": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.checkpoint"]


def trainer_on(data, **changes):
    values = {"network": "fcn_001", "input_px": 16, "frame_px": 32, "batch_size": 4, "steps_per_epoch": 1, **changes}
    parameters = TrainingParameters(**values)
    bank = load_bank(all_frames([open_frames(data / "a")]), 32)
    held_out = list(labelled_frames([(ref, None) for ref in all_frames([open_frames(data / "b")])], print))
    card = ModelCard("fcn_001", 16, 16)
    return Trainer(parameters, bank, held_out, data / "w.safetensors", card, torch.device("cpu"))


def test_training_stops_early_where_nothing_is_gained(data):
    trainer = trainer_on(data, epochs=50, early_stop_epochs=3, learning_rate=1e-9)
    trainer.fit(lambda step, loss: None, lambda report: None)
    assert trainer.best_epoch == 0
    assert len(trainer.history) == 4
    assert trainer.ended_by == "3 epochs have not bettered its score"


def test_training_ends_when_the_minutes_are_over_and_the_schedule_with_it(data, monkeypatch):
    """A clock that ticks a second at each look: a minute is over long before 1000 epochs are."""
    clock = itertools.count()
    monkeypatch.setattr(trainer_module.time, "monotonic", lambda: float(next(clock)))
    trainer = trainer_on(data, epochs=1000, steps_per_epoch=10, evaluate_epochs=100, minutes=1.0, schedule="cosine")
    rates, step = [], trainer.step
    monkeypatch.setattr(trainer, "step", lambda batch, rate: rates.append(rate) or step(batch, rate))
    trainer.fit(lambda step, loss: None, lambda report: None)
    assert 5 < len(rates) < 60 and trainer.frames_seen == 4 * len(rates)
    assert max(rates) > 0.9e-3 and rates[-1] < 0.02e-3 and rates[5:] == sorted(rates[5:], reverse=True)
    assert trainer.history[-1].score is not None and (data / "w.safetensors").is_file()
    assert load_checkpoint(data / "w.checkpoint").notes["spent_s"] == trainer.spent_s >= 60.0

    again = trainer_on(data, epochs=1000, steps_per_epoch=10, evaluate_epochs=100, minutes=1.0, schedule="cosine")
    again.resume()
    again.fit(lambda step, loss: None, lambda report: None)
    assert again.frames_seen == trainer.frames_seen
    assert again.ended_by == "its time, minutes=1, is over"


@pytest.mark.parametrize("teacher_px", [16, 32], ids=["same size", "larger"])
def test_a_student_learns_its_teachers_answers(data, teacher_px):
    """The targets are another network's alone: the student's answer comes nearer to it."""
    network = build_network("fcn_000").eval()
    network.head.bias.data = torch.tensor([-3.0, 4.0, -1.0])
    card = ModelCard(network="fcn_000", input_height_px=teacher_px, input_width_px=teacher_px)
    trainer = trainer_on(data, epochs=1, steps_per_epoch=25, distillation=20.0, learning_rate=0.01)
    trainer.teacher = LoadedWeights(network, card)
    batch = trainer.batch(torch.arange(4))
    assert batch.answers.shape == batch.targets.shape

    def distance():
        with torch.no_grad():
            difference = trainer.network.eval()(batch.images).softmax(1) - batch.answers
        return difference.abs().mean().item()

    before = distance()
    trainer.fit(lambda step, loss: None, lambda report: None)
    assert distance() < 0.8 * before


@pytest.mark.slow
def test_the_learning_rate_finder_draws_its_curve_and_suggests(data):
    out = data / "rate.png"
    arguments = [
        "find-lr",
        "--data",
        data / "a",
        "--recipe",
        "fcn_001",
        "--out",
        out,
        "--steps",
        "20",
        "--device",
        "cpu",
    ]
    arguments += [word for item in ("batch_size=4", "input_px=16", "frame_px=32") for word in ("--set", item)]
    result = fcn_follow(*arguments)
    assert result.returncode == 0, result.stderr
    rate = float(re.search(r"learning_rate=(\S+);", result.stderr).group(1))
    assert 1e-6 < rate < 1
    assert cv2.imread(str(out)).shape[0] > 300


def test_a_range_test_that_diverges_is_reported_and_stops_early(data):
    trainer = trainer_on(data)
    result = range_test(trainer, 1e-5, 100.0, 30, lambda rate, loss: None)
    assert len(result.rates) <= 30
    assert result.rates[0] < result.steepest <= result.highest <= result.rates[-1]
    trainer.network.head.bias.data.fill_(float("nan"))
    with pytest.raises(UserError, match="the loss diverged after 0 steps"):
        range_test(trainer, 1e-5, 1.0, 20, lambda rate, loss: None)


def test_tensorboard_gets_scalars_pictures_and_the_graph(data):
    trainer = trainer_on(data, epochs=2)
    board = TensorBoardLog(data / "board", trainer)
    trainer.fit(board.step, board.epoch)
    board.close()
    events = EventAccumulator(str(data / "board"))
    events.Reload()
    tags = events.Tags()
    assert {"training/loss", "training/learning_rate", "held_out/final_score", "held_out/near_iou"} <= set(
        tags["scalars"]
    )
    assert [event.step for event in events.Scalars("training/loss")] == [1, 2]
    assert events.Scalars("training/learning_rate")[0].value == pytest.approx(0.001)
    assert tags["graph"]
    picture = events.Images("held_out/frame, truth, prediction")[-1]
    assert picture.step == 2
    decoded = cv2.imdecode(np.frombuffer(picture.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (16 * 5, 16 * 3, 3)  # four frames with a hero, one without


def test_a_loss_that_is_no_number_stops_with_the_batch_saved(data):
    bank = load_bank(all_frames([open_frames(data / "a")]), 32)
    parameters = TrainingParameters(network="fcn_001", input_px=16, batch_size=4)
    trainer = Trainer(parameters, bank, [], data / "w.safetensors", ModelCard("fcn_001", 16, 16), torch.device("cpu"))
    trainer.network.head.bias.data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"the loss is nan; the batch is in .*w\.nan-batch"):
        trainer.fit(lambda step, loss: None, lambda report: None)
    assert load_file(data / "w.nan-batch")["images"].shape == (4, 3, 16, 16)


@pytest.mark.parametrize("gradient_alone", [False, True])
def test_the_batch_that_is_saved_is_the_one_of_the_first_nan(data, gradient_alone):
    """The loss is looked at every twenty steps; a NaN in the gradient alone shows in the loss of the next step."""
    bank = load_bank(all_frames([open_frames(data / "a")]), 32)
    parameters = TrainingParameters(network="fcn_001", input_px=16, batch_size=4, steps_per_epoch=12)
    trainer = Trainer(parameters, bank, [], data / "w.safetensors", ModelCard("fcn_001", 16, 16), torch.device("cpu"))
    batches = []
    batch, objective = trainer.batch, trainer.objective
    trainer.batch = lambda indices: batches.append(batch(indices)) or batches[-1]

    def spoiled(output, targets):
        loss = objective(output, targets)
        if len(batches) != 4:
            return loss
        infinite_slope = (output - output.detach()).abs().sqrt().sum()
        return loss + infinite_slope if gradient_alone else loss * float("nan")

    trainer.objective = spoiled
    with pytest.raises(UserError, match=r"the loss is nan; the batch is in .*w\.nan-batch"):
        trainer.fit(lambda step, loss: None, lambda report: None)
    assert len(batches) == 13
    saved = load_file(data / "w.nan-batch")
    assert torch.equal(saved["images"], batches[3][0])
    assert torch.equal(saved["targets"], batches[3][1])
