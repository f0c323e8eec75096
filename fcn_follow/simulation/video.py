"""A flight as a video: what the camera saw with the overlay, beside the view from above."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.geometry import Vector3
from fcn_follow.perception.hero import Hero
from fcn_follow.perception.overlay import draw_overlay
from fcn_follow.simulation.plan import Plan
from fcn_follow.simulation.town import Town

_PLAN_SIDE_M = 44.0
_SHOWN_PATH = 240


class FlightVideo:
    """Writes one WebM (VP8) file, a picture each call of `add`; it has its name once closed without an error."""

    def __init__(self, path: Path, town: Town, rate_hz: float, height_px: int, half_view_rad: float) -> None:
        self._path, self._temporary = path, path.with_name("." + path.name)
        self._town, self._rate_hz, self._height = town, rate_hz, height_px
        self._half_view_rad = half_view_rad
        self._writer: cv2.VideoWriter | None = None
        self._plan: Plan | None = None
        self._plan_middle = np.zeros(2)
        self._drone_path: deque[Vector3] = deque(maxlen=_SHOWN_PATH)

    def add(
        self,
        rgb: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        hero: Hero | None,
        drone_m: Vector3,
        drone_yaw_rad: float,
        hero_m: Vector3,
        people_m: tuple[tuple[float, float], ...],
        caption: str,
    ) -> None:
        """One picture; `caption` is written into its corner."""
        self._drone_path.append(drone_m)
        camera = draw_overlay(rgb, labels, hero)
        if camera.shape[0] != self._height:
            width = round(camera.shape[1] * self._height / camera.shape[0])
            camera = cv2.resize(camera, (width, self._height), interpolation=cv2.INTER_AREA)
        middle = np.array(hero_m[:2])
        if self._plan is None or np.abs(middle - self._plan_middle).max() > _PLAN_SIDE_M * 0.3:
            self._plan_middle = middle
            self._plan = Plan(self._town, (hero_m[0], hero_m[1]), _PLAN_SIDE_M, self._height)
        above = self._plan.draw(drone_m, drone_yaw_rad, hero_m, people_m, self._drone_path, self._half_view_rad)
        picture = np.ascontiguousarray(np.hstack([camera, above])[..., ::-1])
        for thickness, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
            cv2.putText(picture, caption, (6, self._height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness,
                        cv2.LINE_AA)  # fmt: skip
        if self._writer is None:
            self._writer = _open_writer(self._temporary, self._rate_hz, picture.shape[1], picture.shape[0])
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._temporary.replace(self._path)

    def __enter__(self) -> FlightVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if kind is None or kind is KeyboardInterrupt:
            self.close()
        else:
            if self._writer is not None:
                self._writer.release()
            self._temporary.unlink(missing_ok=True)


def _open_writer(path: Path, rate_hz: float, width_px: int, height_px: int) -> cv2.VideoWriter:
    with _quiet():  # OpenCV complains of a tag that WebM does not use
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), rate_hz, (width_px, height_px))
    if not writer.isOpened():
        raise UserError(f"cannot write a video to {path}: no VP8 encoder in this OpenCV, or no such folder")
    return writer


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what libraries print to the process's standard error gets through."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
