"""Meshes as Wavefront OBJ and MTL, with their textures as JPEG beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from fcn_follow.images.pictures import write_picture
from fcn_follow.simulation.scenery import Materials
from fcn_follow.simulation.shapes import Mesh, Points

MAX_TEXTURE_PX = 512
_JPEG_QUALITY = 82


def write_obj(path: Path, meshes: Mapping[str, Mesh], materials: Materials) -> None:
    """Write `path` (.obj), its .mtl and its textures; `meshes` by the name of their material.

    Mesh counts the rows of a texture from the top, OBJ from the bottom.
    """
    lines = [f"mtllib {path.stem}.mtl"]
    vertex = texcoord = 1
    for name, mesh in meshes.items():
        lines += [f"o {_word(name)}", f"usemtl {_word(name)}"]
        lines += [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in mesh.vertices_m]
        lines += [f"vn {x:.2f} {y:.2f} {z:.2f}" for x, y, z in vertex_normals(mesh)]
        corner = "{0}//{0}"
        if mesh.texcoords is not None:
            corner = "{0}/{1}/{0}"
            lines += [f"vt {u:.3f} {1 - v:.3f}" for u, v in mesh.texcoords]
        for face in mesh.faces + vertex:
            lines.append("f " + " ".join(corner.format(i, i - vertex + texcoord) for i in face))
        vertex += len(mesh.vertices_m)
        texcoord += 0 if mesh.texcoords is None else len(mesh.texcoords)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    path.with_suffix(".mtl").write_text("\n".join(_material(name, materials, path.parent) for name in meshes), "ascii")


def vertex_normals(mesh: Mesh) -> Points:
    """(N, 3) unit normals: the mean over the triangles of a vertex, weighted by their area."""
    a, b, c = (mesh.vertices_m[mesh.faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(mesh.vertices_m)
    for corner in range(3):
        np.add.at(normals, mesh.faces[:, corner], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    upright: Points = np.where(lengths > 0.0, normals / np.maximum(lengths, 1e-12), [[0.0, 0.0, 1.0]])
    return upright


def _material(name: str, materials: Materials, folder: Path) -> str:
    lines = [f"newmtl {_word(name)}", "Ka 0 0 0", "Ks 0 0 0", "Ns 1", "illum 1"]
    if name not in materials.textures:
        red, green, blue = materials.colours[name]
        return "\n".join([*lines, f"Kd {red:.3f} {green:.3f} {blue:.3f}"]) + "\n"
    texture = f"{_word(name)}.jpg"
    _write_texture(folder / texture, materials.textures[name])
    return "\n".join([*lines, "Kd 1 1 1", f"map_Kd {texture}"]) + "\n"


def _write_texture(path: Path, rgb: np.ndarray) -> None:
    side = max(rgb.shape[:2])
    if side > MAX_TEXTURE_PX:
        scale = MAX_TEXTURE_PX / side
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    write_picture(path, rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def _word(name: str) -> str:
    return name.replace(" ", "_")
