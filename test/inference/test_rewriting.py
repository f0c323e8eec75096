"""Each rule of rewriting alone, all of them on every network, and the ONNX model against PyTorch."""

from __future__ import annotations

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from made_weights import SIZE_MULTIPLES, lived_in

from fcn_follow.errors import UserError
from fcn_follow.inference import rewriting
from fcn_follow.inference.graph import Graph
from fcn_follow.inference.interpreter import Interpreter
from fcn_follow.inference.onnx_model import onnx_model
from fcn_follow.inference.operations import (
    Affine,
    Codes,
    Convolution,
    Join,
    Probabilities,
    Relu,
    Shift,
    Upsample2x,
    WithMirrored,
)
from fcn_follow.inference.tracing import graph_of
from fcn_follow.networks.hero_net import SeparableBlock
from fcn_follow.networks.keras.layers import Add as KerasAdd
from fcn_follow.networks.keras.layers import (
    BatchNorm,
    BilinearUpsample2x,
    Concatenate,
    Conv2dSame,
    MaxPool2d,
    SeparableConv2dSame,
)
from fcn_follow.networks.registry import NETWORKS, build_network

SIZES = [(64, 96), (61, 47)]


def pixels(height_px: int, width_px: int, frames: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (frames, height_px, width_px, 3), dtype=torch.uint8, generator=generator)


@torch.inference_mode()
def outputs(network: torch.nn.Module, graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
    images = pixels(*graph.size_px)
    return network(images.permute(0, 3, 1, 2).float() / 127.5 - 1.0), Interpreter(graph)(images)


def kinds(graph: Graph) -> list[type]:
    return [type(node.operation) for node in graph.nodes.values()]


@pytest.mark.parametrize("name", ["vit_segmenter", "mask_depth_transposed"])
def test_a_network_that_graphs_do_not_know_is_refused(name):
    with pytest.raises(UserError, match="is not supported; use engine torch"):
        graph_of(build_network(name).eval(), 64, 96)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in SIZE_MULTIPLES])
@pytest.mark.parametrize("size", SIZES)
def test_every_network_rewritten_gives_the_same(name, size):
    network = lived_in(build_network(name))
    graph = rewriting.rewritten(graph_of(network, *size))
    expected, found = outputs(network, graph)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-4 * max(1.0, float(expected.abs().max())))
    assert Affine not in kinds(graph)


@pytest.mark.parametrize("name", ["segnet", "segnet_separable"])
def test_segnet_rewritten_gives_the_same(name):
    network = lived_in(build_network(name))
    graph = rewriting.rewritten(graph_of(network, 64, 96))
    expected, found = outputs(network, graph)
    off = (found - expected).abs() > 1e-4 * float(expected.abs().max())
    assert off.float().mean() < 1e-3  # where two of four pixels are as large but for the rounding, either may be chosen


