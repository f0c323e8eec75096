"""The materials of the town, textures and colours by name, and its meshes by material."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fcn_follow.geometry import vector3
from fcn_follow.simulation import textures as draw
from fcn_follow.simulation.outfits import Colour
from fcn_follow.simulation.shapes import Mesh, leaves, merged, plate, stacked_ellipses, tube, walls
from fcn_follow.simulation.town import Plant, Town, bed_outline

TREE_LEAVES = ("leaf", "dark leaf", "pink leaf", "blue leaf")
_TEXTURE_M = {"grass": 6.0, "paving": 4.8, "asphalt": 7.0, "slabs": 2.4, "white": 1.0, "yellow": 1.0}
_PLAIN: dict[str, Colour] = {
    "white": (0.82, 0.82, 0.78), "yellow": (0.72, 0.58, 0.16), "kerb": (0.26, 0.26, 0.27), "roof": (0.3, 0.29, 0.3),
    "leaf": (0.16, 0.36, 0.05), "dark leaf": (0.07, 0.22, 0.04), "flower": (0.75, 0.22, 0.05),
    "pink leaf": (0.75, 0.12, 0.42), "blue leaf": (0.14, 0.2, 0.55),
}  # fmt: skip

Meshes = defaultdict[str, list[Mesh]]


@dataclass(frozen=True)
class Materials:
    """Surfaces by name: textures uint8 (H, W, 3) or plain colours; the sky as from `textures.sky`."""

    textures: dict[str, draw.Texture]
    colours: dict[str, Colour]
    sky: draw.Texture


def make_materials(rng: np.random.Generator) -> Materials:
    """The materials of a town, with small random differences."""

    def colour(base: Colour, spread: float) -> Colour:
        return vector3(np.asarray(base) * rng.uniform(1 - spread, 1 + spread) + rng.normal(0, 6 * spread, 3))

    made = {
        "grass": draw.grass(rng, base=colour((60, 122, 6), 0.12)),
        "paving": draw.paving(rng, tone=float(rng.uniform(172, 196))),
        "asphalt": draw.asphalt(rng, tone=float(rng.uniform(76, 94))),
        "slabs": draw.slabs(rng, tone=float(rng.uniform(140, 170))),
        "bark": draw.bark(rng),
        "plinth": draw.stone(rng),
        "stripes": draw.stripes(rng),
        "earth": draw.stone(rng, base=(74, 70, 14)),
    }
    facades = [((92, 66, 56), False, 8), ((150, 108, 112), False, 0), ((186, 184, 176), True, 6),
               ((140, 162, 164), False, 0), ((74, 72, 76), False, 12), ((176, 168, 150), False, 6)]  # fmt: skip
    for style, (wall, arched, courses) in enumerate(facades):
        made[f"facade {style}"] = draw.facade(rng, colour(wall, 0.1), arched, courses)
    made["cloth"] = draw.cloth(rng)
    zenith, horizon = colour((88, 128, 196), 0.12), colour((170, 190, 214), 0.08)
    return Materials(made, dict(_PLAIN), draw.sky(rng, zenith, horizon, float(rng.uniform(0.35, 0.7))))


def scenery(town: Town, rng: np.random.Generator) -> dict[str, Mesh]:
    """Everything that does not move: one mesh for each material."""
    return merged_by_material(ground_meshes(town), building_meshes(town), plant_meshes(town.plants, rng))


def merged_by_material(*parts: Meshes) -> dict[str, Mesh]:
    """The meshes of each material merged."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: merged([mesh for part in parts for mesh in part.get(name, [])]) for name in names}


def ground_meshes(town: Town) -> Meshes:
    """The flat areas, and the kerbs of the raised ones."""
    meshes = Meshes(list)
    for kind, texture_m in _TEXTURE_M.items():
        meshes[kind] += [plate(g.outline_m, g.height_m, texture_m) for g in town.grounds if g.kind == kind]
    raised = [g for g in town.grounds if g.kind in ("paving", "slabs")]
    meshes["kerb"] += [walls(g.outline_m, -0.01, g.height_m, (1.0, 1.0)) for g in raised]
    return meshes


