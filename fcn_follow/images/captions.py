"""Text in pictures."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def write_caption(
    picture: NDArray[np.uint8],
    text: str,
    place_px: tuple[int, int],
    scale: float = 0.4,
    colour: tuple[int, int, int] = WHITE,
) -> None:
    """Write text with a dark outline into a picture H x W x 3; it begins at place_px, the left end of its base line.

    The outline is the text shifted by a pixel, because the letters of thicker text are farther apart.
    """
    x, y = place_px
    moved = [(x + right, y + down, BLACK) for right, down in product((-1, 0, 1), repeat=2)]
    for x_px, y_px, drawn in [*moved, (x, y, colour)]:
        cv2.putText(picture, text, (x_px, y_px), cv2.FONT_HERSHEY_SIMPLEX, scale, drawn, 1, cv2.LINE_AA)
