"""What was published about one image of a flight, and its row in flight.csv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_follow.classes import HERO
from fcn_follow.geometry import Vector3, VelocityCommand
from fcn_follow.lab.scoring.overlap import Overlap, overlaps

EXPLAINED = (
    "reason",
    "limited_by",
    "distance_m",
    "wanted_forward_m_s",
    "wanted_left_m_s",
    "wanted_up_m_s",
    "wanted_yaw_rate_rad_s",
)
COLUMNS = (
    "stamp_s",
    "age_ms",
    "hero_x_px",
    "hero_y_px",
    "hero_area_px",
    "position_x_m",
    "position_y_m",
    "position_z_m",
    "state",
    "forward_m_s",
    "left_m_s",
    "up_m_s",
    "yaw_rate_rad_s",
    "hero_iou",
    *EXPLAINED,
)


@dataclass
class FrameRecord:
    """All that was published about one image; None where nothing was."""

    stamp_s: float
    image_rgb: NDArray[np.uint8] | None = None
    labels: NDArray[np.uint8] | None = None
    truth: NDArray[np.uint8] | None = None
    age_s: float | None = None
    centroid: Vector3 | None = None
    position_m: Vector3 | None = None
    state: str = ""
    command: VelocityCommand | None = None
    numbers: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    explanation: Mapping[str, str] = field(default_factory=dict)

    def hero_overlap(self) -> Overlap | None:
        """Predicted and true hero pixels, if both masks were published."""
        if self.labels is None or self.truth is None or self.labels.shape != self.truth.shape:
            return None
        return overlaps(self.labels, self.truth)[HERO]

    def row(self) -> list[str]:
        """The values of COLUMNS as text, empty if there is none."""
        command = self.command
        measured = self.hero_overlap()
        values = [
            self.stamp_s,
            None if self.age_s is None else 1e3 * self.age_s,
            *(self.centroid or (None, None, None)),
            *(self.position_m or (None, None, None)),
            self.state,
            *((None,) * 4 if command is None else components(command)),
            None if measured is None else measured.iou,
            *(self.explanation.get(column, "") for column in EXPLAINED),
        ]
        return [
            "" if v is None else f"{v:.6f}" if i == 0 else v if isinstance(v, str) else f"{v:.4f}"
            for i, v in enumerate(values)
        ]


def components(command: VelocityCommand) -> tuple[float, float, float, float]:
    """Forward, left, up in m/s, yaw rate in rad/s."""
    return command.forward_m_s, command.left_m_s, command.up_m_s, command.yaw_rate_rad_s
