"""The town square as models: ground and buildings, four trees, flower beds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from fcn_follow.gazebo.elements import child, mesh_visual, pose, root, values
from fcn_follow.simulation.scenery import (
    TREE_LEAVES,
    building_meshes,
    ground_meshes,
    merged_by_material,
    plant_meshes,
)
from fcn_follow.simulation.shapes import Mesh
from fcn_follow.simulation.town import Plant, Town

TOWN = "town_square"
_TREE = Plant("tree", (0.0, 0.0), 0.28, 7.0)


@dataclass(frozen=True)
class Scenery:
    """A model that does not move: its meshes by material, and the boxes and cylinders that stop a drone."""

    name: str
    description: str
    meshes: dict[str, Mesh]
    boxes_m: tuple[tuple[tuple[float, float], tuple[float, float, float]], ...] = ()
    trunk_m: tuple[float, float] | None = None
    """Radius and height of a cylinder in the middle."""
    ground_m: float | None = None
    """Height of a plane that stops a drone."""
    ground_is_mesh: bool = False
    """The mesh itself stops a drone."""


def town_models(town: Town, seed: int) -> Iterator[Scenery]:
    """All models that the world includes."""
    boxes = tuple((b.centre_m, (*b.size_m, b.height_m)) for b in town.buildings)
    still = merged_by_material(ground_meshes(town), building_meshes(town))
    highest_m = max(ground.height_m for ground in town.grounds)  # so that no camera gets below a paving
    yield Scenery(TOWN, "A paved square, roads, a park and houses.", still, boxes, ground_m=highest_m)
    wanted = set(TREE_LEAVES)
    attempt = 0
    while wanted:  # the random generator chooses the colour of the leaves
        meshes = plant_meshes([_TREE], np.random.default_rng([seed, 8, attempt]))
        attempt += 1
        for kind in wanted & set(meshes):
            wanted.remove(kind)
            name = tree_name(kind)
            yield Scenery(
                name, f"A tree, 7 m tall ({kind}).", merged_by_material(meshes), trunk_m=(_TREE.radius_m, 3.0)
            )
    for plant in {_bed_name(p): p for p in town.plants if p.kind == "bed"}.values():
        bed = Plant("bed", (0.0, 0.0), plant.radius_m, plant.height_m)
        meshes = plant_meshes([bed], np.random.default_rng([seed, 9]))
        yield Scenery(
            _bed_name(plant), f"A round flower bed, {2 * plant.radius_m:.1f} m across.", merged_by_material(meshes),
            trunk_m=(plant.radius_m, 2.0),
        )  # fmt: skip


def plant_places(town: Town, seed: int) -> Iterator[tuple[str, float, float, float, float]]:
    """Model name, x, y, z (m) and yaw (rad) of every plant."""
    rng = np.random.default_rng([seed, 10])
    for plant in town.plants:
        x_m, y_m = plant.centre_m
        kind = str(rng.choice(TREE_LEAVES, p=[0.45, 0.25, 0.17, 0.13]))
        name = _bed_name(plant) if plant.kind == "bed" else tree_name(kind)
        yield name, x_m, y_m, 0.0, float(rng.uniform(-3.1, 3.1))


def scenery_model(scenery: Scenery) -> Element:
    """The model's SDF."""
    document = root()
    model = child(document, "model", name=scenery.name)
    values(model, static=True)
    link = child(model, "link", name="link")
    uri = f"model://{scenery.name}/meshes/{scenery.name}.obj"
    mesh_visual(link, uri)
    if scenery.ground_is_mesh:
        values(child(_collision(link, "ground"), "mesh"), uri=uri)
    if scenery.ground_m is not None:
        plane = child(_collision(link, "ground", 0.0, 0.0, scenery.ground_m), "plane")
        values(plane, normal="0 0 1", size="240 240")
    for number, (centre_m, size_m) in enumerate(scenery.boxes_m):
        box = _collision(link, f"building_{number}", centre_m[0], centre_m[1], size_m[2] / 2)
        values(child(box, "box"), size=" ".join(f"{side:g}" for side in size_m))
    if scenery.trunk_m:
        radius_m, height_m = scenery.trunk_m
        cylinder = child(_collision(link, "trunk", 0.0, 0.0, height_m / 2), "cylinder")
        values(cylinder, radius=f"{radius_m:g}", length=f"{height_m:g}")
    return document


def _collision(link: Element, name: str, *place_m: float) -> Element:
    """The geometry of a new collision."""
    collision = child(link, "collision", name=name)
    if place_m:
        pose(collision, *place_m)
    return child(collision, "geometry")


def tree_name(kind: str) -> str:
    """The model of a tree with this kind of leaves."""
    return "tree_" + kind.replace(" ", "_")


def _bed_name(plant: Plant) -> str:
    return f"flower_bed_{round(10 * plant.radius_m)}"
