"""Triangle meshes from formulas: lofts, ellipsoids, prisms and leaves.

Triangles are counter-clockwise seen from outside; lengths are in metres; z is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
PointsLike = Points | Sequence[Sequence[float]] | Sequence[Points]


@dataclass(frozen=True)
class Mesh:
    """`vertices_m` (N, 3), `faces` (M, 3) indices, `texcoords` (N, 2) in texture widths, or None for a plain colour."""

    vertices_m: Points
    faces: NDArray[np.int32]
    texcoords: Points | None = None

    def moved(self, offset_m: Sequence[float]) -> Mesh:
        """The mesh elsewhere."""
        return Mesh(self.vertices_m + np.asarray(offset_m), self.faces, self.texcoords)


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles in one mesh; texture coordinates are kept where every mesh has them."""
    starts = np.cumsum([0] + [len(mesh.vertices_m) for mesh in meshes[:-1]])
    texcoords = [mesh.texcoords for mesh in meshes if mesh.texcoords is not None]
    return Mesh(
        np.concatenate([mesh.vertices_m for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]).astype(np.int32),
        np.concatenate(texcoords) if len(texcoords) == len(meshes) else None,
    )


def loft(rings: Points) -> Mesh:
    """A closed surface over `rings` (R, S, 3), each of S points counter-clockwise about the direction of the loft."""
    count, sides, _ = rings.shape
    faces = []
    for ring in range(count - 1):
        a = ring * sides + np.arange(sides)
        b = ring * sides + (np.arange(sides) + 1) % sides
        faces += [np.stack([a, b, b + sides], 1), np.stack([a, b + sides, a + sides], 1)]
    bottom, top = count * sides, count * sides + 1
    around = np.arange(sides)
    after = (around + 1) % sides
    last = (count - 1) * sides
    faces.append(np.stack([after, around, np.full(sides, bottom)], 1))
    faces.append(np.stack([last + around, last + after, np.full(sides, top)], 1))
    vertices = np.concatenate([rings.reshape(-1, 3), rings[0].mean(0)[None], rings[-1].mean(0)[None]])
    return Mesh(vertices, np.concatenate(faces).astype(np.int32))


def stacked_ellipses(sections: Sequence[tuple[float, float, float, float]], sides: int = 12) -> Mesh:
    """A loft of horizontal ellipses, each (z, centre x, half depth along x, half width along y)."""
    angle = np.arange(sides) * 2 * np.pi / sides
    rings = [
        np.stack([x + depth * np.cos(angle), width * np.sin(angle), np.full(sides, z)], 1)
        for z, x, depth, width in sections
    ]
    return loft(np.array(rings))


