"""`fcn-follow weights-page`: weights/README.md, from the model cards of the weights that come along."""

from __future__ import annotations

from pathlib import Path

from fcn_follow.cli.bench import shipped_weights
from fcn_follow.networks.registry import network_info
from fcn_follow.networks.summary import count_parameters
from fcn_follow.networks.weights import METRES, ModelCard, read_card

PAGE = """# Weights

Written by `fcn-follow weights-page > weights/README.md` from the model card in each file; `fcn-follow results` sets
them side by side.

**Intended use.** The node `segmenter` (`weights:=FILE`) and `fcn-follow score`, `label`, `export` and so on, to find
the hero of the Follow-Me task in a drone's camera: red hair, red top, dark trousers. For another person train your own:
[docs/training.md](../docs/training.md).

**Limits.**

- Trained and judged on frames of QuadSim's Follow-Me data and of this project's simulator alone; nothing here has flown
  on real hardware: [docs/safety.md](../docs/safety.md).
- The follower knows only whom the network sees. How many heroes it finds depends on their size in the picture: the
  recalls below, by the hero's pixels.
- The two levels at which a hero counts as seen were chosen on the same held-out runs that the scores are of:
  [docs/results.md](../docs/results.md).

Scores are of frames that no training saw. Data are named as the training was given them; the licences of data that are
not this project's own are in the remarks.
"""
USES = {
    "hero_net": "flies where nobody names others.",
    "hero_net_hd": "draws a far hero better than `hero_net`, in more time; it does not find more of them.",
    "mask_depth_separable": "`ranging.method: depth`, for a hero who sits or is half hidden: "
    "[docs/following.md](../docs/following.md).",
}
COMPARED = "to compare with; `hero_net` has the better score."


def weights_page() -> None:
    """Print weights/README.md: what each weights file is, its data, command, scores and use, by its model card."""
    print("\n".join([PAGE, *map(_section, shipped_weights())]), end="")


def _section(path: Path) -> str:
    card = read_card(path)
    commands = "\n".join(card.command.split("; "))
    scores = ", ".join(f"{name} {value:g}" for name, value in card.scores.items())
    return f"""## {path.stem}

- **What:** {_what(card)}; {path.stat().st_size / 1e6:.2f} MB, {card.licence}.
- **Use:** {USES.get(card.network, COMPARED)}
- **Input:** {card.input_width_px}x{card.input_height_px} pixels in colour, {card.normalisation}.
- **A hero counts as seen** {_seen(card)}.
- **Data:** {card.data}.
- **Scores:** {scores}.
- **Remarks:** {card.notes}.

```
{commands}
```
"""


def _what(card: ModelCard) -> str:
    info = network_info(card.network)
    depth = " and the depth of each pixel in metres" if card.depth == METRES else ""
    parameters = f"{count_parameters(info.outline()).total:,} parameters"
    return f"network {card.network} ({info.source}), {parameters}; the classes {', '.join(card.classes)}{depth}"


def _seen(card: ModelCard) -> str:
    level = f"where its probability is at least {card.hero_probability_threshold:g}"
    if card.hero_confirm_probability:
        level += f", in blobs that somewhere reach {card.hero_confirm_probability:g}"
    mirror = ", of the mean over the frame and its mirror image" if card.flip_average else ""
    return f"{level}, from {card.hero_min_area_px} pixels on{mirror}"