def building_meshes(town: Town) -> Meshes:
    """Facades, plinths and roofs."""
    meshes = Meshes(list)
    for building in town.buildings:
        facade = f"facade {building.style}"
        meshes[facade].append(walls(building.outline_m, 0.9, building.height_m, (6.0, 3.3)))
        wider = building.outline_m + np.sign(building.outline_m - building.centre_m) * 0.12
        meshes["plinth"] += [walls(wider, 0.0, 0.9, (3.0, 1.5)), plate(wider, 0.9, 3.0)]
        meshes["roof"].append(plate(building.outline_m, building.height_m, 3.0))
    return meshes


def plant_meshes(plants: Sequence[Plant], rng: np.random.Generator) -> Meshes:
    """Trees, cypresses and flower beds with random leaves."""
    meshes = Meshes(list)
    for plant in plants:
        {"tree": _add_tree, "cypress": _add_cypress, "bed": _add_bed}[plant.kind](meshes, plant, rng)
    return meshes


def _add_tree(meshes: Meshes, plant: Plant, rng: np.random.Generator) -> None:
    x, y = plant.centre_m
    top = plant.height_m * 0.45
    lean = rng.uniform(-0.3, 0.3, 2)
    trunk = [(x, y, -0.1), (x, y, 0.5), (x + lean[0], y + lean[1], top), (x + lean[0] * 2, y + lean[1] * 2, top * 1.7)]
    mesh = tube(trunk, [plant.radius_m * 1.3, plant.radius_m, plant.radius_m * 0.7, plant.radius_m * 0.3], 8)
    around = np.arctan2(mesh.vertices_m[:, 1] - y, mesh.vertices_m[:, 0] - x) / np.pi
    meshes["bark"].append(Mesh(mesh.vertices_m, mesh.faces, np.column_stack([around, mesh.vertices_m[:, 2]])))
    kind = str(rng.choice(TREE_LEAVES, p=[0.45, 0.25, 0.17, 0.13]))
    spread = plant.height_m * 0.33
    crown = (x + lean[0] * 2, y + lean[1] * 2, plant.height_m * 0.75)
    meshes[kind].append(leaves(rng, crown, (spread, spread, spread * 0.8), 190, 1.0))


def _add_cypress(meshes: Meshes, plant: Plant, rng: np.random.Generator) -> None:
    x, y = plant.centre_m
    radius, height = plant.radius_m, plant.height_m
    column = [(0.0, 0.0, radius * 0.8, radius * 0.8), (height * 0.15, 0.0, radius, radius),
              (height * 0.75, 0.0, radius * 0.95, radius * 0.95), (height, 0.0, 0.05, 0.05)]  # fmt: skip
    meshes["dark leaf"].append(stacked_ellipses(column).moved((x, y, 0.0)))
    meshes["leaf"].append(leaves(rng, (x, y, height * 0.45), (radius * 1.2, radius * 1.2, height * 0.5), 120, 0.3))


def _add_bed(meshes: Meshes, plant: Plant, rng: np.random.Generator) -> None:
    x, y = plant.centre_m
    outline = bed_outline(plant)
    meshes["stripes"].append(walls(outline, 0.0, plant.height_m, (2.0, plant.height_m)))
    meshes["earth"].append(plate(outline, plant.height_m * 0.85, 2.0))
    radius = plant.radius_m * 0.85
    middle, radii = (x, y, plant.height_m + radius * 0.6), (radius, radius, radius * 0.75)
    for kind, count in (("leaf", 260), ("dark leaf", 200), ("flower", 70)):
        meshes[kind].append(leaves(rng, middle, radii, count, 0.42))
