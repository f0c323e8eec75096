"""The parameters of the node `segmenter`."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_follow.inference.engine import ENGINES, PRECISIONS
from fcn_follow.inference.machine import DEVICES
from fcn_follow.parameters import parameter
from fcn_follow.perception.pipeline import HeroFinderParameters

START_ONLY = ("weights", "device", "engine", "precision", "threads", "image_transport", "reliability")


@dataclass(frozen=True)
class NetworkParameters:
    """What runs the network, and on which images."""

    weights: str = parameter(
        "", "Weights file (safetensors, or exported .onnx, .xml); empty for the package's own hero_net"
    )
    device: str = parameter("auto", "Where the network runs; auto takes CUDA where there is one", choices=DEVICES)
    engine: str = parameter(
        "auto",
        "What runs the network; auto measures at the first start and takes the fastest that agrees with plain PyTorch",
        choices=("auto", *ENGINES),
    )
    precision: str = parameter(
        "auto",
        "Arithmetic of the network; auto takes bf16 or fp16 too where the hardware computes in it; fp16 needs cuda",
        choices=PRECISIONS,
    )
    threads: int = parameter(
        1, "Cores that the network may use; one leaves the others to the rest", minimum=1, maximum=64
    )
    image_transport: str = parameter(
        "auto",
        "Which image topic is read: image_raw, image_raw/compressed, or auto: the one that is published, raw if both",
        choices=("auto", "raw", "compressed"),
    )
    reliability: str = parameter(
        "best_effort",
        "Reliability of the image and camera_info subscriptions; best_effort hears every publisher, "
        "reliable hears only reliable ones",
        choices=("best_effort", "reliable"),
    )
    stale_after_s: float = parameter(
        2.0, "Without a frame for so long, the diagnostics go stale", unit="s", minimum=0.1, maximum=60.0
    )
    frozen_s: float = parameter(
        1.0,
        "With the same picture under new stamps for so long, the diagnostics warn that it does not change",
        unit="s",
        minimum=0.1,
        maximum=60.0,
    )


@dataclass(frozen=True)
class SegmenterParameters(HeroFinderParameters, NetworkParameters):
    """All parameters of the node `segmenter`."""
