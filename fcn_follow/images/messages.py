"""Image messages to and from arrays: `step`, byte order and every encoding that drivers publish as a picture.

Reading works on any object with the fields of the message, so that bags can be read without ROS.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError, shown
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.pictures import MAX_SIDE_PX, check_size, decode_picture

UInt8Array = NDArray[np.uint8]
RECTIFIED = {"rect", "rectified", "rectify", "undistorted"}
"""Words in the name of a topic with rectified images."""
MIN_ASPECT, MAX_ASPECT = 0.5, 2.0  # fx / fy; pixels are about square
MIN_FIELD_OF_VIEW_DEG, MAX_FIELD_OF_VIEW_DEG = 5.0, 170.0  # horizontal field of view of a pinhole camera


class MessageError(UserError):
    """A message with impossible content; the node drops it and continues."""


@dataclass(frozen=True)
class _Encoding:
    channels: int
    bits: int
    to_rgb: int | None
    """OpenCV's conversion code, None if the pixels are RGB already."""
    colour_planes: int = 0
    """For 4:2:0: the layout of the colour planes after the luma plane; they have one value for 2 x 2 pixels."""


_ENCODINGS = {
    "rgb8": _Encoding(3, 8, None),
    "bgr8": _Encoding(3, 8, cv2.COLOR_BGR2RGB),
    "rgba8": _Encoding(4, 8, cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, 8, cv2.COLOR_BGRA2RGB),
    "mono8": _Encoding(1, 8, cv2.COLOR_GRAY2RGB),
    "8UC1": _Encoding(1, 8, cv2.COLOR_GRAY2RGB),
    "8UC3": _Encoding(3, 8, cv2.COLOR_BGR2RGB),
    "8UC4": _Encoding(4, 8, cv2.COLOR_BGRA2RGB),
    "rgb16": _Encoding(3, 16, None),
    "bgr16": _Encoding(3, 16, cv2.COLOR_BGR2RGB),
    "rgba16": _Encoding(4, 16, cv2.COLOR_RGBA2RGB),
    "bgra16": _Encoding(4, 16, cv2.COLOR_BGRA2RGB),
    "mono16": _Encoding(1, 16, cv2.COLOR_GRAY2RGB),
    # ROS names a Bayer pattern by its first row and column, OpenCV by the second.
    "bayer_rggb8": _Encoding(1, 8, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _Encoding(1, 8, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _Encoding(1, 8, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _Encoding(1, 8, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": _Encoding(1, 16, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": _Encoding(1, 16, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": _Encoding(1, 16, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": _Encoding(1, 16, cv2.COLOR_BayerGB2RGB),
    "yuv422": _Encoding(2, 8, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _Encoding(2, 8, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Encoding(2, 8, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _Encoding(2, 8, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": _Encoding(1, 8, cv2.COLOR_YUV2RGB_NV12, 1),
    "nv21": _Encoding(1, 8, cv2.COLOR_YUV2RGB_NV21, 1),
    "i420": _Encoding(1, 8, cv2.COLOR_YUV2RGB_I420, 2),
}
ENCODINGS = tuple(_ENCODINGS)
_DEPTH = ("16UC1", "32FC1")  # REP-118


def image_to_rgb(message: Any) -> UInt8Array:
    """A sensor_msgs/Image as HxWx3 uint8 RGB (a read-only view where it is rgb8 already); 16 bits are scaled to 8.

    Raises:
        MessageError: depth or an unknown encoding, a size of zero or above the limits of images/pictures.py, a step
            that does not fit the width, or data shorter than height and step need.
    """
    if message.encoding in _DEPTH:
        raise MessageError(f"image encoding {message.encoding} is depth; the colour image of the camera is needed")
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        known = ", ".join(ENCODINGS)
        raise MessageError(f"image encoding {shown(message.encoding)} is not known; it must be one of {known}")
    width_px, height_px, step = message.width, message.height, message.step
    if width_px == 0 or height_px == 0:
        raise MessageError(f"image of zero size ({width_px}x{height_px})")
    try:
        check_size(width_px, height_px)
    except UserError as error:
        raise MessageError(str(error)) from error
    row_bytes = width_px * encoding.channels * encoding.bits // 8
    if step < row_bytes:
        raise MessageError(f"image step {step} is shorter than a row of {row_bytes} bytes ({message.encoding})")
    if step > MAX_SIDE_PX * 8:
        raise MessageError(f"image step {step} is longer than any row")
    if (encoding.channels == 2 or encoding.colour_planes) and width_px % 2:
        raise MessageError(f"image encoding {message.encoding} needs an even width, not {width_px}")
    if encoding.colour_planes and (height_px % 2 or step % 2):
        raise MessageError(f"image encoding {message.encoding} needs even height and step, not {height_px} and {step}")
    needed, formula = height_px * step, "height * step"
    if encoding.colour_planes:
        needed, formula = needed * 3 // 2, f"height * step * 3/2 ({message.encoding})"
    if len(message.data) < needed:
        raise MessageError(f"image data has {len(message.data)} bytes; {formula} is {needed}")

    data = np.frombuffer(message.data, np.uint8, count=needed)
    pixels: Any = np.ascontiguousarray(data[: height_px * step].reshape(height_px, step)[:, :row_bytes])
    if encoding.bits == 16:
        pixels = pixels.view(">u2" if message.is_bigendian else "<u2").astype(np.uint16)
    pixels = pixels.reshape(height_px, width_px, encoding.channels)
    if planes := encoding.colour_planes:
        colours = data[height_px * step :].reshape(-1, step // planes)[:, : width_px // planes]
        pixels = np.concatenate([pixels.reshape(-1), colours.reshape(-1)]).reshape(height_px * 3 // 2, width_px)
    if encoding.to_rgb is not None:
        pixels = cv2.cvtColor(pixels, encoding.to_rgb)
    rgb: UInt8Array = pixels if encoding.bits == 8 else np.rint(pixels * (255.0 / 65535.0)).astype(np.uint8)
    return rgb


def compressed_to_rgb(message: Any) -> UInt8Array:
    """A sensor_msgs/CompressedImage (JPEG, PNG) as HxWx3 uint8 RGB.

    Raises MessageError for other formats, and for pictures that are damaged, truncated or above the size limits.
    """
    try:
        picture = decode_picture(memoryview(message.data).cast("B"))
    except UserError as error:
        kind = f"compressed image of {len(message.data)} bytes, format {shown(message.format)}"
        raise MessageError(f"{kind}: {error}") from error
    rgb: UInt8Array = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb


def fill_image(message: Any, pixels: NDArray[np.uint8] | NDArray[np.float32]) -> Any:
    """Put HxWx3 (rgb8), HxW (mono8) or depth in metres, float32 HxW (32FC1, REP-118), into an Image message.

    Returns the message; its header is unchanged.
    """
    is_depth = pixels.dtype == np.float32
    message.height, message.width = pixels.shape[:2]
    message.encoding = "32FC1" if is_depth else "mono8" if pixels.ndim == 2 else "rgb8"
    message.is_bigendian = int(is_depth and sys.byteorder == "big")
    message.step = pixels[0].nbytes
    message.data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))  # much faster than assigning a list
    return message


def is_rectified(topic: str) -> bool:
    """Whether an image topic has rectified images, by its name or the one before: image_rect_color, rect/image."""
    *_, before, name = ("/" + topic.removesuffix("/compressed")).split("/")
    words = set(name.split("_"))
    return bool(RECTIFIED & words) or ("raw" not in words and bool(RECTIFIED & set(before.split("_"))))


def intrinsics(message: Any, *, rectified: bool = False) -> CameraIntrinsics:
    """The pinhole camera of a sensor_msgs/CameraInfo at full resolution, before binning and region of interest.

    That of K, or of P for rectified images. Raises MessageError if it is uncalibrated or impossible.
    """
    k, p, d = (getattr(message, name if hasattr(message, name) else name.upper()) for name in "kpd")
    matrix = matrix_of_images(k, p, d, rectified=rectified)
    source = "P of camera_info, for images of a rectified topic," if rectified else "camera_info"
    return plausible_camera(source, int(message.width), int(message.height), matrix)


def matrix_of_images(
    k: Sequence[float], p: Sequence[float], d: Sequence[float], *, rectified: bool
) -> tuple[float, ...]:
    """The 3x3 matrix, row by row, of raw images (K, 3x3) or of rectified ones (the left of P, 3x4)."""
    if not rectified or not (any(p) or any(d)):  # a driver may leave P empty where nothing has to be rectified
        return tuple(k)
    return (*p[0:3], *p[4:7], *p[8:11])


def lens_distortion(message: Any) -> float:
    """How much farther from the axis the lens of a sensor_msgs/CameraInfo shows the image border than a pinhole does.

    The largest share at the middles of the four borders; below 0 if they are nearer, 0 if it is not known. The models
    are OpenCV's plumb_bob, rational_polynomial and equidistant.
    """
    camera, coefficients = intrinsics(message), np.array(message.d, np.float64)
    is_fisheye = message.distortion_model == "equidistant"
    if not np.isfinite(coefficients).all() or not (is_fisheye or coefficients.any()):
        return 0.0
    right, bottom, cx, cy = camera.width_px - 1.0, camera.height_px - 1.0, camera.cx_px, camera.cy_px
    pixels = np.array([[[0.0, cy]], [[right, cy]], [[cx, 0.0]], [[cx, bottom]]])
    matrix = np.array([[camera.fx_px, 0.0, cx], [0.0, camera.fy_px, cy], [0.0, 0.0, 1.0]])
    undistort = cv2.fisheye.undistortPoints if is_fisheye else cv2.undistortPoints
    try:
        seen = np.linalg.norm(undistort(pixels, matrix, coefficients), axis=2)
    except cv2.error:  # an unsuitable number of coefficients
        return 0.0
    share = seen / np.maximum(np.linalg.norm(cv2.undistortPoints(pixels, matrix, None), axis=2), 1e-6) - 1.0
    return float(share.flat[np.abs(share).argmax()])


def image_cameras(message: Any, *, rectified: bool = False) -> tuple[CameraIntrinsics, ...]:
    """The cameras whose images a sensor_msgs/CameraInfo may belong to: first by its binning and region of interest.

    The message is defined to have size, K and P of the full sensor, but some drivers give those of their images.

    Raises MessageError if the message is uncalibrated or impossible.
    """
    full = intrinsics(message, rectified=rectified)
    region = message.roi
    columns, rows = max(1, int(message.binning_x)), max(1, int(message.binning_y))
    left, top = int(region.x_offset), int(region.y_offset)
    width_px, height_px = int(region.width) or full.width_px, int(region.height) or full.height_px
    if left + width_px > full.width_px or top + height_px > full.height_px:
        raise MessageError(
            f"camera_info has a region of interest of {width_px}x{height_px} at {left}, {top}: "
            f"it must lie in the full image of {full.width_px}x{full.height_px}"
        )
    if width_px < columns or height_px < rows:
        raise MessageError(f"camera_info has a binning of {columns}x{rows} of an image of {width_px}x{height_px}")
    image = CameraIntrinsics(
        width_px // columns,
        height_px // rows,
        full.fx_px / columns,
        full.fy_px / rows,
        (full.cx_px - left) / columns,
        (full.cy_px - top) / rows,
    )
    return (image,) if image == full else (image, full)


def fitting_camera(cameras: Iterable[CameraIntrinsics], height_px: int, width_px: int) -> CameraIntrinsics | None:
    """The first camera with images of this size."""
    return next((each for each in cameras if (each.height_px, each.width_px) == (height_px, width_px)), None)


def plausible_camera(source: str, width_px: int, height_px: int, matrix: Sequence[float]) -> CameraIntrinsics:
    """The camera of a 3x3 matrix, row by row. Raises MessageError, which names its source, for impossible values."""
    fx, fy, cx, cy = (float(matrix[index]) for index in (0, 4, 2, 5))
    if width_px <= 0 or height_px <= 0:
        raise MessageError(f"{source} is of zero size ({width_px}x{height_px})")
    if not (0.0 < fx < math.inf and 0.0 < fy < math.inf):
        raise MessageError(f"{source} has fx = {fx:g}, fy = {fy:g}: the camera is not calibrated; both must be > 0")
    if not MIN_ASPECT <= fx / fy <= MAX_ASPECT:
        raise MessageError(
            f"{source} has fx = {fx:g}, fy = {fy:g}: impossible; fx / fy must be {MIN_ASPECT:g} to {MAX_ASPECT:g}"
        )
    field_of_view_deg = 2.0 * math.degrees(math.atan2(0.5 * width_px, fx))
    if not MIN_FIELD_OF_VIEW_DEG <= field_of_view_deg <= MAX_FIELD_OF_VIEW_DEG:
        raise MessageError(
            f"{source} has fx = {fx:g} at width {width_px}: a horizontal field of view of "
            f"{field_of_view_deg:.3g} degrees; it must be {MIN_FIELD_OF_VIEW_DEG:g} to {MAX_FIELD_OF_VIEW_DEG:g}"
        )
    if not (0.0 <= cx <= width_px and 0.0 <= cy <= height_px):
        raise MessageError(
            f"{source} has cx = {cx:g}, cy = {cy:g}: the principal point must lie in the image "
            f"of {width_px}x{height_px}"
        )
    return CameraIntrinsics(width_px, height_px, fx, fy, cx, cy)


def fill_camera_info(message: Any, camera: CameraIntrinsics) -> Any:
    """Put an undistorted pinhole camera into a CameraInfo message and return it; its header is unchanged."""
    message.width, message.height = camera.width_px, camera.height_px
    fx, fy, cx, cy = camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
