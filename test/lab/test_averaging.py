"""The mean of several trainings."""

import pytest
import torch
from command_line import fcn_follow

from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import ModelCard, load_weights, save_weights


def trained(path, network="fcn_001", size_px=16, seed=0, **card):
    """Weights with random tensors; batch norm has seen a batch."""
    torch.manual_seed(seed)
    module = build_network(network).train()
    module(torch.randn(2, 3, 32, 32))
    save_weights(path, module, ModelCard(network, size_px, size_px, **card))
    return path


def test_each_tensor_is_the_mean_and_the_card_says_what_was_averaged(tmp_path):
    first = trained(tmp_path / "a.safetensors", seed=1, data="of a", hero_confirm_probability=0.9, scores={"x": 1.0})
    second = trained(tmp_path / "b.safetensors", seed=2, data="of b")
    out = tmp_path / "mean.safetensors"
    done = fcn_follow("average", first, second, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "calibrate" in done.stderr

    loaded = [load_weights(path) for path in (first, second, out)]
    a, b, mean = (weights.network.state_dict() for weights in loaded)
    for name, tensor in mean.items():
        expected = (a[name].double() + b[name].double()) / 2
        torch.testing.assert_close(tensor, expected.to(tensor.dtype), rtol=0, atol=1e-7)
    assert any("running_mean" in name and not torch.equal(mean[name], a[name]) for name in mean)
    card = loaded[-1].card
    assert (card.data, card.notes) == ("of a; of b", "the mean of a, b")
    assert card.hero_confirm_probability == 0.9
    assert card.scores == {}, "the scores of one are not those of the mean"


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"network": "fcn_000"}, "fcn_000 at 16x16, fcn_001 at 16x16"),
        ({"size_px": 32}, "fcn_001 at 16x16, fcn_001 at 32x32"),
        (None, "two weights files or more"),
    ],
    ids=["network", "size", "alone"],
)
def test_what_cannot_be_averaged_is_refused(tmp_path, other, problem):
    files = [trained(tmp_path / "a.safetensors")]
    if other is not None:
        files.append(trained(tmp_path / "b.safetensors", **other))
    done = fcn_follow("average", *files, "--out", tmp_path / "mean.safetensors")
    assert done.returncode == 1
    assert problem in done.stderr
    assert not (tmp_path / "mean.safetensors").exists()
