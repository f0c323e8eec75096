"""All parameters of a training in one frozen dataclass; a recipe is a YAML file of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fcn_follow.errors import UserError, shown
from fcn_follow.lab.data.augment import AugmentParameters
from fcn_follow.lab.training.judgement import HERO, PEOPLE, SCORE
from fcn_follow.networks.weights import METRES, PER_IMAGE
from fcn_follow.parameters import parameter, with_values
from fcn_follow.yaml_text import read_yaml


@dataclass(frozen=True)
class TrainingParameters:
    """The parameters of a training; docs/training.md describes how to set them."""

    network: str = parameter("hero_net", "network by its name in `fcn-follow models`")
    input_px: int = parameter(160, "side of the square network input", unit="px", minimum=16, maximum=1024)
    frame_px: int = parameter(256, "side of the square frames in memory", unit="px", minimum=16, maximum=2048)
    fraction: float = parameter(1.0, "share of the training frames to use", minimum=0.001, maximum=1.0)
    seed: int = parameter(1, "seed of initial weights, order and augmentation", minimum=0, maximum=2**31 - 1)
    workers: int = parameter(2, "threads that decode frames", minimum=1, maximum=64)

    epochs: int = parameter(40, "number of epochs", minimum=1, maximum=100_000)
    minutes: float = parameter(
        0.0, "time limit, to which the schedule is then shortened; 0: no limit", unit="min", minimum=0.0
    )
    steps_per_epoch: int = parameter(0, "steps in an epoch; 0: one pass over the frames", minimum=0, maximum=10**6)
    batch_size: int = parameter(32, "frames in a step", minimum=1, maximum=4096)
    sampling: str = parameter(
        "natural",
        "natural: frames as they are; balanced: heroes of all sizes equally often",
        choices=("natural", "balanced"),
    )
    without_hero: float = parameter(0.35, "share of frames without a hero when balanced", minimum=0.0, maximum=1.0)
    mining: bool = parameter(
        False, "draw a frame without a hero more often, the more certain the network is that it shows one"
    )

    loss: str = parameter("cross_entropy", "sum of losses by name, as in 'cross_entropy + 0.5 dice'")
    people_weight: float = parameter(1.0, "class weight of other people", minimum=0.0, maximum=1000.0)
    hero_weight: float = parameter(1.0, "class weight of the hero", minimum=0.0, maximum=1000.0)
    depth_loss: str = parameter("", "loss of a depth head: sum of losses by name, as in 'ssim + people_log'")
    depth: str = parameter(
        METRES,
        "target of a depth head: metres, or the depth scaled to 0..1 in each image",
        choices=(METRES, PER_IMAGE),
    )
    depth_focal_px: float = parameter(
        128.0, "vertical focal length for which a depth head gives metres", unit="px", minimum=1.0, maximum=100_000.0
    )
    distillation: float = parameter(0.0, "weight of the teacher's output in the loss", minimum=0.0, maximum=100.0)

    learn: str = parameter("", "train only the layers whose names begin with this; empty: all")
    optimizer: str = parameter("adam", "optimizer", choices=("adam", "adamw"))
    learning_rate: float = parameter(0.001, "highest learning rate", minimum=1e-9, maximum=10.0)
    weight_decay: float = parameter(0.0, "weight decay", minimum=0.0, maximum=1.0)
    schedule: str = parameter(
        "constant", "schedule of the learning rate", choices=("constant", "step", "cosine", "one_cycle")
    )
    step_epochs: int = parameter(7, "epochs between two steps of the step schedule", minimum=1, maximum=10**6)
    step_factor: float = parameter(0.7, "factor of one step of the step schedule", minimum=0.0, maximum=1.0)
    ema_decay: float = parameter(
        0.0, "decay of the averaged weights that are kept; 0 for none", minimum=0.0, maximum=0.99999
    )
    precision: str = parameter("fp32", "arithmetic of the forward pass", choices=("fp32", "bf16"))
    compile: bool = parameter(False, "compile the network with torch.compile; on a GPU it saves time after a minute")

    evaluate_epochs: int = parameter(1, "epochs between two evaluations on the held-out runs", minimum=1, maximum=10**6)
    keep_by: str = parameter(
        SCORE,
        "score: keep the weights with the best score; people: by IoU of people and near IoU; hero: by IoU of the hero",
        choices=(SCORE, PEOPLE, HERO),
    )
    early_stop_epochs: int = parameter(
        0, "stop after this many epochs without a better score; 0: never", minimum=0, maximum=10**6
    )
    flip_average: bool = parameter(False, "predict the mean over a frame and its mirror image")

    augment: AugmentParameters = AugmentParameters()  # noqa: RUF009 - frozen


def read_recipe(path: Path) -> TrainingParameters:
    """The parameters of a recipe file. Raises UserError for unknown names and impossible values."""
    content = read_yaml(path, "a recipe") or {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: a recipe is a list of 'name: value' lines")
    try:
        return with_values(TrainingParameters(), flatten(content))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def flatten(content: Mapping[object, object], prefix: str = "") -> dict[str, object]:
    """Nested mappings to dotted names."""
    flat: dict[str, object] = {}
    for key, value in content.items():
        name = prefix + (key if isinstance(key, str) else shown(key))
        flat.update(flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat
