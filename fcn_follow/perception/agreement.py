"""Temporal agreement: a hero counts as seen once enough of the newest frames show one at about the same place."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fcn_follow.errors import UserError
from fcn_follow.parameters import parameter
from fcn_follow.perception.blobs import Blob, Box

MEMORY_S = 1.0


@dataclass(frozen=True)
class AgreementParameters:
    """How many of the newest frames must show the hero at about the same place."""

    frames: int = parameter(1, "number of newest frames that are considered", minimum=1, maximum=60)
    seen: int = parameter(
        1,
        "number of these frames that must show the hero at about the same place; 1 of 1: every frame is believed",
        minimum=1,
        maximum=60,
    )

    def __post_init__(self) -> None:
        if self.seen > self.frames:
            raise UserError(
                f"agreement.seen is {self.seen} and agreement.frames {self.frames}: seen cannot exceed frames; "
                "raise frames or lower seen"
            )


class Agreement:
    """Remembers where the newest frames, at most MEMORY_S old, showed a hero."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, Box | None]] = deque()

    def agreed(self, hero: Blob | None, stamp_s: float, parameters: AgreementParameters) -> Blob | None:
        """The hero of this frame if enough of the newest frames, this one included, agree; else None.

        Two frames agree when their boxes touch, each enlarged by its own size on every side. Stamps that jump back (a
        bag that starts again) clear the memory.
        """
        past = self._past
        past.append((stamp_s, hero.box if hero else None))
        while len(past) > parameters.frames or not 0.0 <= stamp_s - past[0][0] <= MEMORY_S:
            past.popleft()
        if hero is None:
            return None
        seen = sum(box is not None and _near(box, hero.box) for _, box in past)
        return hero if seen >= parameters.seen else None


def _near(first: Box, second: Box) -> bool:
    a, b = _grown(first), _grown(second)
    return a.left_px <= b.right_px and b.left_px <= a.right_px and a.top_px <= b.bottom_px and b.top_px <= a.bottom_px


def _grown(box: Box) -> Box:
    width, height = box.width_px, box.height_px
    return Box(box.left_px - width, box.top_px - height, box.right_px + width, box.bottom_px + height)
