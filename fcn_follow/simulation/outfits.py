"""Clothes, hair, height and build of the hero and of a random crowd."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

import numpy as np

from fcn_follow.errors import UserError
from fcn_follow.geometry import vector3
from fcn_follow.simulation.people import BODY_HEIGHT_M, BOTTOMS, HAIR_STYLES, TOPS

Colour = tuple[float, float, float]
"""Red, green, blue from 0 to 1."""

NAMED_COLOURS: dict[str, str] = {
    "red": "#c01010", "darkred": "#5a1010", "orange": "#d07018", "yellow": "#c8c020", "green": "#208030",
    "darkgreen": "#1c4434", "blue": "#1848b8", "lightblue": "#7098b8", "navy": "#141c48", "purple": "#602080",
    "pink": "#d06090", "brown": "#5a3a20", "blond": "#c8a050", "black": "#161616", "grey": "#707070",
    "white": "#dcdcd8", "beige": "#b8a080", "olive": "#5a5a28", "teal": "#206868",
}  # fmt: skip


_STYLED = ("hair", "top", "bottom")


@dataclass(frozen=True)
class Outfit:
    """Clothes and body of a person. Bare sleeves, forearms and calves have the colour of the skin."""

    skin: Colour
    hair: Colour
    top: Colour
    sleeves: Colour
    forearms: Colour
    bottom: Colour
    calves: Colour
    shoes: Colour
    hair_style: str = "short"
    top_style: str = "shirt"
    bottom_style: str = "trousers"
    height_m: float = 1.75
    breadth: float = 1.0

    def mesh_name(self, part: str) -> str:
        """The name in `people.body_meshes` of this outfit's mesh for one of PARTS; a bald head has no hair."""
        return f"{part}/{getattr(self, f'{part}_style')}" if part in _STYLED else part

    @property
    def scale(self) -> tuple[float, float, float]:
        """The scale of the person along x, y and z, relative to `people.body_meshes`."""
        tall = self.height_m / BODY_HEIGHT_M
        return (tall, tall * self.breadth, tall)


def parse_colour(text: str) -> Colour:
    """'#rrggbb' or a name of NAMED_COLOURS; UserError for anything else."""
    code = NAMED_COLOURS.get(text.strip().lower(), text.strip())
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
        raise UserError(f"'{text}' is not a colour; write #rrggbb or one of {', '.join(NAMED_COLOURS)}")
    return (int(code[1:3], 16) / 255, int(code[3:5], 16) / 255, int(code[5:7], 16) / 255)


HERO = Outfit(
    skin=(0.5, 0.36, 0.29), hair=(0.64, 0.02, 0.03), top=(0.76, 0.06, 0.05), sleeves=(0.5, 0.36, 0.29),
    forearms=(0.5, 0.36, 0.29), bottom=(0.17, 0.05, 0.05), calves=(0.17, 0.05, 0.05), shoes=(0.82, 0.09, 0.09),
    hair_style="long", top_style="tunic", height_m=1.68, breadth=0.92,
)  # fmt: skip

LOOKALIKE = Outfit(
    skin=(0.62, 0.45, 0.36), hair=(0.12, 0.08, 0.06), top=(0.75, 0.75, 0.73), sleeves=(0.75, 0.75, 0.73),
    forearms=(0.62, 0.45, 0.36), bottom=(0.7, 0.07, 0.06), calves=(0.7, 0.07, 0.06), shoes=(0.1, 0.1, 0.1),
    height_m=1.74,
)  # fmt: skip
"""Another person in red trousers."""


@dataclass(frozen=True)
class Cast:
    """The hero of a flight, and people in given clothes; the seed draws the clothes of all others."""

    hero: Outfit = HERO
    crowd: tuple[Outfit, ...] = ()


def dressed(outfit: Outfit, clothes: dict[str, str]) -> Outfit:
    """`outfit` with other colours of top, hair, bottom, shoes or skin, each as `parse_colour` reads it.

    Sleeves, forearms and calves of the old colour change too.
    """
    for name, text in clothes.items():
        old, new = getattr(outfit, name), parse_colour(text)
        same = [item.name for item in fields(outfit) if getattr(outfit, item.name) == old]
        outfit = replace(outfit, **dict.fromkeys(same, new))  # type: ignore[arg-type]
    return outfit


POINTED_HEROES: tuple[Outfit, ...] = tuple(
    dressed(LOOKALIKE, dict(zip(("top", "bottom", "hair"), colours.split(), strict=True)))
    for colours in (
        "blue black brown", "green navy blond", "yellow blue black", "grey black grey", "white beige brown",
        "purple grey black", "orange olive blond", "black black black", "pink white brown", "teal brown black",
    )
)  # fmt: skip


def pointed_cast(seed: int) -> Cast:
    """One of POINTED_HEROES, with two lookalikes: one in the hero's top, one in the hero's trousers."""
    index = seed % len(POINTED_HEROES)
    hero, other = POINTED_HEROES[index], POINTED_HEROES[(index + 3) % len(POINTED_HEROES)]
    in_top = replace(other, top=hero.top, sleeves=hero.sleeves, forearms=hero.forearms, height_m=1.8)
    in_trousers = replace(hero, top=other.top, sleeves=other.sleeves, hair=other.hair, height_m=1.66)
    return Cast(hero, (in_top, in_trousers))


def random_outfit(rng: np.random.Generator) -> Outfit:
    """A random outfit for the crowd, sometimes with coloured hair; never the hero's combination."""
    skin = vector3(np.array([0.72, 0.53, 0.43]) * rng.uniform(0.4, 1.08))
    muted = ["black", "grey", "white", "navy", "blue", "lightblue", "teal", "darkgreen", "olive", "brown", "beige"]
    bright = ["orange", "yellow", "green", "purple", "pink", "darkred"]
    top = _shade(rng, str(rng.choice(bright if rng.random() < 0.3 else muted)))
    bottom = top if rng.random() < 0.2 else _shade(rng, str(rng.choice([*muted, "darkred", "green"])))
    odd_hair = rng.random() < 0.25
    hair = _shade(rng, str(rng.choice([*bright, "blue"] if odd_hair else ["black", "brown", "blond", "grey", "brown"])))
    sleeve_length, leg_length = rng.choice(3, p=[0.25, 0.35, 0.4]), rng.choice(2, p=[0.35, 0.65])
    return Outfit(
        skin=skin,
        hair=hair,
        top=top,
        sleeves=top if sleeve_length >= 1 else skin,
        forearms=top if sleeve_length == 2 else skin,
        bottom=bottom,
        calves=bottom if leg_length else skin,
        shoes=_shade(rng, str(rng.choice(["black", "white", "brown", "grey", "teal"]))),
        hair_style=str(rng.choice(HAIR_STYLES, p=[0.25, 0.4, 0.12, 0.08, 0.15])),
        top_style=str(rng.choice(TOPS, p=[0.5, 0.2, 0.3])),
        bottom_style=str(rng.choice(BOTTOMS, p=[0.85, 0.15])),
        height_m=float(rng.uniform(1.55, 1.92)),
        breadth=float(rng.uniform(0.88, 1.15)),
    )


def _shade(rng: np.random.Generator, name: str) -> Colour:
    return vector3(np.clip(np.array(parse_colour(name)) * rng.uniform(0.6, 1.15) + rng.normal(0, 0.02, 3), 0.01, 1))
