"""The park: a hill of grass with trees, and a path that winds round and over it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fcn_follow.gazebo.people import Person, Place
from fcn_follow.gazebo.town import Scenery, tree_name
from fcn_follow.simulation.scenery import TREE_LEAVES
from fcn_follow.simulation.shapes import Mesh

PARK = "park"
_HALF_SIDE_M, _CELL_M, _TEXTURE_M = 60.0, 2.0, 6.0
_HILL_M, _HILL_CENTRE_M, _HILL_SIGMA_M = 3.0, (14.0, 4.0), 10.0
_PATH_RADIUS_M, _PATH_SWING_M, _BENDS = 20.0, 4.0, 3
_PATH_WIDTH_M, _PATH_ABOVE_M = 2.4, 0.04
_PATH_POINTS = 180
_TREES, _TREE_FROM_PATH_M, _TREE_FROM_TREE_M = 60, 3.0, 4.0
_HERO_START_SHARE = 0.5
_OTHERS = ((0.55, 1.2), (0.75, 1.3), (1.3, 1.1), (1.5, 2.3))
"""Loops of the path's shape: their size as a share of its radius, and the speed in m/s."""


def height_m(x_m: float, y_m: float) -> float:
    """The height of the grass."""
    away_m = math.hypot(x_m - _HILL_CENTRE_M[0], y_m - _HILL_CENTRE_M[1])
    return _HILL_M * math.exp(-0.5 * (away_m / _HILL_SIGMA_M) ** 2)


def path_height_m(x_m: float, y_m: float) -> float:
    """The height of the path's surface."""
    return height_m(x_m, y_m) + _PATH_ABOVE_M


def loop_m(share: float, count: int) -> list[Place]:
    """Points of a closed curve of the path's shape, `share` times as large."""
    places = []
    for angle_rad in np.linspace(0.0, math.tau, count, endpoint=False):
        radius_m = share * (_PATH_RADIUS_M + _PATH_SWING_M * math.cos(_BENDS * angle_rad))
        places.append((radius_m * math.cos(angle_rad), radius_m * math.sin(angle_rad)))
    return places


def park_people(people: Sequence[Person]) -> list[Person]:
    """The hero on the path, and a few of the others on the grass."""
    walk = [replace(people[0], corners_m=tuple(loop_m(1.0, 36)), start_share=_HERO_START_SHARE)]
    for person, (share, speed_m_s) in zip(people[1:], _OTHERS, strict=False):
        walk.append(replace(person, corners_m=tuple(loop_m(share, 36)), speed_m_s=speed_m_s))
    return walk


def park_model() -> Scenery:
    """The ground with the path."""
    meshes = {"grass": _grass(), "slabs": _path()}
    return Scenery(PARK, "Grass with a hill and a winding path.", meshes, ground_is_mesh=True)


def tree_places(seed: int) -> Iterator[tuple[str, float, float, float, float]]:
    """Model name, x, y, z (m) and yaw (rad) of every tree."""
    rng = np.random.default_rng([seed, 11])
    walked = np.array([place for share in (1.0, *(share for share, _ in _OTHERS)) for place in loop_m(share, 90)])
    places: list[np.ndarray] = []
    while len(places) < _TREES:
        place = rng.uniform(5.0 - _HALF_SIDE_M, _HALF_SIDE_M - 5.0, 2)
        apart = all(np.linalg.norm(place - other) > _TREE_FROM_TREE_M for other in places)
        if apart and np.linalg.norm(walked - place, axis=1).min() > _TREE_FROM_PATH_M:
            places.append(place)
            x_m, y_m = map(float, place)
            kind = str(rng.choice(TREE_LEAVES, p=[0.45, 0.4, 0.1, 0.05]))
            yield tree_name(kind), x_m, y_m, height_m(x_m, y_m), float(rng.uniform(-3.1, 3.1))


def _grass() -> Mesh:
    side = np.arange(-_HALF_SIDE_M, _HALF_SIDE_M + _CELL_M / 2, _CELL_M)
    places = [(x, y) for y in side for x in side]
    return Mesh(
        np.array([(x, y, height_m(x, y)) for x, y in places]),
        _grid_faces(len(side), len(side)),
        np.array(places) / _TEXTURE_M,
    )


def _path() -> Mesh:
    """The path between two edges round the loop; the last pair of points is the first again."""
    middle = np.array([*loop_m(1.0, _PATH_POINTS), loop_m(1.0, _PATH_POINTS)[0]])
    ahead = np.roll(middle[:-1], -1, 0) - np.roll(middle[:-1], 1, 0)
    ahead = np.concatenate([ahead, ahead[:1]]) / np.linalg.norm(np.concatenate([ahead, ahead[:1]]), axis=1)[:, None]
    left = np.column_stack([-ahead[:, 1], ahead[:, 0]]) * _PATH_WIDTH_M / 2
    run_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
    edges = np.stack([middle - left, middle + left], 1).reshape(-1, 2)
    vertices = np.array([(x, y, path_height_m(x, y)) for x, y in edges])
    texcoords = np.array([(edge, run / _PATH_WIDTH_M) for run in run_m for edge in (0.0, 1.0)])
    return Mesh(vertices, _grid_faces(len(middle), 2)[:, ::-1], texcoords)


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Two triangles a cell, counter-clockwise seen from above where rows go north and columns east."""
    row, column = (part.ravel() for part in np.mgrid[: rows - 1, : columns - 1])
    corner = row * columns + column
    right, above = corner + 1, corner + columns
    first = np.stack([corner, right, above + 1], 1)
    second = np.stack([corner, above + 1, above], 1)
    return np.concatenate([first, second]).astype(np.int32)
