"""A flight as a video: the camera's image with the overlay, beside a map."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.geometry import Vector3
from fcn_follow.images.captions import write_caption
from fcn_follow.lab.webm import Video
from fcn_follow.perception.blobs import Blob
from fcn_follow.perception.overlay import draw_overlay
from fcn_follow.simulation.flight import Moment
from fcn_follow.simulation.town import Town
from fcn_follow.simulation.town_map import TownMap

_HEIGHT_PX = 240
_MAP_SIDE_M = 44.0
_SHOWN_PATH = 240


class FlightVideo(Video):
    """A video with an image for each call of `add_moment`."""

    def __init__(self, path: Path, town: Town, rate_hz: float, half_view_rad: float) -> None:
        super().__init__(path, rate_hz)
        self._town, self._half_view_rad = town, half_view_rad
        self._map: TownMap | None = None
        self._map_middle = np.zeros(2)
        self._drone_path: deque[Vector3] = deque(maxlen=_SHOWN_PATH)

    def add_moment(self, rgb: NDArray[np.uint8], labels: NDArray[np.uint8], hero: Blob | None, now: Moment) -> None:
        """Add an image with the time and the state in its corner."""
        self._drone_path.append(now.drone_m)
        camera = draw_overlay(rgb, labels, hero)
        if camera.shape[0] != _HEIGHT_PX:
            width = round(camera.shape[1] * _HEIGHT_PX / camera.shape[0])
            camera = cv2.resize(camera, (width, _HEIGHT_PX), interpolation=cv2.INTER_AREA)
        middle = np.array(now.hero_m[:2])
        if self._map is None or np.abs(middle - self._map_middle).max() > _MAP_SIDE_M * 0.3:
            self._map_middle = middle
            self._map = TownMap(self._town, (now.hero_m[0], now.hero_m[1]), _MAP_SIDE_M, _HEIGHT_PX)
        above = self._map.draw(
            now.drone_m, now.drone_yaw_rad, now.hero_m, now.people_m, self._drone_path, self._half_view_rad
        )
        picture = np.hstack([camera, above])
        write_caption(picture, f"{now.now_s:5.1f} s  {now.state}", (6, _HEIGHT_PX - 8))
        self.add(picture)