class PooledAndBack(torch.nn.Module):
    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.pool, self.unpool = torch.nn.MaxPool2d(size, return_indices=True), torch.nn.MaxUnpool2d(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled, indices = self.pool(x)
        return self.unpool(pooled + pooled, indices)


def test_unpooling_puts_a_value_where_the_first_largest_was():
    network, images = PooledAndBack(), pixels(16, 24) // 86 * 100  # three levels: most windows have several largest
    graph = graph_of(network, 16, 24)
    expected = network(images.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
    assert torch.equal(Interpreter(graph)(images), expected)
    model = onnx_model(graph)
    (by_onnxruntime,) = onnxruntime.InferenceSession(model).run(None, {"images": images.numpy()})
    np.testing.assert_allclose(by_onnxruntime, expected.numpy(), atol=1e-6)
    by_openvino = openvino.Core().compile_model(openvino.Core().read_model(model), "CPU")(images.numpy())[0]
    np.testing.assert_allclose(by_openvino, expected.numpy(), atol=1e-6)


def test_unpooling_of_other_windows_is_refused():
    with pytest.raises(UserError, match="MaxUnpool2d is not supported"):
        graph_of(PooledAndBack(4), 16, 24)


def test_the_head_goes_before_upsampling_and_crop():
    network = lived_in(build_network("fcn_000"))
    traced = graph_of(network, 61, 47)
    graph = rewriting.head_before_upsampling(traced)
    *_, before, upsampling, crop = graph.nodes.values()
    assert isinstance(before.operation, Convolution)
    assert before.operation.weight.shape[:2] == (3, 128)
    assert isinstance(upsampling.operation, Upsample2x)
    assert kinds(traced)[-1] is Convolution
    assert crop.inputs == (list(graph.nodes)[-2],)
    assert torch.allclose(*outputs(network, graph), atol=1e-4)


def test_a_head_that_makes_more_channels_stays_behind_the_upsampling():
    network = torch.nn.Sequential(BilinearUpsample2x(), Conv2dSame(3, 8, 1)).eval()
    graph = graph_of(network, 16, 16)
    assert rewriting.head_before_upsampling(graph) is graph


def test_a_norm_before_the_relu_goes_into_the_convolution():
    network = lived_in(torch.nn.Sequential(Conv2dSame(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()), -1.0)
    graph = rewriting.fold_norm_before_relu(graph_of(network, 20, 20))
    assert kinds(graph)[1:] == [Convolution, Relu]
    assert torch.allclose(*outputs(network, graph), atol=1e-5)


@pytest.mark.parametrize(("lowest_gamma", "behind"), [(0.2, [Relu, Shift]), (-0.5, [Relu, Affine])])
def test_a_norm_after_the_relu_is_folded_where_every_gamma_is_positive(lowest_gamma, behind):
    network = lived_in(torch.nn.Sequential(Conv2dSame(3, 16, 3, relu=True), BatchNorm(16)), lowest_gamma)
    graph = rewriting.fold_norm_after_relu(graph_of(network, 20, 20))
    assert kinds(graph)[1:] == [Convolution, *behind]
    assert torch.allclose(*outputs(network, graph), atol=1e-5)


@pytest.mark.parametrize(("channels", "convolutions"), [(3, 1), (8, 2)])
def test_depthwise_and_pointwise_of_few_channels_become_one(channels, convolutions):
    stem = [] if channels == 3 else [Conv2dSame(3, channels, 1, relu=True)]
    network = torch.nn.Sequential(*stem, SeparableConv2dSame(channels, 8, stride=2)).eval()
    graph = rewriting.merge_first_layer(graph_of(network, 21, 20))
    assert kinds(graph).count(Convolution) - len(stem) == convolutions
    assert torch.allclose(*outputs(network, graph), atol=1e-5)


class Decoder(torch.nn.Module):
    """A join of what was upsampled and cropped with a skip, and what stands behind it."""

    def __init__(self, behind: torch.nn.Module) -> None:
        super().__init__()
        self.first, self.low = Conv2dSame(3, 5, 3), Conv2dSame(5, 6, 3, 2)
        self.upsample, self.join, self.behind = BilinearUpsample2x(), Concatenate(), behind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.behind(self.join(self.upsample(self.low(x)), x))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("behind", "splits"),
    [(SeparableConv2dSame(11, 7), True), (SeparableBlock(11, 7), True), (Conv2dSame(11, 7, 3), False)],
)
def test_a_join_in_front_of_a_separable_convolution_is_not_made(behind, splits, size):
    network = lived_in(Decoder(behind))
    graph = rewriting.split_joined(rewriting.fold_norm_before_relu(graph_of(network, *size)))
    assert (Join in kinds(graph)) is not splits
    expected, found = outputs(network, graph)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "few"), [(3, 3), (6, 0)])
def test_an_upsampling_of_few_channels_in_every_form(channels, few, size):
    network = torch.nn.Sequential(Conv2dSame(3, channels, 3), BilinearUpsample2x(), Conv2dSame(channels, 3, 3))
    graph = rewriting.name_few_channels(graph_of(network, *size))
    assert [node.operation for node in graph.nodes.values()][2] == Upsample2x(few)
    expected, found = outputs(network, graph)
    assert torch.allclose(found, expected, atol=1e-5)
    session = onnxruntime.InferenceSession(onnx_model(graph.then("p", Probabilities(False))))
    (result,) = session.run(None, {"images": pixels(*size).numpy()})
    np.testing.assert_allclose(result, expected.softmax(1).numpy(), atol=1e-5)


