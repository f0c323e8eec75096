"""The town and its people as a MuJoCo model: textures, meshes, one light, and empty places for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_follow.simulation import textures
from fcn_follow.simulation.graphics import mujoco
from fcn_follow.simulation.people import PARTS, POSES, body_meshes
from fcn_follow.simulation.shapes import Mesh, leaves, merged, plate, stacked_ellipses, tube, walls
from fcn_follow.simulation.town import Building, Ground, Plant, Town, bed_outline, make_town

PLACES = 28
"""How many people a frame can show."""
FACADE_STYLES = 6
_TEXTURE_M = {"grass": 6.0, "paving": 4.8, "asphalt": 7.0, "slabs": 2.4, "white": 1.0, "yellow": 1.0}
_LEAF_COLOURS = {"leaf": (0.16, 0.36, 0.05), "dark leaf": (0.07, 0.22, 0.04), "flower": (0.75, 0.22, 0.05),
                 "pink leaf": (0.75, 0.12, 0.42), "blue leaf": (0.14, 0.2, 0.55)}  # fmt: skip


@dataclass(frozen=True)
class World:
    """A compiled town; `mesh_ids[pose]` maps names of `body_meshes` to mesh ids, `part_geoms` is (PLACES, PARTS)."""

    town: Town
    model: mujoco.MjModel
    mesh_ids: tuple[dict[str, int], ...]
    part_geoms: NDArray[np.int64]


class _Builder:
    """Adds meshes with a material each to one MjSpec."""

    def __init__(self) -> None:
        self.spec = mujoco.MjSpec()
        self.spec.visual.headlight.diffuse = self.spec.visual.headlight.specular = [0.0, 0.0, 0.0]
        self.spec.visual.map.znear = 0.08
        self.spec.visual.map.zfar = 300.0
        self.spec.visual.map.shadowclip = 16.0
        self.spec.visual.quality.shadowsize = 512
        self.spec.visual.quality.offsamples = 0
        self.spec.stat.extent = 1.0
        self.spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)

    def texture(self, name: str, image: textures.Texture) -> None:
        self._image(name, image, mujoco.mjtTexture.mjTEXTURE_2D)
        material = self._material(name)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name

    def sky(self, image: textures.Texture) -> None:
        self._image("sky", image, mujoco.mjtTexture.mjTEXTURE_SKYBOX)

    def colour(self, name: str, rgb: tuple[float, float, float]) -> None:
        self._material(name).rgba = [*rgb, 1.0]

    def mesh(self, name: str, mesh: Mesh) -> None:
        made = self.spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
        made.uservert = mesh.vertices_m.ravel()
        made.userface = mesh.faces.ravel()
        if mesh.texcoords is not None:
            made.usertexcoord = mesh.texcoords.ravel()

    def geom(self, name: str, mesh_name: str, material: str) -> None:
        self.spec.worldbody.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh_name, material=material, contype=0, conaffinity=0
        )

    def scenery(self, material: str, meshes: list[Mesh]) -> None:
        """One geom for all meshes of a material."""
        if meshes:
            self.mesh(f"scenery {material}", merged(meshes))
            self.geom(f"scenery {material}", f"scenery {material}", material)

    def _image(self, name: str, image: textures.Texture, kind: mujoco.mjtTexture) -> None:
        texture = self.spec.add_texture(name=name, type=kind, height=image.shape[0], width=image.shape[1], nchannel=3)
        texture.data = image.tobytes()

    def _material(self, name: str) -> mujoco.MjsMaterial:
        return self.spec.add_material(name=name, specular=0.0, shininess=0.0, reflectance=0.0)


def town_of(seed: int, extra_walls: Sequence[Building] = (), extra_trees: Sequence[Plant] = ()) -> Town:
    """The plan of the world that `make_world` builds for the same arguments."""
    return make_town(np.random.default_rng([seed, 1]), extra_walls, extra_trees)


def make_world(seed: int = 0, extra_walls: Sequence[Building] = (), extra_trees: Sequence[Plant] = ()) -> World:
    """The town with the textures and trees of `seed`, and more walls and trees where asked; about a second of work."""
    rng = np.random.default_rng([seed, 2])
    town = town_of(seed, extra_walls, extra_trees)
    builder = _Builder()
    _add_materials(builder, rng)
    _add_ground(builder, town)
    _add_buildings(builder, town)
    _add_plants(builder, town, rng)
    _add_people(builder)
    model = builder.spec.compile()
    styles: dict[int, dict[str, int]] = {index: {} for index in range(len(POSES))}
    for mesh_id in range(model.nmesh):
        name = model.mesh(mesh_id).name
        if name.startswith("pose "):
            _, index, part = name.split(" ", 2)
            styles[int(index)][part] = mesh_id
    geoms = np.array([[model.geom(f"person {place} {part}").id for part in PARTS] for place in range(PLACES)])
    return World(town, model, tuple(styles[index] for index in range(len(POSES))), geoms)


def _add_materials(builder: _Builder, rng: np.random.Generator) -> None:
    def colour(base: tuple[float, float, float], spread: float) -> tuple[float, float, float]:
        red, green, blue = np.asarray(base) * rng.uniform(1 - spread, 1 + spread) + rng.normal(0, 6 * spread, 3)
        return (float(red), float(green), float(blue))

    builder.texture("grass", textures.grass(rng, base=colour((60, 122, 6), 0.12)))
    builder.texture("paving", textures.paving(rng, tone=float(rng.uniform(172, 196))))
    builder.texture("asphalt", textures.asphalt(rng, tone=float(rng.uniform(76, 94))))
    builder.texture("slabs", textures.slabs(rng, tone=float(rng.uniform(140, 170))))
    builder.texture("bark", textures.bark(rng))
    builder.texture("plinth", textures.stone(rng))
    builder.texture("stripes", textures.stripes(rng))
    builder.texture("earth", textures.stone(rng, base=(74, 70, 14)))
    facades = [((92, 66, 56), False, 8), ((150, 108, 112), False, 0), ((186, 184, 176), True, 6),
               ((140, 162, 164), False, 0), ((74, 72, 76), False, 12), ((176, 168, 150), False, 6)]  # fmt: skip
    for style, (wall, arched, courses) in enumerate(facades):
        builder.texture(f"facade {style}", textures.facade(rng, colour(wall, 0.1), arched, courses))
    builder.colour("white", (0.82, 0.82, 0.78))
    builder.colour("yellow", (0.72, 0.58, 0.16))
    builder.colour("kerb", (0.26, 0.26, 0.27))
    builder.colour("roof", (0.3, 0.29, 0.3))
    builder.texture("cloth", textures.cloth(rng))
    for name, base in _LEAF_COLOURS.items():
        builder.colour(name, base)
    zenith, horizon = colour((88, 128, 196), 0.12), colour((170, 190, 214), 0.08)
    builder.sky(textures.sky(rng, zenith, horizon, float(rng.uniform(0.35, 0.7))))


def _add_ground(builder: _Builder, town: Town) -> None:
    for kind, texture_m in _TEXTURE_M.items():
        pieces = [g for g in town.grounds if g.kind == kind]
        builder.scenery(kind, [plate(g.outline_m, g.height_m, texture_m) for g in pieces])
    raised: list[Ground] = [g for g in town.grounds if g.kind in ("paving", "slabs")]
    builder.scenery("kerb", [walls(g.outline_m, -0.01, g.height_m, (1.0, 1.0)) for g in raised])


def _add_buildings(builder: _Builder, town: Town) -> None:
    for style in range(FACADE_STYLES):
        blocks = [b for b in town.buildings if b.style == style]
        builder.scenery(f"facade {style}", [walls(b.outline_m, 0.9, b.height_m, (6.0, 3.3)) for b in blocks])
    plinths, roofs = [], []
    for building in town.buildings:
        wider = building.outline_m + np.sign(building.outline_m - building.centre_m) * 0.12
        plinths += [walls(wider, 0.0, 0.9, (3.0, 1.5)), plate(wider, 0.9, 3.0)]
        roofs.append(plate(building.outline_m, building.height_m, 3.0))
    builder.scenery("plinth", plinths)
    builder.scenery("roof", roofs)


def _add_plants(builder: _Builder, town: Town, rng: np.random.Generator) -> None:
    meshes: dict[str, list[Mesh]] = {name: [] for name in (*_LEAF_COLOURS, "bark", "stripes", "earth")}
    for plant in town.plants:
        add = {"tree": _add_tree, "cypress": _add_cypress, "bed": _add_bed}[plant.kind]
        add(meshes, plant, rng)
    for material, parts in meshes.items():
        builder.scenery(material, parts)


def _add_tree(meshes: dict[str, list[Mesh]], plant: Plant, rng: np.random.Generator) -> None:
    x, y = plant.centre_m
    top = plant.height_m * 0.45
    lean = rng.uniform(-0.3, 0.3, 2)
    trunk = [(x, y, -0.1), (x, y, 0.5), (x + lean[0], y + lean[1], top), (x + lean[0] * 2, y + lean[1] * 2, top * 1.7)]
    mesh = tube(trunk, [plant.radius_m * 1.3, plant.radius_m, plant.radius_m * 0.7, plant.radius_m * 0.3], 8)
    around = np.arctan2(mesh.vertices_m[:, 1] - y, mesh.vertices_m[:, 0] - x) / np.pi
    meshes["bark"].append(Mesh(mesh.vertices_m, mesh.faces, np.column_stack([around, mesh.vertices_m[:, 2]])))
    kind = str(rng.choice(["leaf", "dark leaf", "pink leaf", "blue leaf"], p=[0.45, 0.25, 0.17, 0.13]))
    spread = plant.height_m * 0.33
    crown = (x + lean[0] * 2, y + lean[1] * 2, plant.height_m * 0.75)
    meshes[kind].append(leaves(rng, crown, (spread, spread, spread * 0.8), 190, 1.0))


def _add_cypress(meshes: dict[str, list[Mesh]], plant: Plant, rng: np.random.Generator) -> None:
    x, y = plant.centre_m
    radius, height = plant.radius_m, plant.height_m
    column = [(0.0, 0.0, radius * 0.8, radius * 0.8), (height * 0.15, 0.0, radius, radius),
              (height * 0.75, 0.0, radius * 0.95, radius * 0.95), (height, 0.0, 0.05, 0.05)]  # fmt: skip
    meshes["dark leaf"].append(stacked_ellipses(column).moved((x, y, 0.0)))
    meshes["leaf"].append(leaves(rng, (x, y, height * 0.45), (radius * 1.2, radius * 1.2, height * 0.5), 120, 0.3))


def _add_bed(meshes: dict[str, list[Mesh]], plant: Plant, rng: np.random.Generator) -> None:
    x, y = plant.centre_m
    outline = bed_outline(plant)
    meshes["stripes"].append(walls(outline, 0.0, plant.height_m, (2.0, plant.height_m)))
    meshes["earth"].append(plate(outline, plant.height_m * 0.85, 2.0))
    radius = plant.radius_m * 0.85
    middle, radii = (x, y, plant.height_m + radius * 0.6), (radius, radius, radius * 0.75)
    for kind, count in (("leaf", 260), ("dark leaf", 200), ("flower", 70)):
        meshes[kind].append(leaves(rng, middle, radii, count, 0.42))


def _add_people(builder: _Builder) -> None:
    for index, pose in enumerate(POSES):
        for name, mesh in body_meshes(pose).items():
            builder.mesh(f"pose {index} {name}", _wrapped_in_cloth(mesh))
    first = {part: next(name for name in body_meshes(POSES[0]) if name.split("/")[0] == part) for part in PARTS}
    for place in range(PLACES):
        for part in PARTS:
            builder.geom(f"person {place} {part}", f"pose 0 {first[part]}", "cloth")


def _wrapped_in_cloth(mesh: Mesh) -> Mesh:
    """Texture coordinates in metres: round the body and up it."""
    x, y, z = mesh.vertices_m.T
    return Mesh(mesh.vertices_m, mesh.faces, np.column_stack([x + y, z]))
