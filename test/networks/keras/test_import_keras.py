"""The course's Keras files: what real Keras answered, and everything that is refused."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from command_line import fcn_follow
from frame_folders import write_frames

from fcn_follow.errors import UserError
from fcn_follow.inference.engine import EngineSpec, open_engine
from fcn_follow.inference.interpreter import Interpreter
from fcn_follow.inference.tracing import graph_of
from fcn_follow.networks.keras.graph import GraphLayer, KerasGraph, build_graph, from_card, to_card
from fcn_follow.networks.keras.weights_import import import_keras, parse_architecture
from fcn_follow.networks.weights import ModelCard, load_weights, save_weights
from fcn_follow.perception.segmenter import Segmenter

REFERENCE = Path(__file__).parents[2] / "support" / "keras_reference"
TOLERANCE = 1e-4


@pytest.fixture
def files(tmp_path):
    for name in ("model_weights", "config_model_weights"):
        shutil.copy(REFERENCE / name, tmp_path / name)
    return tmp_path


def architecture():
    return json.loads(json.loads((REFERENCE / "config_model_weights").read_text()))


def answer_of(network, name="answer.npz"):
    """The network's probabilities for the reference's images, and those of Keras."""
    reference = np.load(REFERENCE / name)
    with torch.no_grad():
        logits = network(torch.from_numpy(reference["images"]).permute(0, 3, 1, 2))
    return logits.softmax(1).permute(0, 2, 3, 1).numpy(), reference["probabilities"]


def test_the_forward_pass_is_that_of_real_keras():
    network = import_keras(REFERENCE / "model_weights", REFERENCE / "config_model_weights")
    kinds = {layer.kind for layer in network.graph.layers}
    assert len(kinds) == 8  # every kind of layer of the family is in the reference
    ours, theirs = answer_of(network)
    assert theirs.std() > 0.05
    assert np.abs(ours - theirs).max() < TOLERANCE


def test_a_whole_model_file_needs_no_second_one(files):
    whole = files / "whole.h5"
    with h5py.File(REFERENCE / "model_weights") as source, h5py.File(whole, "w") as target:
        target.attrs["model_config"] = json.dumps(architecture())
        for layer in source:
            source.copy(layer, target.require_group("model_weights"))
        target.create_group("optimizer_weights")["iterations"] = 160
    ours, theirs = answer_of(import_keras(whole))
    assert np.abs(ours - theirs).max() < TOLERANCE
    with pytest.raises(UserError, match="holds weights alone; name the architecture file too"):
        import_keras(files / "model_weights")


def test_a_model_of_keras_3_with_average_pooling_is_that_of_real_keras():
    network = import_keras(REFERENCE / "keras3.h5")
    pooled = [(layer.same, layer.kernel_px) for layer in network.graph.layers if layer.kind == "average_pool"]
    assert pooled == [(False, (2, 2)), (True, (3, 3))]
    ours, theirs = answer_of(network, "keras3_answer.npz")
    assert theirs.std() > 0.05
    assert np.abs(ours - theirs).max() < TOLERANCE


def test_average_pooling_without_padding_runs_on_every_engine_and_with_padding_on_torch():
    pooling = GraphLayer("pool", "average_pool", ("input",), kernel_px=(2, 2), stride_px=(2, 2), same=True)
    up = GraphLayer("up", "upsample", ("pool",), kernel_px=(2, 2))
    head = GraphLayer("head", "conv", ("up",), filters=3, kernel_px=(3, 3))
    torch.manual_seed(2)
    network = build_graph(KerasGraph(16, 24, (pooling, up, head))).to_empty(device="cpu")
    for tensor in network.parameters():
        torch.nn.init.normal_(tensor)
    images = torch.randint(0, 256, (2, 16, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(images.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
        rewritten = Interpreter(graph_of(network, 16, 24))(images)
    assert torch.allclose(rewritten, expected, atol=1e-5)
    with pytest.raises(UserError, match="an average over windows that reach over the edge is not supported"):
        graph_of(import_keras(REFERENCE / "keras3.h5"), 32, 32)


def test_what_else_keras_3_writes_is_recognised(files):
    content = h5py.File(REFERENCE / "keras3.h5").attrs["model_config"]
    (files / "lambda.json").write_text(content.replace('"class_name": "AveragePooling2D"', '"class_name": "Lambda"'))
    with h5py.File(files / "k.weights.h5", "w") as file:
        file.create_group("vars")
        file.create_group("layers/conv2d/vars")["0"] = np.zeros(3, np.float32)
    with zipfile.ZipFile(files / "k.keras", "w") as archive:
        archive.writestr("config.json", content)
    for name, architecture, message in (
        ("keras3.h5", files / "lambda.json", r"lambda\.json \(written by Keras 3\): layer 'average_pooling2d'"),
        ("k.weights.h5", None, r"k\.weights\.h5: weights alone, as Keras 3 saves them .* model\.save\('NAME\.h5'\)"),
        ("k.keras", None, r"k\.keras: a zip, as Keras 3 saves a model .* model\.save\('NAME\.h5'\)"),
    ):
        folder = REFERENCE if name == "keras3.h5" else files
        with pytest.raises(UserError, match=message):
            import_keras(folder / name, architecture)


def test_imported_weights_work_on_the_engines_and_in_the_score(files):
    out = files / "mine.safetensors"
    done = fcn_follow("import-keras", files / "model_weights", files / "config_model_weights", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "23 layers, 2,055 parameters, input 32x32" in done.stderr
    loaded = load_weights(out)
    assert (loaded.card.network, loaded.card.input_height_px) == ("mine", 32)
    ours, theirs = answer_of(loaded.network)
    assert np.abs(ours - theirs).max() < TOLERANCE
    frame = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    labels = [Segmenter(loaded, open_engine(EngineSpec(name), loaded)).segment(frame) for name in ("torch", "openvino")]
    assert labels[0].shape == (48, 64)
    assert np.mean(labels[0] != labels[1]) < 0.01
    scored = fcn_follow("score", "--weights", out, "--data", write_frames(files / "town", 3), "--json")
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["network"] == "mine"


def layer_of(content, class_name):
    return next(layer for layer in content["config"]["layers"] if layer["class_name"] == class_name)


def change(kind, **values):
    return lambda content: layer_of(content, kind)["config"].update(values)


def set_entry(kind, **values):
    return lambda content: layer_of(content, kind).update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_entry("Dropout", class_name="Lambda"), r"layer 'dropout\w*' \(Lambda\): this layer is not known; known"),
        (change("Conv2D", activation="tanh"), "the activation 'tanh' is not known"),
        (change("SeparableConv2DKeras", padding="valid"), "the padding must be 'same'"),
        (change("SeparableConv2DKeras", depth_multiplier=2), "depth_multiplier of 2"),
        (change("SeparableConv2DKeras", filters=10**9), "has 1000000000 filters"),
        (change("SeparableConv2DKeras", filters=7), "do not fit"),
        (change("BilinearUpSampling2D", size=[3, 3]), r"enlarges by \(3, 3\)"),
        (change("Concatenate", axis=1), "works along the axis 1"),
        (change("InputLayer", batch_input_shape=[None, 32, 32, 1]), "takes 1 channels"),
        (change("InputLayer", batch_input_shape=[None, 10**6, 32, 3]), "an input of 32x1000000 pixels"),
        (change("InputLayer", batch_input_shape=[None, 30, 34, 3]), "do not fit each other"),
        (change("Conv2D", data_format="channels_first"), "channels first"),
        (set_entry("Dropout", inbound_nodes=[]), "is used 0 times"),
        (set_entry("Add", inbound_nodes=[[["nowhere", 0, 0, {}], ["conv2d", 0, 0, {}]]]), "takes 'nowhere', which"),
        (lambda content: content["config"]["layers"].pop(), "is not its last layer"),
        (lambda content: content.pop("config"), "not the architecture of a Keras network"),
    ],
)  # fmt: skip
def test_architectures_that_are_refused(files, edit, message):
    content = architecture()
    edit(content)
    (files / "config_model_weights").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        import_keras(files / "model_weights", files / "config_model_weights")


@pytest.mark.parametrize("text", ["", "{", "[]", '"{}"', "null", "3", "[" * 100_000, '{"config": {"layers": 3}}'])
def test_texts_that_are_no_architecture(text):
    with pytest.raises(UserError, match="not the architecture of a Keras network"):
        parse_architecture(text)


KERNEL = "conv2d/conv2d/kernel:0"


def drop(file):
    del file[KERNEL]


def replace(array, **options):
    def edit(file):
        del file[KERNEL]
        file.create_dataset(KERNEL, data=array, **options)

    return edit


def link(target):
    def edit(file):
        del file[KERNEL]
        file[KERNEL] = target

    return edit


def add_layer(file):
    file["surprise/surprise/kernel:0"] = np.zeros(3, np.float32)


def add_array(file):
    file["conv2d/conv2d/gate:0"] = np.zeros(3, np.float32)


def add_circle(file):
    file["conv2d/conv2d/again"] = file["conv2d"]


GOOD = np.zeros((1, 3, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop, "layer 'conv2d': its weight is missing"),
        (replace(GOOD[..., :4]), r"layer 'conv2d': its weight is \(4, 8, 1, 3\) instead of \(8, 8, 1, 3\)"),
        (replace(np.full_like(GOOD, np.nan)), "holds NaN or infinite numbers"),
        (replace(GOOD.astype(np.int32)), "is not plain numbers"),
        (replace(GOOD, compression="gzip"), "is not plain numbers"),
        (replace(GOOD, external=[("/etc/hostname", 0, GOOD.nbytes)]), "is not plain numbers|cannot be read"),
        (link(h5py.ExternalLink("/etc/passwd", "/kernel")), "is a link; only plain data is read"),
        (link(h5py.SoftLink("/conv2d/conv2d/bias:0")), "is a link; only plain data is read"),
        (add_layer, "holds weights of 'surprise', a layer that the architecture does not have"),
        (add_array, "holds an array 'gate'"),
        (add_circle, "nested deeper or wider"),
    ],
)
def test_weights_that_are_refused(files, edit, message):
    with h5py.File(files / "model_weights", "r+") as file:
        edit(file)
    with pytest.raises(UserError, match=message):
        import_keras(files / "model_weights", files / "config_model_weights")


def test_a_huge_dataset_is_refused_before_it_is_read(files):
    with h5py.File(files / "model_weights", "r+") as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, (1 << 20, 1 << 20), np.float32)  # takes no space: never written
    with pytest.raises(UserError, match="more than a network of this family can have"):
        import_keras(files / "model_weights", files / "config_model_weights")


def test_files_that_are_refused_in_one_line(files):
    whole = (files / "model_weights").read_bytes()
    (files / "truncated").write_bytes(whole[: len(whole) // 2])
    (files / "pickle").write_bytes(b"\x80\x04 a pickle")
    for name, message in (("truncated", "not an HDF5 file, or a damaged one"), ("nowhere", "there is no such file")):
        with pytest.raises(UserError, match=message):
            import_keras(files / name, files / "config_model_weights")
    out = files / "w.safetensors"
    result = fcn_follow("import-keras", files / "pickle", files / "config_model_weights", "--out", out)
    assert result.returncode == 1
    assert "not an HDF5 file, or a damaged one" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()
    out.write_bytes(b"the training of a night")
    result = fcn_follow("import-keras", files / "model_weights", files / "config_model_weights", "--out", out)
    assert result.returncode == 1 and "w.safetensors: is there already; move it away" in " ".join(result.stderr.split())
    assert out.read_bytes() == b"the training of a night"


def small_graph():
    return KerasGraph(16, 16, (GraphLayer("head", "conv", ("input",), filters=3, kernel_px=(3, 3)),))


def test_a_graph_survives_the_card():
    graph = small_graph()
    assert from_card(json.loads(json.dumps(to_card(graph)))) == graph
    assert all(parameter.is_meta for parameter in build_graph(graph).parameters())


@pytest.mark.parametrize(
    "edit",
    [
        lambda graph: graph["layers"][0].update(filters=10**8),
        lambda graph: graph["layers"][0].update(filters="many"),
        lambda graph: graph["layers"][0].update(surprise=1),
        lambda graph: graph["layers"].clear(),
        lambda graph: graph.update(input_px=3),
        lambda graph: graph.update(layers="conv"),
    ],
)
def test_cards_whose_graph_is_impossible(tmp_path, edit):
    graph = to_card(small_graph())
    network = build_graph(small_graph()).to_empty(device="cpu")
    edit(graph)
    save_weights(tmp_path / "a.safetensors", network, ModelCard("mine", 16, 16, graph=graph))
    with pytest.raises(UserError, match="describes no possible network"):
        load_weights(tmp_path / "a.safetensors")
