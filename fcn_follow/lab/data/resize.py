"""The resizing of images and masks in training and in the Follow-Me score: Pillow's antialiased bilinear in uint8.

The nodes use images/resize.py, which is faster and rounds differently; the score is defined with Pillow.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from fcn_follow.lab.data.frames import UInt8Array


def resize_image(image: UInt8Array, height_px: int, width_px: int) -> UInt8Array:
    """A uint8 RGB image H x W x 3 at the given size; the same array if the size is already right."""
    if image.shape[:2] == (height_px, width_px):
        return image
    return np.asarray(Image.fromarray(image).resize((width_px, height_px), Image.Resampling.BILINEAR))


def resize_mask(mask: UInt8Array, height_px: int, width_px: int) -> UInt8Array:
    """A 0/1 mask H x W x 3 at the given size, still 0/1.

    Pillow rounds to 0 or 1 after each of its two passes, so a pixel can get no class or two (Follow-Me score, step 3).
    """
    return resize_image(mask, height_px, width_px)
