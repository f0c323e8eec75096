"""The town and its people as a MuJoCo model: textures, meshes, one light, and geoms for people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fcn_follow.simulation import textures
from fcn_follow.simulation.graphics import mujoco
from fcn_follow.simulation.people import PARTS, POSES, body_meshes
from fcn_follow.simulation.scenery import make_materials, scenery
from fcn_follow.simulation.shapes import Mesh
from fcn_follow.simulation.town import Town, town_of

MAX_PEOPLE = 28
"""The largest number of people in one image."""


@dataclass(frozen=True)
class World:
    """A compiled town; `mesh_ids[pose]` has mesh ids by names of `body_meshes`, `part_geoms` is (MAX_PEOPLE, PARTS)."""

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

    def _image(self, name: str, image: textures.Texture, kind: mujoco.mjtTexture) -> None:
        texture = self.spec.add_texture(name=name, type=kind, height=image.shape[0], width=image.shape[1], nchannel=3)
        texture.data = image.tobytes()

    def _material(self, name: str) -> mujoco.MjsMaterial:
        return self.spec.add_material(name=name, specular=0.0, shininess=0.0, reflectance=0.0)


def make_world(seed: int, town: Town | None = None) -> World:
    """A town with the textures and leaves of `seed`, by default that of `town_of(seed)`; making it takes a second."""
    rng = np.random.default_rng([seed, 2])
    town = town or town_of(seed)
    builder = _Builder()
    materials = make_materials(rng)
    for name, image in materials.textures.items():
        builder.texture(name, image)
    for name, rgb in materials.colours.items():
        builder.colour(name, rgb)
    builder.sky(materials.sky)
    for material, mesh in scenery(town, rng).items():
        builder.mesh(f"scenery {material}", mesh)
        builder.geom(f"scenery {material}", f"scenery {material}", material)
    _add_people(builder)
    model = builder.spec.compile()
    styles: dict[int, dict[str, int]] = {index: {} for index in range(len(POSES))}
    for mesh_id in range(model.nmesh):
        name = model.mesh(mesh_id).name
        if name.startswith("pose "):
            _, index, part = name.split(" ", 2)
            styles[int(index)][part] = mesh_id
    geoms = np.array([[model.geom(f"person {place} {part}").id for part in PARTS] for place in range(MAX_PEOPLE)])
    return World(town, model, tuple(styles[index] for index in range(len(POSES))), geoms)


def _add_people(builder: _Builder) -> None:
    for index, meshes in enumerate(_people_in_cloth()):
        for name, mesh in meshes.items():
            builder.mesh(f"pose {index} {name}", mesh)
    first = {part: next(name for name in _people_in_cloth()[0] if name.split("/")[0] == part) for part in PARTS}
    for place in range(MAX_PEOPLE):
        for part in PARTS:
            builder.geom(f"person {place} {part}", f"pose 0 {first[part]}", "cloth")


@cache
def _people_in_cloth() -> tuple[dict[str, Mesh], ...]:
    """The meshes of each of POSES by name: the same in every world, and half of the work to make a world."""
    return tuple({name: _wrapped_in_cloth(mesh) for name, mesh in body_meshes(pose).items()} for pose in POSES)


def _wrapped_in_cloth(mesh: Mesh) -> Mesh:
    """The mesh with texture coordinates in metres: around the body and upwards."""
    x, y, z = mesh.vertices_m.T
    return Mesh(mesh.vertices_m, mesh.faces, np.column_stack([x + y, z]))
