"""The published networks to the parameter, their operators against TensorFlow's rules, and weights files."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from command_line import fcn_follow, invoke
from made_weights import SIZE_MULTIPLES
from safetensors.torch import save_file

from fcn_follow.errors import UserError
from fcn_follow.networks.hero_net import SqueezeExcite
from fcn_follow.networks.keras.layers import BilinearUpsample2x, Conv2dSame, SeparableConv2dSame, same_padding
from fcn_follow.networks.registry import NETWORKS, build_network
from fcn_follow.networks.sources.mask_depth import checkerboard
from fcn_follow.networks.summary import convolution_pairs, count_macs, count_parameters, layer_table
from fcn_follow.networks.weights import CARD_KEY, ModelCard, load_weights, read_card, save_weights
from fcn_follow.share import share_directory

LAYERS_000 = [0, 283, 256, 8896, 512, 17664, 512, 73792, 256, 0, 0, 26432, 512, 0, 0, 26432, 512, 0, 387]
LAYERS_001 = [
    *(0, 155, 128, 2400, 256, 8896, 512, 16512, 512, 0, 0, 26432, 512, 17664, 512, 0, 0, 11744, 256, 4736, 256),
    *(0, 0, 2779, 128, 1344, 128, 99),
]
TOTALS = {
    "fcn_000": (156_446, 155_166),
    "fcn_001": (95_961, 94_361),
    "fcn_002": (716_665, 714_489),
    "fcn_002_256_k3": (385_401, None),
    "fcn_002_512_k1": (192_377, None),
    "fcn_002_256_k1": (123_257, None),
}


@pytest.mark.parametrize(("name", "expected"), [("fcn_000", LAYERS_000), ("fcn_001", LAYERS_001)])
def test_layer_by_layer_the_parameters_of_the_sources_tables(name, expected):
    assert [layer.parameters for layer in layer_table(build_network(name), 160, 160)] == expected


def test_the_shapes_of_source_000():
    shapes = [layer.output_hwc for layer in layer_table(build_network("fcn_000"), 160, 160)]
    assert shapes[1] == (80, 80, 64)
    assert shapes[5] == (20, 20, 128)
    assert shapes[10] == (40, 40, 192)
    assert shapes[14] == (80, 80, 192)
    assert shapes[-1] == (160, 160, 3)


@pytest.mark.parametrize(("name", "totals"), TOTALS.items())
def test_totals_as_keras_counts_them(name, totals):
    count = count_parameters(build_network(name))
    assert count.total == totals[0]
    assert totals[1] is None or count.trainable == totals[1]


@pytest.mark.parametrize(("name", "mmacs"), [("fcn_000", 272.2), ("fcn_001", 295.8), ("fcn_002", 1985)])
def test_multiply_accumulates_at_160(name, mmacs):
    assert count_macs(build_network(name), 160, 160) / 1e6 == pytest.approx(mmacs, rel=1e-3)


def test_our_networks_keep_within_their_budgets():
    assert count_parameters(build_network("hero_net")).total <= 160_000
    assert count_macs(build_network("hero_net"), 256, 256) <= 1.5e9  # hero_net_hd
    assert count_macs(build_network("hero_net_fast"), 160, 160) <= 125e6


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hero_net_no_residual", lambda module: getattr(module, "residual", False)),
        ("hero_net_no_large_kernels", lambda module: getattr(module, "kernel_size", None) == (5, 5)),
        ("hero_net_no_squeeze_excite", lambda module: isinstance(module, SqueezeExcite)),
    ],
)
def test_an_ablation_lacks_its_part_and_nothing_else(name, part):
    whole, without = list(build_network("hero_net").modules()), list(build_network(name).modules())
    assert any(part(module) for module in whole)
    assert not any(part(module) for module in without)
    gone = {
        id(inner)
        for module in whole
        if part(module) and isinstance(module, SqueezeExcite)
        for inner in module.modules()
    }
    assert [type(module) for module in without] == [type(module) for module in whole if id(module) not in gone]


@pytest.mark.parametrize("size_px", [160, 61])
def test_the_half_resolution_net_draws_at_full_size_from_a_quarter_of_the_work(size_px):
    network = build_network("hero_net_half_resolution").eval()
    assert network(torch.zeros(1, 3, size_px, size_px)).shape == (1, 3, size_px, size_px)
    assert count_macs(network, 160, 160) < 0.26 * count_macs(build_network("hero_net"), 160, 160)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mask_depth_transposed", 244_720),
        ("mask_depth_shuffle", 224_688),
        ("segnet", 15_274_892),
        ("segnet_separable", 1_749_671),
        ("vit_segmenter", 86_284_806),
    ],
)
def test_parameters_of_sources_003_and_004(name, parameters):
    assert count_parameters(build_network(name)).trainable == parameters


def test_each_convolution_of_segnet_beside_its_depthwise_form():
    pairs = convolution_pairs(build_network("segnet"), build_network("segnet_separable"), 128, 64)
    assert len(pairs) == 20
    for standard, depthwise in pairs:
        channels, filters, area = standard.in_channels, standard.filters, standard.output_hw[0] * standard.output_hw[1]
        assert standard.parameters == 9 * channels * filters
        assert depthwise.parameters == 9 * channels + channels * filters
        assert (standard.macs, depthwise.macs) == (area * standard.parameters, area * depthwise.parameters)
    assert [sum(layer.macs for layer in side) for side in zip(*pairs, strict=True)] == [
        count_macs(build_network(name), 128, 64) for name in ("segnet", "segnet_separable")
    ]
    with pytest.raises(UserError, match="not the same plan"):
        convolution_pairs(build_network("segnet"), build_network("hero_net"), 64, 64)


def test_unpooling_puts_values_back_where_they_were():
    network = build_network("segnet").eval()
    pooled, indices = network.pool(torch.tensor([[[[1.0, 2.0], [4.0, 3.0]]]]))
    assert network.unpool(pooled, indices).tolist() == [[[[0.0, 0.0], [4.0, 0.0]]]]


@pytest.mark.parametrize(
    ("name", "good"), [("segnet", "96x64"), ("vit_segmenter", "96x64"), ("mask_depth_shuffle", "82x50")]
)
def test_a_size_that_the_strides_do_not_allow_is_reported_with_the_next_good_one(name, good):
    with pytest.raises(UserError, match=f"not 81x49; try {good}"):
        build_network(name).eval()(torch.zeros(1, 3, 49, 81))


def test_the_vit_takes_sizes_of_more_patches_than_it_has_positions():
    network = build_network("vit_segmenter").eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 160, 96)).shape == (1, 3, 160, 96)


def test_the_checkerboard_figure_finds_a_pattern():
    torch.manual_seed(1)
    assert checkerboard(build_network("mask_depth_transposed")) > 0.0

    class Constant(torch.nn.Module):
        def __init__(self, pattern):
            super().__init__()
            self.pattern = torch.tensor(pattern)

        def forward(self, image):
            return self.pattern.repeat(1, 2, image.shape[2] // 2, image.shape[3] // 2)

    assert checkerboard(Constant([[[[1.0, 1.0], [1.0, 1.0]]]])) == 0.0
    assert checkerboard(Constant([[[[1.0, 3.0], [1.0, 3.0]]]])) == pytest.approx(0.2)


def test_after_the_same_training_the_transposed_network_shows_five_times_the_checkerboard_of_the_shuffled_one():
    found = {}
    for name in ("mask_depth_transposed", "mask_depth_shuffle"):
        torch.manual_seed(1)
        network = build_network(name)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.0002)
        for _ in range(4):
            images = torch.rand(2, 3, 32, 32) * 2 - 1
            loss = (network(images).sigmoid() - (images[:, :1] > 0).float()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found[name] = checkerboard(network, 64)
    assert found["mask_depth_transposed"] >= 5 * found["mask_depth_shuffle"]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(64, 96), (61, 47)])
def test_any_input_size_gives_an_output_of_that_size(name, size):
    info = NETWORKS[name]
    network = info.build().eval()
    multiple = SIZE_MULTIPLES.get(name, 1)
    height, width = (-(-side // multiple) * multiple for side in size)
    with torch.no_grad():
        output = network(torch.zeros(1, 3, height, width))
    assert output.shape == (1, info.mask_channels + info.has_depth, height, width)


def test_same_padding_is_tensorflows():
    assert same_padding(160, 3, 2) == (0, 1)
    assert same_padding(5, 3, 2) == (1, 1)
    assert same_padding(7, 3, 1) == (1, 1)
    assert same_padding(8, 5, 1) == (2, 2)


def test_strided_convolution_takes_tensorflows_pixels():
    convolution = Conv2dSame(1, 1, 3, 2)
    torch.nn.init.zeros_(convolution.weight)
    with torch.no_grad():
        convolution.weight[0, 0, 0, 0] = 1.0
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert convolution(image)[0, 0].tolist() == [[0.0, 2.0], [8.0, 10.0]]


def test_upsampling_is_tensorflow_1s_resize_bilinear():
    result = BilinearUpsample2x()(torch.tensor([[[[1.0, 3.0], [5.0, 9.0]]]]))
    expected = [[1, 2, 3, 3], [3, 4.5, 6, 6], [5, 7, 9, 9], [5, 7, 9, 9]]
    assert result[0, 0].tolist() == expected


@pytest.mark.slow  # compiling takes half a minute
def test_upsampling_learns_the_same_under_torch_compile():
    def gradient(network):
        first.zero_grad()
        network(image).square().sum().backward()
        return first.weight.grad.clone()

    torch.manual_seed(1)
    first = Conv2dSame(3, 8, 3)
    network = torch.nn.Sequential(first, BilinearUpsample2x(), Conv2dSame(8, 3, 1)).to(
        memory_format=torch.channels_last
    )
    image = torch.randn(2, 3, 8, 8)
    assert torch.allclose(gradient(torch.compile(network)), gradient(network), rtol=1e-4, atol=1e-4)


def test_separable_convolution_is_depthwise_then_pointwise_then_relu():
    layer = SeparableConv2dSame(4, 6, stride=2)
    x = torch.randn(2, 4, 9, 9)
    depthwise = functional.conv2d(functional.pad(x, (1, 1, 1, 1)), layer.depthwise.weight, stride=2, groups=4)
    expected = functional.relu(functional.conv2d(depthwise, layer.pointwise.weight, layer.pointwise.bias))
    assert torch.allclose(layer(x), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["fcn_000", "hero_net"])
def test_every_parameter_learns(name):
    network = build_network(name)
    loss = network(torch.randn(2, 3, 64, 64)).square().mean()
    loss.backward()
    silent = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent in ([], ["middle.0.bias"])


def card(name="fcn_001", **changes):
    return dataclasses.replace(ModelCard(name, 160, 160, data="drawn by a test"), **changes)


def test_weights_come_back_with_their_card(tmp_path):
    network = build_network("fcn_001").eval()
    path = tmp_path / "deep" / "a.safetensors"
    save_weights(path, network, card(scores={"final_score": 0.5}))
    loaded = load_weights(path)
    assert loaded.card == card(scores={"final_score": 0.5})
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.network(x), network(x))
    assert [entry.name for entry in path.parent.iterdir()] == ["a.safetensors"]


def test_a_name_instead_of_a_weights_file_is_answered_with_the_file_that_may_be_meant(tmp_path):
    shipped = share_directory() / "weights" / "hero_net.safetensors"
    with pytest.raises(UserError, match=rf"^hero_net: there is no such weights file; did you mean {shipped}\?$"):
        load_weights(Path("hero_net"))
    own = tmp_path / "my_hero.safetensors"
    save_weights(own, build_network("fcn_001"), card())
    with pytest.raises(UserError, match=rf"did you mean {own}\?$"):
        read_card(tmp_path / "myhero.safetensors")
    with pytest.raises(UserError, match=r"a folder, and no weights file; in that folder are my_hero\.safetensors$"):
        load_weights(tmp_path)


def test_weights_that_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, build_network("fcn_001"), card())
    with pytest.raises(UserError, match=r"b\.safetensors: there is no such.*in that folder are a\.safetensors"):
        load_weights(tmp_path / "b.safetensors")
    truncated = tmp_path / "c.safetensors"
    truncated.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"c.safetensors: not a safetensors file, or a truncated one"):
        load_weights(truncated)
    truncated.write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(UserError, match="not a safetensors file"):
        load_weights(truncated)
    save_file({"a": torch.zeros(1)}, truncated)
    with pytest.raises(UserError, match="without a model card"):
        load_weights(truncated)
    save_weights(truncated, build_network("fcn_000"), card("fcn_001"))
    with pytest.raises(UserError, match="not weights of the network fcn_001"):
        load_weights(truncated)
    save_weights(truncated, build_network("fcn_000"), card("fcn_009"))
    with pytest.raises(UserError, match="no network is called 'fcn_009'; did you mean"):
        load_weights(truncated)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_height_px": 0}, "impossible input size"),
        ({"hero_probability_threshold": 1.5}, "hero_probability_threshold of 1.5"),
        ({"hero_min_area_px": 0}, "hero_min_area_px of 0"),
        ({"classes": ["cat", "dog"]}, "names the classes cat, dog"),
        ({"normalisation": "none"}, "expects the input as 'none'"),
        ({"surprise": 1}, "cannot be read"),
    ],
)
def test_cards_that_say_impossible_things(tmp_path, change, message):
    path = tmp_path / "a.safetensors"
    values = {**dataclasses.asdict(card()), **change}
    save_file({"a": torch.zeros(1)}, path, metadata={CARD_KEY: json.dumps(values)})
    with pytest.raises(UserError, match=message):
        load_weights(path)


def test_models_prints_every_network_and_one_networks_layers():
    table = fcn_follow("models")
    assert table.returncode == 0
    for text in ("fcn_000", "156,446", "272.2", "0.4284", "hero_net_fast"):
        assert text in table.stdout
    layers, _ = invoke("models", "fcn_000")
    assert "separable_conv2d_keras_1         (None, 80, 80, 64)        283" in layers
    assert "Total params: 156,446\nTrainable params: 155,166\nNon-trainable params: 1,280" in layers
    pairs, _ = invoke("models", "segnet_separable", "--against", "segnet", "--size", "128")
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in pairs.splitlines() if "│" in line]
    assert rows[0] == ["3 -> 64", "128x128", "1,728", "219", "7.89", "28.31", "3.59", "7.89"]
    assert rows[-1][2:5] == ["15,274,892", "1,749,671", "8.73"]

    wrong = fcn_follow("models", "fcn_0O0")
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert "did you mean fcn_00" in wrong.stderr


def test_softmax_of_the_output_is_a_distribution():
    with torch.no_grad():
        p = torch.softmax(build_network("fcn_000").eval()(torch.randn(1, 3, 40, 40)), 1)
    assert np.allclose(p.sum(1), 1, atol=1e-5)