def tube(path_m: PointsLike, radii_m: Sequence[float], sides: int = 8) -> Mesh:
    """A tube with rounded ends along `path_m`, of the given radius at each point."""
    path = np.asarray(path_m, dtype=np.float64)
    radii = np.asarray(radii_m, dtype=np.float64)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    start, end = path[0] - along[0] * radii[0] * 0.7, path[-1] + along[-1] * radii[-1] * 0.7
    path = np.concatenate([[start], path, [end]])
    along = np.concatenate([along[:1], along, along[-1:]])
    radii = np.concatenate([[radii[0] * 0.55], radii, [radii[-1] * 0.55]])
    helper = np.where(np.abs(along[:, :1]) > 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    right = np.cross(along, helper)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    forward = np.cross(along, right)
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = np.cos(angle)[None, :, None] * right[:, None] + np.sin(angle)[None, :, None] * forward[:, None]
    return loft(path[:, None] + radii[:, None, None] * circle)


def ellipsoid(centre_m: Sequence[float], radii_m: Sequence[float], rings: int = 7, sides: int = 10) -> Mesh:
    """An ellipsoid with its axes along x, y and z."""
    latitude = np.linspace(-np.pi / 2 + 0.2, np.pi / 2 - 0.2, rings)
    rx, ry, rz = radii_m
    sections = [(rz * np.sin(a), 0.0, rx * np.cos(a), ry * np.cos(a)) for a in latitude]
    return stacked_ellipses(sections, sides).moved(centre_m)


def _ears(outline: Points) -> list[tuple[int, int, int]]:
    """The triangles of a simple counter-clockwise polygon, by ear clipping."""
    left = list(range(len(outline)))
    triangles = []

    def cross(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = outline[a], outline[b], outline[c]
        return float((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    while len(left) > 3:
        for i, b in enumerate(left):
            a, c = left[i - 1], left[(i + 1) % len(left)]
            inside = (p for p in left if p not in (a, b, c))
            if cross(a, b, c) > 0 and not any(
                cross(a, b, p) >= 0 and cross(b, c, p) >= 0 and cross(c, a, p) >= 0 for p in inside
            ):
                triangles.append((a, b, c))
                left.pop(i)
                break
        else:
            raise ValueError("the outline crosses itself or runs clockwise")
    return [*triangles, (left[0], left[1], left[2])]


def plate(outline_m: PointsLike, z_m: float, texture_m: float) -> Mesh:
    """A horizontal simple polygon, counter-clockwise from above, with texture coordinates from world x and y."""
    outline = np.asarray(outline_m, dtype=np.float64)
    vertices = np.column_stack([outline, np.full(len(outline), z_m)])
    return Mesh(vertices, np.array(_ears(outline), dtype=np.int32), outline / texture_m)


def walls(outline_m: PointsLike, bottom_m: float, top_m: float, texture_m: tuple[float, float]) -> Mesh:
    """Vertical walls along a counter-clockwise outline; `texture_m` is the width and height of one texture.

    Each wall has a whole number of half textures, so that no corner cuts a window.
    """
    outline = np.asarray(outline_m, dtype=np.float64)
    vertices: list[tuple[float, float, float]] = []
    texcoords: list[tuple[float, float]] = []
    faces: list[tuple[int, int, int]] = []
    across = 0.0
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        width = max(1.0, np.round(np.linalg.norm(b - a) / texture_m[0] * 2)) / 2
        tall = (top_m - bottom_m) / texture_m[1]
        start = len(vertices)
        for (x, y), u in ((a, across), (b, across + width)):
            vertices += [(x, y, bottom_m), (x, y, top_m)]
            texcoords += [(u, tall), (u, 0.0)]
        faces += [(start, start + 2, start + 3), (start, start + 3, start + 1)]
        across += width
    return Mesh(np.array(vertices), np.array(faces, dtype=np.int32), np.array(texcoords))


def box_outline(centre_m: Sequence[float], size_m: Sequence[float]) -> Points:
    """The four corners of a rectangle along the axes, counter-clockwise."""
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners: Points = signs * (np.asarray(size_m) / 2) + np.asarray(centre_m)
    return corners


def circle_outline(centre_m: Sequence[float], radius_m: float, sides: int) -> Points:
    """A regular polygon, counter-clockwise."""
    angle = np.arange(sides) * 2 * np.pi / sides
    return np.asarray(centre_m) + radius_m * np.column_stack([np.cos(angle), np.sin(angle)])


def leaves(
    rng: np.random.Generator, centre_m: Sequence[float], radii_m: Sequence[float], count: int, leaf_m: float
) -> Mesh:
    """`count` two-sided pointed leaves at random in the outer half of an ellipsoid."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    middle = np.asarray(centre_m) + direction * np.asarray(radii_m) * rng.uniform(0.55, 1.0, (count, 1))
    along = rng.normal(size=(count, 3)) + direction * 0.7
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, rng.normal(size=(count, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    length = leaf_m * rng.uniform(0.7, 1.4, (count, 1))
    corners = np.stack(
        [middle - along * length / 2, middle + across * length * 0.25, middle + along * length / 2,
         middle - across * length * 0.25], 1,
    )  # fmt: skip
    first = np.arange(count)[:, None] * 4
    front = np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])])
    vertices = corners.reshape(-1, 3)
    back = front[:, ::-1] + len(vertices)
    return Mesh(np.concatenate([vertices, vertices]), np.concatenate([front, back]).astype(np.int32))
