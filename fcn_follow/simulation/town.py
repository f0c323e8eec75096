"""The plan of the town: a paved square, roads around it, a park to the east, buildings.

x runs east, y north, z up, all in metres from the middle of the square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fcn_follow.geometry import Vector3
from fcn_follow.simulation.shapes import Points, box_outline, circle_outline

HALF_SIDE_M = 120.0
ROAD_M = 40.0
"""Distance of the four roads' middle lines from the middle of the square."""
ROAD_WIDTH_M = 8.0
PAVEMENT_WIDTH_M = 2.2
_CELL_M = 0.1


@dataclass(frozen=True)
class Ground:
    """A flat area of one kind: grass, paving, asphalt, slabs, white or yellow (paint)."""

    kind: str
    outline_m: Points
    height_m: float


@dataclass(frozen=True)
class Building:
    """A block with vertical walls; `style` is its facade."""

    centre_m: tuple[float, float]
    size_m: tuple[float, float]
    height_m: float
    style: int

    @property
    def outline_m(self) -> Points:
        return box_outline(self.centre_m, self.size_m)


@dataclass(frozen=True)
class Plant:
    """A tree, a cypress or a round flower bed (`kind` bed): its middle and the radius of the obstacle."""

    kind: str
    centre_m: tuple[float, float]
    radius_m: float
    height_m: float


@dataclass(frozen=True)
class Town:
    """Everything that does not move."""

    grounds: tuple[Ground, ...]
    buildings: tuple[Building, ...]
    plants: tuple[Plant, ...]

    def blocked(self, x_m: float, y_m: float, margin_m: float) -> bool:
        """Whether a building or plant is nearer than `margin_m` to a position, at any height."""
        return self._is_near((x_m, y_m, -math.inf), margin_m)

    def hit(self, position_m: Vector3, radius_m: float) -> bool:
        """Whether a ball touches the ground, a building, a trunk or a flower bed."""
        return position_m[2] < radius_m or self._is_near(position_m, radius_m)

    def _is_near(self, position_m: Vector3, margin_m: float) -> bool:
        x, y, z = position_m
        for building in self.buildings:
            across = abs(x - building.centre_m[0]) - building.size_m[0] / 2
            along = abs(y - building.centre_m[1]) - building.size_m[1] / 2
            if max(across, along, z - building.height_m) < margin_m:
                return True
        return any(
            (x - p.centre_m[0]) ** 2 + (y - p.centre_m[1]) ** 2 < (p.radius_m + margin_m) ** 2
            and z < p.height_m + margin_m
            for p in self.plants
        )


class GroundHeight:
    """The height of the ground at a position, from a raster of the plan."""

    def __init__(self, town: Town) -> None:
        side = int(2 * HALF_SIDE_M / _CELL_M)
        self._raster_m = np.zeros((side, side), np.float32)
        for ground in sorted(town.grounds, key=lambda g: g.height_m):
            corners = np.round((ground.outline_m + HALF_SIDE_M) / _CELL_M).astype(np.int32)
            cv2.fillPoly(self._raster_m, [corners], ground.height_m)

    def __call__(self, x_m: float, y_m: float) -> float:
        side = self._raster_m.shape[0]
        column, row = (int(np.clip((v + HALF_SIDE_M) / _CELL_M, 0, side - 1)) for v in (x_m, y_m))
        return float(self._raster_m[row, column])


def _rectangle(west: float, east: float, south: float, north: float) -> Points:
    return box_outline(((west + east) / 2, (south + north) / 2), (east - west, north - south))


def _turned(outline: Points, quarter: int) -> Points:
    for _ in range(quarter):
        outline = np.column_stack([-outline[:, 1], outline[:, 0]])
    return outline


def _roads() -> list[Ground]:
    """Four roads that cross at the corners of a square, each a quarter turn from the one before."""
    return [
        Ground(ground.kind, _turned(ground.outline_m, quarter), ground.height_m + 0.001 * quarter)
        for quarter in range(4)
        for ground in _southern_road()
    ]


def _southern_road() -> list[Ground]:
    """Asphalt, and between the crossings pavements, a dashed yellow middle line and white edge lines."""
    half, edge = ROAD_WIDTH_M / 2, HALF_SIDE_M
    inner, outer = ROAD_M - half, ROAD_M + half
    grounds = [Ground("asphalt", _rectangle(-edge, edge, -outer, -inner), 0.02)]
    for west, east in ((-edge, -outer), (-inner, inner), (outer, edge)):
        pavements = [(west, east, south, south + PAVEMENT_WIDTH_M) for south in (-inner, -outer - PAVEMENT_WIDTH_M)]
        dashes = [(x, x + 2.4, -ROAD_M - 0.08, -ROAD_M + 0.08) for x in np.arange(west + 2.0, east - 3.0, 6.0)]
        lines = [
            (x, x + 2.9, middle - 0.06, middle + 0.06)
            for middle in (-outer + 0.45, -inner - 0.45)
            for x in np.arange(west + 0.5, east - 3.0, 3.2)
        ]
        for kind, sides, height in (("slabs", pavements, 0.12), ("yellow", dashes, 0.04), ("white", lines, 0.04)):
            grounds += [Ground(kind, _rectangle(*side), height) for side in sides]
    return grounds


def _square() -> list[Ground]:
    """The paved square with an arm to each road, and the markings of the car park beside the western road."""
    half, arm, reach = 22.0, 7.0, ROAD_M - ROAD_WIDTH_M / 2 - PAVEMENT_WIDTH_M
    corner = [
        (half, arm),
        (half * 0.93, half * 0.55),
        (half * 0.78, half * 0.78),
        (half * 0.55, half * 0.93),
        (arm, half),
    ]
    outline: list[tuple[float, float]] = []
    for quarter in range(4):
        piece = np.array([(reach, -arm * 0.8), (reach, arm * 0.8), *corner])
        outline += [tuple(p) for p in _turned(piece, quarter)]
    grounds = [Ground("paving", np.array(outline), 0.10)]
    grounds.append(Ground("asphalt", _rectangle(-76, -52, -16, 16), 0.03))
    for y in np.arange(-15, 15.1, 2.6):
        grounds += [Ground("white", _rectangle(west, west + 5, y, y + 0.14), 0.05) for west in (-75.5, -57.5)]
    return grounds


def _park() -> list[Ground]:
    """A winding path through the park."""
    x = np.linspace(48, 112, 22)
    y = 9 * np.sin((x - 48) / 13)
    south, north = np.column_stack([x, y - 1.6]), np.column_stack([x, y + 1.6])
    return [Ground("paving", np.concatenate([south, north[::-1]]), 0.06)]


def _buildings() -> list[Building]:
    near = [
        Building((-27.5, 26.5), (9, 13), 8.5, 0), Building((27.5, 27.0), (12, 9), 9.5, 1),
        Building((27.0, -27.5), (10, 12), 8.0, 2), Building((-27.0, -27.0), (12, 10), 9.0, 3),
    ]  # fmt: skip
    far = []
    for i, middle in enumerate(np.arange(-100, 101, 25.0)):
        length = 15.0 + 3.0 * (i % 3)
        far.append(Building((float(middle), 58.0), (length, 11.0), 9.0 + i % 3, i % 6))
        far.append(Building((float(middle) + 4, -58.0), (length, 11.0), 8.5 + (i + 1) % 3, (i + 2) % 6))
        if abs(middle) > 40:
            far.append(Building((-82.0, float(middle)), (11.0, length), 9.0 + (i + 2) % 3, (i + 4) % 6))
    far += [Building((-90.0, float(y)), (10.0, 17.0), 11.0, 4 + i % 2) for i, y in enumerate((-22, 0, 22))]
    return [b for b in far if not _on_a_road(b.centre_m, (b.size_m[0] / 2, b.size_m[1] / 2))] + near


def _on_a_road(centre_m: tuple[float, float], half_m: tuple[float, float]) -> bool:
    """Whether a rectangle reaches onto a road or its pavements."""
    reach = ROAD_WIDTH_M / 2 + PAVEMENT_WIDTH_M
    return any(abs(abs(centre) - ROAD_M) < reach + half for centre, half in zip(centre_m, half_m, strict=True))


def _plants(rng: np.random.Generator) -> list[Plant]:
    beds = [(0.0, 0.0), (13.0, 13.5), (-14.0, 12.5), (13.5, -13.0)]
    plants = [Plant("bed", place, 2.6 if place == (0.0, 0.0) else 1.7, 0.55) for place in beds]
    plants += [Plant("bed", (float(x), float(y)), 1.9, 0.5) for x, y in [(60, -14), (72, 13), (88, -10)]]
    for x in np.arange(52, 110, 8.5):
        for y in (-26, -17, 18, 27):
            shift = rng.uniform(-1.5, 1.5, 2)
            plants.append(Plant("tree", (float(x + shift[0]), float(y + shift[1])), 0.3, float(rng.uniform(6, 9))))
    row = [(x, y) for x in (-21.0, -16.0, 16.0, 21.0) for y in (-30.5, 30.5)]
    row += [(x, 48.8) for x in np.arange(-90, 35, 15.0)] + [(x, -48.8) for x in np.arange(-84, 100, 15.0)]
    plants += [Plant("tree", (float(x), float(y)), 0.25, float(rng.uniform(5, 8))) for x, y in row]
    return [plant for plant in plants if not _on_a_road(plant.centre_m, (0.5, 0.5))]


def steps(
    x_m: float, south_north_m: tuple[float, float], count: int, tread_m: float, rise_m: float, top_m: float
) -> tuple[Ground, ...]:
    """Steps up to the east from x_m on, and level ground of top_m behind them; small steps make a slope."""
    south, north = south_north_m
    east = x_m + count * tread_m + top_m
    return tuple(
        Ground("slabs", _rectangle(x_m + i * tread_m, east, south, north), rise_m * (i + 1)) for i in range(count)
    )


def town_of(
    seed: int, walls: Sequence[Building] = (), trees: Sequence[Plant] = (), grounds: Sequence[Ground] = ()
) -> Town:
    """The town, with additional walls, trees and grounds; its own trees have small random differences by the seed."""
    half = HALF_SIDE_M
    grass = Ground("grass", _rectangle(-half, half, -half, half), 0.0)
    plants = _plants(np.random.default_rng([seed, 1]))
    return Town((grass, *_roads(), *_square(), *_park(), *grounds), (*_buildings(), *walls), (*plants, *trees))


def bed_outline(plant: Plant) -> Points:
    """The kerb of a flower bed."""
    return circle_outline(plant.centre_m, plant.radius_m, 20)
