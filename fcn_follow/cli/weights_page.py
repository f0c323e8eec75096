"""`fcn-follow weights-page`: weights/README.md, from the model cards of the weights that the package ships."""

from __future__ import annotations

from pathlib import Path

from fcn_follow.cli.bench import shipped_weights
from fcn_follow.lab.pages import render
from fcn_follow.networks.registry import network_info
from fcn_follow.networks.summary import count_parameters
from fcn_follow.networks.weights import read_card

USES = {
    "hero_net": "the default.",
    "hero_net_fast": "for a small CPU: less than half the time of `hero_net`; it misses more far heroes.",
    "hero_net_hd": "`hero_net` at 256x256: fewer false alarms and more exact masks, in 2.3 to 2.6 times its time.",
    "mask_depth_separable": "`ranging.method: depth`, for a hero who sits or is half hidden: "
    "[docs/following.md](../docs/following.md).",
    "people_net": "real people within 10 m in daylight; what not: [docs/people.md](../docs/people.md). "
    "Fly a real drone by it only with a hand on the mode switch.",
}
COMPARED = "to compare with; `hero_net` has the better score."


def weights_page() -> None:
    """Print weights/README.md: content, data, command, scores and use of each weights file, from its model card."""
    sections = list(map(_section, shipped_weights()))
    print(render("fcn_follow.cli", "weights_page.md.j2", sections=sections), end="")


def _section(path: Path) -> dict[str, object]:
    card = read_card(path)
    info = network_info(card.network)
    return {
        "name": path.stem,
        "card": card,
        "source": info.source,
        "parameters": count_parameters(info.outline()).total,
        "size_mb": path.stat().st_size / 1e6,
        "use": USES.get(path.stem, COMPARED),
    }
