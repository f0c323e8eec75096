"""Depth beside the frames: 16-bit PNGs in millimetres along the optical axis, and each frame's focal length.

The layout is that of `fcn-follow synthesize`: depth/ beside images/ and masks/, and frames.jsonl, whose lines hold
`frame`, the number at the end of the files' names, and `focal_lengths_px`, [fx, fy] in pixels of the frame.
"""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError, shown
from fcn_follow.images.pictures import decode_picture

NOT_MEASURED_MM = (0, 65535)  # the sky, out of range, or missed by the depth camera
LISTING = "frames.jsonl"


def decode_depth(data: bytes) -> NDArray[np.float32]:
    """Depth in metres, float32 H x W, 0 where it was not measured.

    Raises UserError for anything but a 16-bit grey PNG with at least one measured pixel.
    """
    picture = decode_picture(data, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        kind = f"{picture.dtype.itemsize * 8}-bit" + ("" if picture.ndim == 2 else f" with {picture.shape[2]} channels")
        raise UserError(f"depth must be 16-bit grey, in millimetres; this is {kind}")
    measured = ~np.isin(picture, NOT_MEASURED_MM)
    if not measured.any():
        raise UserError("depth is 0 everywhere (or 65535): nothing was measured")
    depth_m: NDArray[np.float32] = np.where(measured, picture, 0).astype(np.float32) / np.float32(1000.0)
    return depth_m


def read_focal_lengths(text: str) -> dict[str, float]:
    """The vertical focal length in pixels by frame number (its digits, without leading zeros), from frames.jsonl.

    Raises UserError, naming the line, for any other text.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            values = json.loads(line)
            frame, focal_px = int(values["frame"]), float(values["focal_lengths_px"][1])
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
            raise UserError(f"{LISTING}, line {number}: no frame with its focal_lengths_px ({shown(error)})") from error
        if not (math.isfinite(focal_px) and focal_px > 0):
            raise UserError(f"{LISTING}, line {number}: an impossible focal length of {focal_px}")
        found[str(frame)] = focal_px
    return found
