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
        "weights file (safetensors, or exported .onnx, .xml); empty: the package's hero_net, for a pointed hero "
        "people_net",
    )
    device: str = fixed_parameter("auto", "where the network runs; auto: CUDA where there is one", choices=DEVICES)
    engine: str = fixed_parameter(
        "auto",
        "what runs the network; auto measures at the first start and takes the fastest that agrees with plain PyTorch",
        choices=("auto", *ENGINES),
    )
    precision: str = fixed_parameter(
        "auto",
        "arithmetic of the network; auto takes bf16 or fp16 too where the hardware computes in it; fp16 needs cuda",
        choices=PRECISIONS,
    )
    threads: int = fixed_parameter(
        1, "cores that the network may use; with one, the others are free for the other nodes", minimum=1, maximum=64
    )
    image_transport: str = fixed_parameter(
        "auto",
        "image topic to read: image_raw, image_raw/compressed, or auto: the one that is published, raw if both are",
        choices=("auto", "raw", "compressed"),
    )
    reliability: str = fixed_parameter(
        "best_effort",
        "reliability of the subscriptions to images and camera_info; best_effort receives from every publisher, "
        "reliable only from reliable ones",
        choices=("best_effort", "reliable"),
    )
    stale_after_s: float = parameter(
        2.0, "the diagnostics are stale after this time without a frame", unit="s", minimum=0.1, maximum=60.0
    )
    frozen_s: float = parameter(
        1.0,
        "the diagnostics warn after this time with an unchanged picture under new stamps",
        unit="s",
        minimum=0.1,
        maximum=60.0,
    )


@dataclass(frozen=True)
class SegmenterParameters(HeroFinderParameters, NetworkParameters):
    """All parameters of the node `segmenter`."""

    autostart: bool = fixed_parameter(
        True, "configure and activate itself at the start; false: a lifecycle manager does, such as that of Nav2"
    )
