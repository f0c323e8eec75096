"""All networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from fcn_follow.errors import UserError, suggestion
from fcn_follow.networks.hero_net import Parts, hero_net, hero_net_fast, hero_net_half_resolution
from fcn_follow.networks.sources.mask_depth import MaskDepth, MaskDepthSeparable
from fcn_follow.networks.sources.published import fcn_000, fcn_001, fcn_002
from fcn_follow.networks.sources.segnet import segnet, segnet_separable
from fcn_follow.networks.sources.vit import vit_segmenter


@dataclass(frozen=True)
class NetworkInfo:
    """A network of the registry: its constructor, its square input in pixels, its origin.

    published_score is the Follow-Me score that its source states, if any. The output has mask_channels logits, and one
    more channel if has_depth.
    """

    name: str
    build: Callable[[], nn.Module]
    input_px: int
    source: str
    published_score: float | None = None
    mask_channels: int = 3
    has_depth: bool = False

    def outline(self) -> nn.Module:
        """The network on PyTorch's meta device: shapes alone, without memory or arithmetic."""
        with torch.device("meta"):
            return self.build()


THREE_CLASSES = "source 003 with three classes"
NETWORKS = {
    info.name: info
    for info in (
        NetworkInfo("hero_net", hero_net, 160, "this project"),
        NetworkInfo("hero_net_fast", hero_net_fast, 160, "this project"),
        NetworkInfo("hero_net_half_resolution", hero_net_half_resolution, 160, "ablation of hero_net"),
        *(
            NetworkInfo(f"hero_net_no_{part}", partial(hero_net, Parts(**{part: False})), 160, "ablation of hero_net")
            for part in ("residual", "large_kernels", "squeeze_excite")
        ),
        NetworkInfo("fcn_000", fcn_000, 160, "source 000", 0.405878),
        NetworkInfo("fcn_001", fcn_001, 160, "source 001", 0.4284),
        NetworkInfo("fcn_002", fcn_002, 160, "source 002, its code", 0.42),
        NetworkInfo(
            "fcn_002_512_k1", partial(fcn_002, 512, 1), 160, "source 002, width of its code, kernel of its text"
        ),
        NetworkInfo(
            "fcn_002_256_k3", partial(fcn_002, 256, 3), 160, "source 002, width of its text, kernel of its code"
        ),
        NetworkInfo("fcn_002_256_k1", partial(fcn_002, 256, 1), 160, "source 002, its text"),
        NetworkInfo("mask_depth_separable", MaskDepthSeparable, 160, "this project", has_depth=True),
        *(
            NetworkInfo(f"mask_depth_{up}", partial(MaskDepth, up, 1), 160, source, mask_channels=1, has_depth=True)
            for up, source in (("transposed", "source 003, first network"), ("shuffle", "source 003, second network"))
        ),
        *(
            NetworkInfo(f"mask_depth_{up}_classes", partial(MaskDepth, up, 3), 160, THREE_CLASSES, has_depth=True)
            for up in ("transposed", "shuffle")
        ),
        NetworkInfo("segnet", segnet, 160, "source 004"),
        NetworkInfo("segnet_separable", segnet_separable, 160, "source 004, depthwise"),
        NetworkInfo("vit_segmenter", vit_segmenter, 128, "source 004, its series"),
    )
}


def network_info(name: str) -> NetworkInfo:
    """The entry of a name. Raises UserError, with the nearest name, for an unknown one."""
    if name in NETWORKS:
        return NETWORKS[name]
    raise UserError(f"no network is called {name!r}; {suggestion(name, NETWORKS)}")


def build_network(name: str) -> nn.Module:
    """A new network by name, with random weights, in training mode. Raises UserError for an unknown name."""
    return network_info(name).build()