def test_what_two_layers_take_is_not_folded_away():
    class Skip(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = Conv2dSame(3, 4, 3), torch.nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.convolution(x)
            return self.norm(y) + y

    network = lived_in(Skip())
    graph = rewriting.rewritten(graph_of(network, 12, 12))
    assert Affine in kinds(graph)
    assert torch.allclose(*outputs(network, graph), atol=1e-5)


class KerasZoo(torch.nn.Module):
    """What only imported networks have: pools, sums, dilation, oblong kernels and strides, no bias, valid padding."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Conv2dSame(3, 6, (3, 5), (1, 2), dilation=(2, 1), bias=False)
        self.pool = MaxPool2d((3, 2), (2, 1), same=True)
        self.wide = SeparableConv2dSame(6, 6, (5, 3), dilation=2)
        self.valid = torch.nn.Conv2d(6, 3, (3, 1))
        self.last_pool = MaxPool2d((2, 2), (2, 2), same=False)
        self.add, self.dropout = KerasAdd(), torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.first(x))
        return self.last_pool(self.valid(self.dropout(self.add(x, self.wide(x), x))))


@pytest.mark.parametrize("size", SIZES)
def test_layers_of_imported_networks(size):
    network = lived_in(KerasZoo())
    graph = rewriting.rewritten(graph_of(network, *size))
    expected, found = outputs(network, graph)
    assert torch.allclose(found, expected, atol=1e-5)
    session = onnxruntime.InferenceSession(onnx_model(graph.then("p", Probabilities(False))))
    (result,) = session.run(None, {"images": pixels(*size).numpy()})
    np.testing.assert_allclose(result, expected.softmax(1).numpy(), atol=1e-5)


def test_a_layer_without_an_operation_is_named():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.GELU()).eval()
    with pytest.raises(UserError, match="GELU is not supported; use engine torch"):
        graph_of(network, 8, 8)

    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2.0

    with pytest.raises(UserError, match="mul is not supported"):
        graph_of(Doubled(), 8, 8)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_codes_in_pytorch_in_onnx_and_by_hand(mirrored, size):
    network = lived_in(build_network("hero_net"))
    graph = rewriting.rewritten(graph_of(network, *size))
    if mirrored:
        graph = graph.after(next(iter(graph.nodes)), "mirrored", WithMirrored())
    probable = graph.then("probabilities", Probabilities(mirrored))
    images = pixels(*size, frames=2)
    with torch.inference_mode():
        x = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        p = network(x).softmax(1)
        if mirrored:
            p = (p + network(x.flip(3)).softmax(1).flip(3)) / 2
        lower, upper = (float(p[:, 2].quantile(q)) for q in (0.5, 0.8))
        coded = probable.then("codes", Codes((lower, upper)))
        expected = (p[:, 1] > p[:, 0]).int() + 2 * (p[:, 2] >= lower).int() + 2 * (p[:, 2] >= upper).int()
        assert torch.allclose(Interpreter(probable)(images), p, atol=1e-5)
        assert (Interpreter(coded)(images) == expected).float().mean() >= 0.9999 - 3 / expected.numel()
    for which, reference, batch in ((probable, p, None), (coded, expected, 2)):
        session = onnxruntime.InferenceSession(onnx_model(which, {"card": "text"}, batch))
        (result,) = session.run(None, {"images": images.numpy()})
        assert session.get_modelmeta().custom_metadata_map == {"card": "text"}
        if which is probable:
            np.testing.assert_allclose(result, reference.numpy(), atol=1e-5)
        else:
            assert result.dtype == np.uint8
            assert (result == reference.numpy()).mean() >= 0.9999 - 3 / result.size
    assert set(np.unique(expected)) >= {0, 2, 4} or set(np.unique(expected)) >= {1, 3, 5}
