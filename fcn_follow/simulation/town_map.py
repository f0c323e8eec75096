"""A map of the town with hero, people and drone, for videos and plots."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.simulation.town import Town

GROUND_COLOURS = {"grass": (92, 148, 60), "paving": (206, 204, 198), "asphalt": (112, 112, 110),
                  "slabs": (178, 178, 174), "white": (235, 235, 230), "yellow": (214, 180, 70)}  # fmt: skip
BUILDING_COLOUR, TREE_COLOUR, BED_COLOUR = (128, 96, 84), (40, 104, 44), (150, 60, 60)
HERO_COLOUR, OTHER_COLOUR, DRONE_COLOUR = (220, 20, 20), (30, 60, 160), (20, 20, 20)
_SUBPIXEL_BITS = 4


class TownMap:
    """A square part of the town as an image, north up: (size, size, 3) uint8 RGB of `side_m` around a middle."""

    def __init__(self, town: Town, middle_m: tuple[float, float], side_m: float, size_px: int) -> None:
        self._middle, self._scale, self._size = np.array(middle_m), size_px / side_m, size_px
        self.background: NDArray[np.uint8] = np.zeros((size_px, size_px, 3), np.uint8)
        for ground in sorted(town.grounds, key=lambda g: g.height_m):
            cv2.fillPoly(self.background, [self._fixed(ground.outline_m)], GROUND_COLOURS[ground.kind],
                         cv2.LINE_AA, _SUBPIXEL_BITS)  # fmt: skip
        for building in town.buildings:
            outline = [self._fixed(building.outline_m)]
            cv2.fillPoly(self.background, outline, BUILDING_COLOUR, cv2.LINE_AA, _SUBPIXEL_BITS)
        for plant in town.plants:
            colour = BED_COLOUR if plant.kind == "bed" else TREE_COLOUR
            self._disc(self.background, plant.centre_m, plant.radius_m * (3 if plant.kind == "tree" else 1), colour)

    def draw(
        self,
        drone_m: Sequence[float],
        drone_yaw_rad: float,
        hero_m: Sequence[float],
        people_m: Sequence[Sequence[float]],
        path_m: Sequence[Sequence[float]],
        half_view_rad: float,
    ) -> NDArray[np.uint8]:
        """The map with all people, the drone, its path and the camera's field of view."""
        image = self.background.copy()
        reach = 12.0
        corners = [
            (drone_m[0] + reach * np.cos(drone_yaw_rad + side), drone_m[1] + reach * np.sin(drone_yaw_rad + side))
            for side in (half_view_rad, -half_view_rad)
        ]
        view = image.copy()
        triangle = self._fixed(np.array([drone_m[:2], *corners]))
        cv2.fillPoly(view, [triangle], (255, 255, 160), cv2.LINE_AA, _SUBPIXEL_BITS)
        image = cv2.addWeighted(view, 0.35, image, 0.65, 0)
        if len(path_m) > 1:
            points = [self._fixed(np.array([p[:2] for p in path_m]))]
            cv2.polylines(image, points, False, DRONE_COLOUR, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        for place in people_m:
            self._disc(image, place, 0.35, OTHER_COLOUR)
        self._disc(image, hero_m, 0.45, HERO_COLOUR)
        self._disc(image, drone_m, 0.5, DRONE_COLOUR)
        return np.asarray(image, np.uint8)

    def _fixed(self, points_m: NDArray[np.float64]) -> NDArray[np.int32]:
        offset = (np.asarray(points_m, dtype=np.float64) - self._middle) * [1, -1] * self._scale + self._size / 2
        fixed: NDArray[np.int32] = np.round(offset * 2**_SUBPIXEL_BITS).astype(np.int32)
        return fixed

    def _disc(
        self, image: NDArray[np.uint8], place_m: Sequence[float], radius_m: float, colour: tuple[int, int, int]
    ) -> None:
        centre = self._fixed(np.array([place_m[:2]]))[0]
        radius = max(2.0, radius_m * self._scale)
        cv2.circle(image, (int(centre[0]), int(centre[1])), int(radius * 2**_SUBPIXEL_BITS), colour, -1, cv2.LINE_AA,
                   _SUBPIXEL_BITS)  # fmt: skip
