"""The pictures of docs/simulation.md, for `fcn-follow pictures`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_follow.images.pictures import write_picture
from fcn_follow.simulation.camera import pinhole
from fcn_follow.simulation.outfits import HERO, dressed, random_outfit
from fcn_follow.simulation.people import ON_FOOT
from fcn_follow.simulation.random_scene import SceneRequest, draw_scene
from fcn_follow.simulation.renderer import HERO as HERO_LABEL
from fcn_follow.simulation.renderer import Light, PersonView, Renderer, look
from fcn_follow.simulation.town import GroundHeight
from fcn_follow.simulation.town_map import TownMap
from fcn_follow.simulation.world import World, make_world

Image = NDArray[np.uint8]
_PARK_HERO = {"top": "#1040c0", "hair": "blond", "bottom": "navy", "shoes": "white"}


def write_pictures(out: Path) -> list[Path]:
    """Write town.jpg, people.jpg, frames.jpg and plan.png into `out`; UserError if that fails."""
    world = make_world(0)
    pictures = {
        "town.jpg": _town(world),
        "people.jpg": _people(world),
        "frames.jpg": _frames(world),
        "plan.png": TownMap(world.town, (8.0, 0.0), 180.0, 720).background,
    }
    for name, picture in pictures.items():
        write_picture(out / name, picture[..., ::-1])
    return [out / name for name in pictures]


def _town(world: World) -> Image:
    """The square as a drone sees it."""
    rng = np.random.default_rng(4)
    people = [_standing((float(x), float(y), 0.1), rng) for x, y in rng.uniform((-14, -8), (8, 12), (16, 2))]
    people = [p for p in people if not world.town.blocked(p.position_m[0], p.position_m[1], 0.5)]
    people.append(PersonView((-9.0, -5.0, 0.1), 0.3, 4, HERO, HERO_LABEL))
    with Renderer(world, 960, 400) as renderer:
        camera = look((-19.0, -9.0, 5.0), 0.35, 0.22)
        return renderer.render(pinhole(960, 400, math.radians(85)), camera, people, Light()).rgb


def _people(world: World) -> Image:
    """The hero walking, running and in other clothes, then some of the crowd."""
    rng = np.random.default_rng(2)
    hero_views = [PersonView((0.0, 0.0, 0.1), 2.2, pose, HERO, HERO_LABEL) for pose in (0, 3, 9, 19)]
    hero_views.append(PersonView((0.0, 0.0, 0.1), 2.2, 5, dressed(HERO, _PARK_HERO), HERO_LABEL))
    crowd = [
        PersonView((0.0, 0.0, 0.1), 2.2, int(pose), random_outfit(rng)) for pose in rng.integers(0, len(ON_FOOT), 7)
    ]
    row = [
        PersonView((-6.0 + 1.05 * i, -12.0, 0.1), view.yaw_rad + 0.9, view.pose, view.outfit, view.label)
        for i, view in enumerate([*hero_views, *crowd])
    ]
    with Renderer(world, 960, 300) as renderer:
        camera = look((-0.3, -20.5, 1.9), math.pi / 2, 0.09)
        return renderer.render(pinhole(960, 300, math.radians(75)), camera, row, Light()).rgb


def _frames(world: World) -> Image:
    """Synthetic frames above their masks, with the hero near, far and in other clothes."""
    ground = GroundHeight(world.town)
    columns: list[Image] = []
    rng = np.random.default_rng(3)
    with Renderer(world, 256, 256) as renderer:
        while len(columns) < 4:
            outfit = dressed(HERO, _PARK_HERO) if len(columns) == 2 else HERO
            wanted = SceneRequest(256, 256, hero=True, far=len(columns) % 2 == 1)
            scene = draw_scene(rng, world.town, ground, outfit, wanted)
            picture = renderer.render(scene.intrinsics, scene.camera, scene.people, scene.light, labels=True)
            assert picture.labels is not None
            if (picture.labels == HERO_LABEL).sum() < (40 if wanted.far else 600):
                continue
            mask = (picture.labels[..., None] == np.array([0, 1, 2])).astype(np.uint8) * 255
            columns.append(np.vstack([picture.rgb, mask]))
    return np.hstack(columns)


def _standing(place_m: Sequence[float], rng: np.random.Generator) -> PersonView:
    place = (place_m[0], place_m[1], place_m[2])
    return PersonView(place, float(rng.uniform(-3, 3)), int(rng.integers(0, 17)), random_outfit(rng))
