"""Networks with a depth head: what their weights files say, and metres out of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import EngineSpec, Output
from fcn_follow.inference.torch_engines import EagerEngine
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import METRES, PER_IMAGE, LoadedWeights, ModelCard, load_weights, save_weights
from fcn_follow.perception.segmenter import Segmented, Segmenter

SEPARABLE = ModelCard("mask_depth_separable", 32, 32, depth=METRES, depth_focal_px=25.0)


class RedHeroAtItsGreyLevel(torch.nn.Module):
    """Red is the hero; a level of 0 is 4 m away, of 255 it is 16 m."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        red, green, blue = x[:, 0], x[:, 1], x[:, 2]
        log_depth = np.log(8.0) + np.log(2.0) * blue
        return torch.stack([green, torch.full_like(red, -9.0), red, log_depth], 1)


def look(weights: LoadedWeights, image: np.ndarray, focal_y_px: float) -> Segmented:
    engine = EagerEngine(EngineSpec(), weights, Output.CODES_AND_DEPTH, batch=1)
    return Segmenter(weights, engine).look(image, focal_y_px)


@pytest.mark.parametrize(("height_px", "width_px"), [(32, 32), (64, 96), (50, 31)])
def test_depth_in_metres_has_the_images_size_and_follows_the_focal_length(height_px, width_px):
    image = np.zeros((height_px, width_px, 3), np.uint8)
    image[...] = (0, 255, 255)
    image[:, : width_px // 2] = (255, 0, 0)
    weights = LoadedWeights(RedHeroAtItsGreyLevel(), SEPARABLE)
    focal_px = 25.0 * height_px / 32
    for magnified in (1.0, 2.0):
        labels, _, depth_m = look(weights, image, focal_px * magnified)
        assert labels.shape == depth_m.shape == (height_px, width_px)
        assert (labels.dtype, depth_m.dtype) == (np.uint8, np.float32)
        assert (labels[:, 0] == 2).all() and (labels[:, -1] == 0).all()
        assert depth_m[:, 0] == pytest.approx(4.0 * magnified, rel=1e-5)
        assert depth_m[:, -1] == pytest.approx(16.0 * magnified, rel=1e-5)


def test_a_weights_file_says_what_its_depth_means(tmp_path):
    path = tmp_path / "eyes.safetensors"
    network = build_network("mask_depth_separable").eval()
    save_weights(path, network, SEPARABLE)
    loaded = load_weights(path)
    assert (loaded.card.depth, loaded.card.depth_focal_px) == (METRES, 25.0)
    image = np.random.default_rng(1).integers(0, 255, (32, 32, 3), np.uint8)
    with torch.no_grad():
        output = network(torch.tensor(image).permute(2, 0, 1)[None].float() / 127.5 - 1)[0]
    assert np.allclose(look(loaded, image, 50.0).depth_m, 2 * np.exp(output[3].numpy()), rtol=1e-5)

    for changed, expected in (
        ({"depth": ""}, "which is not what mask_depth_separable gives"),
        ({"network": "hero_net"}, "which is not what hero_net gives"),
        ({"depth": "feet"}, "impossible depth"),
        ({"depth_focal_px": 0.0}, "impossible depth_focal_px"),
        ({"flip_average": True}, "mirror image"),
    ):
        save_weights(path, network, dataclasses.replace(SEPARABLE, **changed))
        with pytest.raises(UserError, match=expected):
            load_weights(path)


def test_weights_that_know_no_metres_are_refused():
    image = np.zeros((32, 32, 3), np.uint8)
    for card, expected in (
        (ModelCard("hero_net", 32, 32), "hero_net gives no depth"),
        (dataclasses.replace(SEPARABLE, depth=PER_IMAGE), "gives depth as per_image"),
    ):
        with pytest.raises(UserError, match=expected):
            look(LoadedWeights(RedHeroAtItsGreyLevel(), card), image, 50.0)
