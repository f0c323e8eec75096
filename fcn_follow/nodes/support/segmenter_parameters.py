"""The parameters of the node `segmenter`."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.inference.kinds import DEVICES, ENGINES, PRECISIONS
from fcn_follow.parameters import fixed_parameter, parameter
from fcn_follow.perception.pipeline import HeroFinderParameters


@dataclass(frozen=True)
class NetworkParameters:
    """The engine of the network, and its images."""

    weights: str = fixed_parameter(
        "",
        "weights file (safetensors, or exported .onnx, .xml); empty: the package's hero_net, or people_net for a "
        "pointed hero",
    )
    device: str = fixed_parameter("auto", "where the network runs; auto: on CUDA if there is a GPU", choices=DEVICES)
    engine: str = fixed_parameter(
        "auto",
        "engine of the network; auto: the fastest one that agrees with plain PyTorch, measured at the first start",
        choices=("auto", *ENGINES),
    )
    precision: str = fixed_parameter(
        "auto",
        "arithmetic of the network; auto also tries bf16 or fp16 if the hardware supports it; fp16 needs cuda",
        choices=PRECISIONS,
    )
    threads: int = fixed_parameter(
        1, "CPU cores that the network may use; 1 leaves the others to the other nodes", minimum=1, maximum=64
    )
    image_transport: str = fixed_parameter(
        "auto",
        "image topic; raw: image_raw; compressed: image_raw/compressed; auto: the published one, or raw if both are",
        choices=("auto", "raw", "compressed"),
    )
    reliability: str = fixed_parameter(
        "best_effort",
        "reliability of the subscriptions to images and camera_info; best_effort receives from every publisher, "
        "reliable only from reliable publishers",
        choices=("best_effort", "reliable"),
    )
    stale_after_s: float = parameter(
        2.0, "the diagnostics are stale after this time without a frame", unit="s", minimum=0.1, maximum=60.0
    )
    frozen_s: float = parameter(
        1.0,
        "the diagnostics warn if the picture stays the same for this time although the stamps are new",
        unit="s",
        minimum=0.1,
        maximum=60.0,
    )


@dataclass(frozen=True)
class SegmenterParameters(HeroFinderParameters, NetworkParameters):
    """All parameters of the node `segmenter`."""

    autostart: bool = fixed_parameter(
        True, "the node configures and activates itself; false: a lifecycle manager does this, such as Nav2's"
    )
