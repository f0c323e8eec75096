"""Weights files: safetensors with the model card in the metadata; a file that does not fit is refused."""

from __future__ import annotations

import dataclasses
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from fcn_follow.errors import MAX_SHOWN, UserError, nearest, shown
from fcn_follow.networks.keras.graph import build_graph, from_card
from fcn_follow.networks.registry import build_network, network_info
from fcn_follow.networks.tensor_file import finite_tensors, open_tensors, save_tensors
from fcn_follow.share import share_directory

CARD_KEY = "fcn_follow_card"
CLASSES = ("background", "other people", "hero")
NORMALISATION = "value / 127.5 - 1"
METRES, PER_IMAGE = "metres", "per_image"
MAX_CARD_CHARACTERS = 4 << 20
MAX_INPUT_SIDE_PX, MAX_INPUT_PX = 2048, 1024 * 1024
_FLOATS = ("F32", "F16", "BF16")
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "tuple[str, ...]": (tuple,),
    "dict[str, float]": (dict,),
    "dict[str, Any] | None": (dict, type(None)),
}  # the types in JSON of the fields of a card


@dataclass(frozen=True)
class ModelCard:
    """The description of a network in its weights file.

    input_height_px and input_width_px are the size of the training images. A pixel is the hero's if its probability
    reaches hero_probability_threshold, in a blob that somewhere reaches hero_confirm_probability. The hero counts as
    seen with at least hero_min_area_px pixels at that size. These three are chosen on held-out runs. With flip_average
    the probabilities are the mean over the frame and its mirror image. scores are held-out figures by name.
    depth says how to read the last channel d of a network with a depth head, and is empty without one. METRES: exp(d)
    is the depth along the optical axis for a camera with a vertical focal length of depth_focal_px pixels at the input
    size; it scales with the focal length. PER_IMAGE: the sigmoid of d is the depth, scaled to 0..1 in each image
    (source 003). The other channels are the logits of the three classes, or the one of the hero.
    graph describes a network that is not in the registry (`keras.graph.to_card`).
    """

    network: str
    input_height_px: int
    input_width_px: int
    classes: tuple[str, ...] = CLASSES
    normalisation: str = NORMALISATION
    hero_probability_threshold: float = 0.5
    hero_confirm_probability: float = 0.0
    hero_min_area_px: int = 4
    flip_average: bool = False
    depth: str = ""
    depth_focal_px: float = 0.0
    data: str = ""
    command: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""
    graph: dict[str, Any] | None = None

    @property
    def thresholds(self) -> tuple[float, float]:
        """The least probabilities of the hero in a candidate pixel and in a sure pixel."""
        return self.hero_probability_threshold, max(self.hero_probability_threshold, self.hero_confirm_probability)


@dataclass(frozen=True)
class LoadedWeights:
    """A network in eval mode with its card."""

    network: nn.Module
    card: ModelCard


def save_weights(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write network and card to `path` atomically. Raises UserError if it cannot be written."""
    save_tensors(path, network.state_dict(), {CARD_KEY: json.dumps(dataclasses.asdict(card))})


def require_metres(card: ModelCard) -> None:
    """Raise UserError for weights without a depth head in metres."""
    if card.depth != METRES:
        problem = f"gives depth as {card.depth}" if card.depth else "gives no depth"
        raise UserError(f"the network {card.network} {problem}; use weights with a depth head that gives metres")


def read_card(path: Path) -> ModelCard:
    """The model card of a weights file. Raises UserError if it has none or an impossible one."""
    with _open(path) as file:
        return _card(path, file)


def load_weights(path: Path, classes: tuple[str, ...] = CLASSES) -> LoadedWeights:
    """The network in a weights file, in eval mode on the CPU, with its card; `classes` are those that it must have.

    Raises UserError, naming the file, if it is missing, truncated, no safetensors file, without a card, or if its
    tensors are not finite or not those of the network in the card.
    """
    with _open(path) as file:
        card = _card(path, file, classes)
        network = _network(path, card)
        _check_shapes(path, card, file, network)
        tensors = finite_tensors(path, file)
    if card.graph is not None:
        network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return LoadedWeights(network.eval(), card)


def _open(path: Path) -> AbstractContextManager[Any]:
    if not path.is_file():
        what = "a folder, and no weights file" if path.is_dir() else "there is no such weights file"
        raise UserError(f"{path}: {what}{_instead(path)}")
    return open_tensors(path)


def _instead(path: Path) -> str:
    """What may be meant by a path without weights: a file of a similar name, there or shipped, or any in the folder."""
    there = sorted((path if path.is_dir() else path.parent).glob("*.safetensors"))
    by_name = {file.stem: file for file in [*(share_directory() / "weights").glob("*.safetensors"), *there]}
    if near := nearest(path.stem, by_name):
        return f"; did you mean {by_name[near]}?"
    return f"; in that folder are {', '.join(file.name for file in there)}" if there else ""


def _card(path: Path, file: Any, classes: tuple[str, ...] = CLASSES) -> ModelCard:
    metadata = file.metadata() or {}
    if CARD_KEY not in metadata:
        raise UserError(f"{path}: a safetensors file without a model card of fcn_follow; it was made by something else")
    return card_of(path, metadata[CARD_KEY], classes)


def _check_shapes(path: Path, card: ModelCard, file: Any, network: nn.Module) -> None:
    """Raise UserError, before a tensor is read, if the tensors of a file are not those of the network."""
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    found = {name: (tuple(item.get_shape()), item.get_dtype() in _FLOATS) for name, item in slices.items()}
    wanted = {name: (tuple(item.shape), item.is_floating_point()) for name, item in network.state_dict().items()}
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{name} is not part of it" for name in found if name not in wanted]
    problems += [
        f"{name} is {found[name][0]} instead of {shape}, or of another type"
        for name, (shape, is_float) in wanted.items()
        if name in found and found[name] != (shape, is_float)
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{path}: these are not weights of the network {card.network}: {problems[0][:200]}{more}")


def _network(path: Path, card: ModelCard) -> nn.Module:
    """The network of a card: from the registry with random weights, or from the card's graph on the meta device."""
    if card.graph is None:
        if network_info(card.network).has_depth != bool(card.depth):
            raise UserError(f"{path}: its model card has depth {card.depth!r}, which is not what {card.network} gives")
        return build_network(card.network)
    try:
        return build_graph(from_card(card.graph))
    except (UserError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: its model card describes no possible network ({error})") from error


def card_of(path: Path, text: str, classes: tuple[str, ...] = CLASSES) -> ModelCard:
    """The model card in a text. Raises UserError, naming the file, if it is unreadable or impossible."""
    if len(text) > MAX_CARD_CHARACTERS:
        raise UserError(f"{path}: its model card is larger than any; it was made by something else")
    try:
        values: dict[str, Any] = json.loads(text)
        values["classes"] = tuple(values["classes"])
        card = ModelCard(**values)
        problem = _kind_problem(card) or _card_problem(card, classes)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: its model card cannot be read ({error})") from error
    if problem:
        raise UserError(f"{path}: its model card {problem}")
    return card


def _kind_problem(card: ModelCard) -> str:
    """Which field of the card has a wrong type, or an empty text."""
    for item in dataclasses.fields(card):
        value = getattr(card, item.name)
        if type(value) not in _KINDS[str(item.type)]:
            return f"has {shown(value)} as {item.name}; it must be {item.type}"
    for name, score in card.scores.items():
        if type(score) not in (int, float):
            return f"has {shown(score)} as the score {shown(name)}; it must be a number"
    return ""


def _card_problem(card: ModelCard, classes: tuple[str, ...]) -> str:
    """Which value of the card is impossible, or an empty text."""
    if card.classes != classes:
        return f"names the classes {', '.join(map(str, card.classes))[:MAX_SHOWN]}; they must be {', '.join(classes)}"
    if card.normalisation != NORMALISATION:
        return f"expects the input as {shown(card.normalisation)}; this package gives {NORMALISATION!r}"
    sides_px = card.input_height_px, card.input_width_px
    if not (min(sides_px) >= 8 and max(sides_px) <= MAX_INPUT_SIDE_PX and sides_px[0] * sides_px[1] <= MAX_INPUT_PX):
        return f"has an impossible input size of {card.input_width_px}x{card.input_height_px}"
    if not 0.0 < card.hero_probability_threshold < 1.0:
        return f"has an impossible hero_probability_threshold of {card.hero_probability_threshold}"
    if not 0.0 <= card.hero_confirm_probability < 1.0:
        return f"has an impossible hero_confirm_probability of {card.hero_confirm_probability}"
    if card.depth not in ("", METRES, PER_IMAGE):
        return f"has an impossible depth of {shown(card.depth)}; known are {METRES!r} and {PER_IMAGE!r}"
    if card.depth == METRES and not 1.0 <= card.depth_focal_px <= 100_000.0:
        return f"has an impossible depth_focal_px of {card.depth_focal_px}"
    if card.depth and card.flip_average:
        return "averages over the mirror image, which a network with a depth head does not"
    if card.hero_min_area_px < 1:
        return f"has an impossible hero_min_area_px of {card.hero_min_area_px}"
    return ""
