"""Depth beside the frames: read, refused, moved with image and mask, learned and judged."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch
from augmented import augment
from command_line import fcn_follow
from frame_folders import marked_squares, write_depth, write_frames
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fcn_follow.errors import UserError
from fcn_follow.lab.data.augment import AugmentParameters, to_tensors
from fcn_follow.lab.data.bank import load_bank
from fcn_follow.lab.data.frames import FrameError, open_frames
from fcn_follow.lab.data.split import all_frames
from fcn_follow.lab.scoring.depth_figures import DepthTally
from fcn_follow.lab.scoring.depth_picture import MAX_DEPTH_M, depth_pair
from fcn_follow.lab.scoring.similarity import ms_ssim, ssim
from fcn_follow.lab.training.depth_losses import parse_depth_loss
from fcn_follow.lab.training.losses import parse_loss
from fcn_follow.lab.training.objective import Objective, learned_depth
from fcn_follow.lab.training.recipe import TrainingParameters
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import METRES, PER_IMAGE, ModelCard, load_weights, save_weights


@pytest.fixture
def folder(tmp_path):
    return write_depth(write_frames(tmp_path / "town", 6))


def test_depth_is_read_in_metres_with_its_focal_length(folder):
    frames = open_frames(folder)
    depth_m = frames.depth_m(1, frames.image(1))
    labels = frames.labels(1)
    assert depth_m.dtype == np.float32
    assert np.unique(depth_m[labels == 2]).tolist() == [6.0]
    assert set(np.unique(depth_m).tolist()) == {0.0, 6.0, 8.0, 20.0}
    assert frames.focal_y_px == (50.0,) * 6
    assert not open_frames(write_frames(folder.parent / "flat", 1)).has_depth


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (np.full((32, 64), 900, np.uint16), "depth of 64x32 pixels, but its image has 64x64"),
        (np.full((64, 64), 90, np.uint8), "depth must be 16-bit grey, in millimetres; this is 8-bit"),
        (
            np.full((64, 64, 3), 90, np.uint8),
            "depth must be 16-bit grey, in millimetres; this is 8-bit with 3 channels",
        ),
        (np.zeros((64, 64), np.uint16), "depth is 0 everywhere"),
        (b"\x89PNG and no more", "not a picture, or a damaged one"),
    ],
)
def test_depth_that_is_refused_by_name(folder, depth, expected):
    path = folder / "depth" / "1_run1_depth_00002.png"
    path.write_bytes(depth) if isinstance(depth, bytes) else cv2.imwrite(str(path), depth)
    frames = open_frames(folder)
    with pytest.raises(FrameError, match=rf"depth/1_run1_depth_00002\.png: {expected}"):
        frames.depth_m(2, frames.image(2))
    bank = load_bank(all_frames([frames]), 32, with_depth=True)
    assert len(bank) == len(bank.depth.depth_m) == 5
    assert expected in bank.skipped[0]


def test_folders_with_depth_that_are_refused(folder):
    refs = all_frames([open_frames(write_frames(folder.parent / "flat", 1))])
    with pytest.raises(UserError, match="has no depth/"):
        load_bank(refs, 32, with_depth=True)
    (folder / "depth" / "1_run1_depth_00003.png").unlink()
    with pytest.raises(UserError, match=r"images/1_run1cam1_00003\.jpeg has no depth; every image needs one depth"):
        open_frames(folder)


@pytest.mark.parametrize("line", ["no json", "{}", '{"frame": 1, "focal_lengths_px": [1, -5]}', '{"frame": 1}'])
def test_a_listing_with_impossible_focal_lengths_is_refused(folder, line):
    (folder / "frames.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"frames\.jsonl, line 1"):
        _ = open_frames(folder).focal_y_px


def test_metres_are_those_of_the_cards_focal_length(folder):
    parameters = TrainingParameters(network="mask_depth_separable", input_px=32, depth_focal_px=75.0)
    bank = load_bank(all_frames([open_frames(folder)]), 64, with_depth=True)
    depth = learned_depth(bank, parameters)
    own_focal_px = 50.0 * 32 / 64
    assert np.unique(depth[1, 0].numpy()[bank.labels[1] == 2]).tolist() == [6.0 * 75.0 / own_focal_px]
    (folder / "frames.jsonl").unlink()
    bank = load_bank(all_frames([open_frames(folder)]), 64, with_depth=True)
    with pytest.raises(UserError, match="6 of 6 frames have no focal length"):
        learned_depth(bank, parameters)
    scaled = TrainingParameters(network="mask_depth_shuffle", depth=PER_IMAGE)
    assert torch.equal(learned_depth(bank, scaled)[:, 0], torch.from_numpy(bank.depth.depth_m))


def marked_batch():
    """The hero stands at 8 m, the ground behind at 16 m."""
    images, labels = marked_squares()
    pictures, masks = to_tensors(images, labels)
    depth = torch.where(labels == 2, 8.0, 16.0)[:, None]
    return pictures, torch.cat([masks, depth], 1)


def test_a_marked_point_moves_in_image_mask_and_depth_alike():
    moving = AugmentParameters(flip=0.5, warp=1.0, mosaic=0.0, turn_deg=20.0, zoom_out=1.0, zoom_in=2.0)
    images, targets = augment(*marked_batch(), 48, moving, torch.Generator().manual_seed(5))
    for image, target in zip(images, targets, strict=True):
        red = (image[0] - image[1]) > 0.5
        hero, depth = target[2] > 0.5, target[3]
        assert (red != hero).float().mean() < 0.01
        zooms = 16.0 / depth[~hero].median()
        near = depth < 12.0 / zooms
        assert (near != hero).float().mean() < 0.01
        if hero.sum() > 20:
            assert 0.99 <= zooms <= 2.0 * math.exp(0.12) + 0.01
            assert depth[hero].median() * zooms == pytest.approx(8.0, rel=1e-4)


def test_a_zoom_divides_the_depth_by_itself():
    """Magnified, the hero has more rows; rows times depth stay as they were, as with a longer lens."""
    frame, target = (part[:1] for part in marked_batch())
    zooming = AugmentParameters(warp=1.0, turn_deg=0.0, zoom_out=1.0, zoom_in=2.0, at_people=1.0)
    for seed in range(6):
        _, moved = augment(frame, target, 256, zooming, torch.Generator().manual_seed(seed))
        hero = moved[0, 2] > 0.5
        rows = int(hero.any(1).sum())
        if hero[0].any() or hero[-1].any():
            continue  # cut by the edge
        assert rows * moved[0, 3][hero].median().item() == pytest.approx(12 * 256 / 64 * 8.0, rel=0.05)


def test_depth_without_augmentation_stays_and_pasting_is_refused():
    images, targets = marked_batch()
    same = augment(images, targets, 64, AugmentParameters(), torch.Generator().manual_seed(1))
    assert torch.equal(same[1], targets)
    half = augment(images, targets, 32, AugmentParameters(), torch.Generator().manual_seed(1))[1]
    assert set(half[:, 3].unique().tolist()) == {8.0, 16.0}
    with pytest.raises(UserError, match="must be 0 where depth is learned"):
        augment(images, targets, 64, AugmentParameters(paste_hero=0.5), torch.Generator().manual_seed(1))


def slow_ssim(first, second):
    """SSIM of two pictures H x W by its definition, window by window."""
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    rows, columns = first.shape[0] - 10, first.shape[1] - 10
    result = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            x, y = (picture[row : row + 11, column : column + 11] for picture in (first, second))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            vxy = (weights * (x - mx) * (y - my)).sum()
            c1, c2 = 0.01**2, 0.03**2
            result[row, column] = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return result


def test_ssim_is_its_definition():
    random = np.random.default_rng(1)
    first, second = random.random((2, 20, 24))
    found = ssim(torch.tensor(first)[None, None], torch.tensor(second)[None, None])[0, 0].numpy()
    assert np.allclose(found, slow_ssim(first, second), atol=1e-9)


def test_ms_ssim_is_one_for_the_same_and_falls_with_noise():
    torch.manual_seed(1)
    picture = torch.rand(2, 1, 176, 176)
    assert ms_ssim(picture, picture).tolist() == [[pytest.approx(1.0)], [pytest.approx(1.0)]]
    steps = [ms_ssim(picture, picture + noise * torch.randn_like(picture)).mean().item() for noise in (0.1, 0.3, 1.0)]
    assert 0.99 > steps[0] > steps[1] > steps[2] > 0.0
    small = torch.rand(1, 1, 40, 40)  # the window fits into two scales
    luminance_structure = ssim(torch.nn.functional.avg_pool2d(small, 2), torch.zeros(1, 1, 20, 20)).mean().item()
    assert ms_ssim(small, torch.zeros_like(small)).item() < luminance_structure**0.5


def log_channel(depth_m):
    return torch.log(depth_m.clamp_min(1e-3))


def test_depth_losses_are_their_formulas():
    torch.manual_seed(1)
    depth_m = torch.rand(2, 1, 32, 32) * 30 + 2
    depth_m[:, :, :3] = 0.0
    masks = torch.zeros(2, 3, 32, 32)
    masks[:, 0] = 1.0
    masks[0, :, 10:20, 10:14] = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    masks[1, :, 10:20, 10:14] = torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    targets = torch.cat([masks, depth_m], 1)
    channel = log_channel(depth_m) + 0.3 * torch.randn_like(depth_m)
    g = (channel - log_channel(depth_m))[:, :, 3:]
    share = g / math.log(MAX_DEPTH_M)
    hero, other = g[0, 0, 7:17, 10:14].abs().mean(), g[1, 0, 7:17, 10:14].abs().mean()
    eigen = torch.stack([frame.square().mean() - 0.5 * frame.mean() ** 2 for frame in g]).mean()
    for spec, expected in (
        ("l1", share.abs().mean()),
        ("l1_sum", share.abs().sum() / 2),
        ("mse", share.square().mean()),
        ("scale_invariant_log", eigen),
        ("people_log", (hero + other) / 2),
        ("mse + 0.5 l1", share.square().mean() + 0.5 * share.abs().mean()),
    ):
        assert parse_depth_loss(spec, METRES)(channel, targets).item() == pytest.approx(expected.item(), rel=1e-4)
    for spec in ("l1", "l1_sum", "mse", "ssim", "ms_ssim", "scale_invariant_log", "people_log"):
        losses = [
            parse_depth_loss(spec, METRES)(log_channel(depth_m) + off, targets) for off in (0.4 * g[0, 0, 0, 0], 0)
        ]
        assert losses[0] > losses[1]
        assert losses[1].item() == pytest.approx(0.0, abs=1e-5)
    wild = channel.clone()
    wild[:, :, :3] = 99.0
    assert parse_depth_loss("l1 + mse", METRES)(wild, targets) == parse_depth_loss("l1 + mse", METRES)(channel, targets)


def test_depth_scaled_in_each_image_also_of_a_flat_one():
    depth_m = torch.tensor([[[[2.0, 4.0], [10.0, 0.0]]], [[[5.0, 5.0], [5.0, 5.0]]]])
    pair = depth_pair(PER_IMAGE, torch.zeros(2, 1, 2, 2), depth_m)
    assert pair.truth.flatten().tolist() == [0.0, 0.25, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert pair.found.flatten().tolist() == [0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5]


def test_losses_that_do_not_go_are_refused_by_name():
    with pytest.raises(UserError, match="'huber' is not known; known are l1, "):
        parse_depth_loss("ssim + huber", METRES)
    with pytest.raises(
        UserError, match="'people_log' is not known; known are l1, l1_sum, ms_ssim, mse, ssim for depth"
    ):
        parse_depth_loss("people_log", PER_IMAGE)
    with pytest.raises(UserError, match="needs a depth_loss"):
        parse_depth_loss("", METRES)


def test_mask_losses_of_source_003():
    logits, targets = torch.randn(2, 3, 32, 32), torch.zeros(2, 3, 32, 32)
    targets[:, 0] = 1.0
    p = torch.softmax(logits, 1)
    ones = torch.ones(3)
    assert parse_loss("mse", ones)(logits, targets).item() == pytest.approx((p - targets).square().mean().item())
    for spec in ("ssim", "ms_ssim"):
        assert parse_loss(spec, ones)(targets * 60, targets).item() == pytest.approx(0.0, abs=1e-4)
        assert parse_loss(spec, ones)(logits, targets).item() > 0.3


def test_a_single_mask_is_the_heros():
    parameters = TrainingParameters(network="mask_depth_shuffle", loss="mse", depth=PER_IMAGE, depth_loss="l1")
    objective = Objective(parameters, torch.device("cpu"))
    labels = torch.randint(0, 3, (1, 16, 16))
    masks = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    right = torch.where(labels == 2, 20.0, -20.0)[:, None]
    assert objective.mask(torch.cat([right, right], 1), masks).item() == pytest.approx(0.0, abs=1e-6)
    assert objective.mask(torch.cat([-right, right], 1), masks).item() == pytest.approx(2 / 3, abs=1e-3)


def test_figures_of_depth_by_hand():
    card = ModelCard("mask_depth_separable", 32, 32, depth=METRES, depth_focal_px=64.0)
    mask = np.zeros((32, 32, 3), np.uint8)
    mask[..., 0] = 1
    mask[10:20, 10:14] = (0, 0, 1)
    true_m = np.full((32, 32), 20.0, np.float32)
    true_m[10:20, 10:14] = 10.0
    true_m[:2] = 0.0
    found_m = true_m.copy()
    found_m[10:20, 10:14] = 12.0
    found_m[30:] = 30.0
    tally = DepthTally(card)
    channel = torch.log(torch.from_numpy(found_m).clamp_min(1e-3) / 0.5)[None]
    tally.add(mask.astype(np.float32), channel, mask, true_m, 32.0)
    figures = tally.figures()
    assert figures.hero.rmse_m == pytest.approx(2.0, rel=1e-5)
    assert figures.hero.abs_rel == pytest.approx(0.2, rel=1e-5)
    assert figures.hero.delta_1_25 == 1.0
    assert figures.all.pixels == 30 * 32
    assert figures.all.delta_1_25 == pytest.approx(28 / 30)
    assert figures.all.rmse_m == pytest.approx(math.sqrt((40 * 4 + 64 * 100) / 960), rel=1e-5)
    assert figures.hero_distance.abs_rel == pytest.approx(0.2, rel=1e-5)
    assert figures.hero_distance.rmse_found_m == pytest.approx(2.0, rel=1e-5)
    assert figures.mask_mse == 0.0
    with pytest.raises(UserError, match="focal length is not known"):
        tally.add(mask.astype(np.float32), channel, mask, true_m, None)


def test_depth_is_learned_on_hero_nets_eyes_shown_and_scored(folder):
    """Start from a part of the network, keep it, TensorBoard with depth, score with depth."""
    judged = write_depth(write_frames(folder.parent / "held", 4, run="8_run5", seed=3))
    eyes, out = folder.parent / "eyes.safetensors", folder.parent / "both.safetensors"
    torch.manual_seed(1)
    hero_net = build_network("hero_net").eval()
    save_weights(eyes, hero_net, ModelCard("hero_net", 32, 32))
    settings = ("epochs=2", "steps_per_epoch=2", "batch_size=4", "input_px=32", "frame_px=64", "precision=fp32")
    result = fcn_follow(
        "train", "--recipe", "mask_depth_separable", "--data", folder, "--judge", judged, "--out", out, "--start-from",
        eyes, "--device", "cpu", "--tensorboard", folder.parent / "board",
        *(word for setting in settings for word in ("--set", setting)),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    loaded = load_weights(out)
    assert (loaded.card.depth, loaded.card.depth_focal_px) == (METRES, 128.0)
    assert {"mask_mse_depth_ssim", "depth_abs_rel", "hero_distance_abs_rel"} <= set(loaded.card.scores)
    learned = loaded.network.state_dict()
    assert all(torch.equal(learned[name], tensor) for name, tensor in hero_net.state_dict().items())

    events = EventAccumulator(str(folder.parent / "board"))
    events.Reload()
    assert "held_out/depth_abs_rel" in events.Tags()["scalars"]
    picture = events.Images("held_out/frame, truth, prediction, true depth, depth")[-1]
    decoded = cv2.imdecode(np.frombuffer(picture.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[1] == 32 * 5
    assert decoded[:2, 32 * 3 : 32 * 4].max() == 0 or decoded.shape[0] >= 32

    scored = fcn_follow("score", "--weights", out, "--data", judged, "--device", "cpu", "--json")
    assert scored.returncode == 0, scored.stderr
    figures = json.loads(scored.stdout)
    assert figures["depth"]["all"]["abs_rel"] == pytest.approx(loaded.card.scores["depth_abs_rel"], abs=1e-3)
    assert figures["checkerboard"] >= 0.0
    page = fcn_follow("score", "--weights", out, "--data", judged, "--device", "cpu")
    assert "MSE(mask)" in page.stdout and "under the true mask" in page.stdout

    refused = fcn_follow(
        "train",
        "--network",
        "fcn_000",
        "--data",
        folder,
        "--judge",
        judged,
        "--out",
        "w.safetensors",
        "--start-from",
        eyes,
    )
    assert refused.returncode == 1
    assert "weights to start from are of hero_net, not fcn_000" in refused.stderr
