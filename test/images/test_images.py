"""Image messages, value by value: encodings, step, byte order, and what is refused."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import (
    ENCODINGS,
    MessageError,
    compressed_to_rgb,
    fill_camera_info,
    fill_image,
    image_to_rgb,
    intrinsics,
)

RGB = np.array([[[10, 20, 30], [250, 128, 0], [1, 2, 3]], [[255, 255, 255], [0, 0, 0], [7, 99, 200]]], np.uint8)
NOT_OF_CV_BRIDGE = ("uyvy", "yuyv", "nv12", "nv21", "i420")
GREY = np.array([[0, 127, 255], [1, 2, 3]], np.uint8)


def message(encoding: str, pixels: np.ndarray, padding: int = 0, bigendian: bool = False) -> Image:
    rows = (
        pixels.astype(pixels.dtype.newbyteorder(">" if bigendian else "<")).reshape(pixels.shape[0], -1).view(np.uint8)
    )
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    image = Image(encoding=encoding, height=pixels.shape[0], width=pixels.shape[1], step=padded.shape[1])
    image.is_bigendian = int(bigendian)
    image.data.frombytes(padded.tobytes())
    return image


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels, np.full_like(pixels[..., :1], 9)], axis=-1)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[..., ::-1], RGB),
        ("8UC3", RGB[..., ::-1], RGB),
        ("rgba8", with_alpha(RGB), RGB),
        ("bgra8", with_alpha(RGB[..., ::-1]), RGB),
        ("mono8", GREY, np.repeat(GREY[..., None], 3, axis=2)),
    ],
)
def test_8_bit_encodings_exactly(encoding, pixels, expected, padding):
    np.testing.assert_array_equal(image_to_rgb(message(encoding, pixels, padding)), expected)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize(
    ("encoding", "order"), [("rgb16", slice(None)), ("bgr16", slice(None, None, -1)), ("mono16", None)]
)
def test_16_bits_are_scaled_by_255_over_65535(encoding, order, bigendian, padding):
    words = np.array([[[0, 65535, 128], [129, 32768, 514], [257, 300, 12345]]], np.uint16)
    expected = np.array([[[0, 255, 0], [1, 128, 2], [1, 1, 48]]], np.uint8)
    if order is None:
        pixels, expected = words[..., 0], np.repeat(expected[..., :1], 3, axis=2)
    else:
        pixels = np.ascontiguousarray(words[..., order])
    np.testing.assert_array_equal(image_to_rgb(message(encoding, pixels, padding, bigendian)), expected)


@pytest.mark.parametrize(("pattern", "tile"), [("rggb", "RGGB"), ("bggr", "BGGR"), ("gbrg", "GBRG"), ("grbg", "GRBG")])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_give_the_colour_that_was_laid_out(pattern, tile, bits):
    """A flat orange, sampled in the pattern that ROS names by its first two rows, must come back orange."""
    orange = {"R": 200, "G": 100, "B": 50}
    unit = np.array([[orange[tile[0]], orange[tile[1]]], [orange[tile[2]], orange[tile[3]]]])
    mosaic = np.tile(unit, (4, 5))
    pixels = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 257).astype(np.uint16)
    rgb = image_to_rgb(message(f"bayer_{pattern}{bits}", pixels, padding=2))
    np.testing.assert_array_equal(rgb, np.broadcast_to([200, 100, 50], (8, 10, 3)))


@pytest.mark.parametrize(
    ("encoding", "layout"), [("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUYV"), ("yuyv", "YUYV")]
)
def test_yuv_is_bt601_of_limited_range(encoding, layout):
    y, u, v = 120, 90, 180
    four_bytes = {"UYVY": [u, y, v, y], "YUYV": [y, u, y, v]}[layout]
    pixels = np.array([four_bytes * 2] * 2, np.uint8).reshape(2, 4, 2)
    luma, blue, red = 1.164 * (y - 16), u - 128, v - 128
    expected = [luma + 1.596 * red, luma - 0.392 * blue - 0.813 * red, luma + 2.017 * blue]
    rgb = image_to_rgb(message(encoding, pixels, padding=4))
    assert np.abs(rgb.astype(float) - expected).max() <= 1.0


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(("encoding", "order"), [("nv12", "uv"), ("nv21", "vu"), ("i420", "planes")])
def test_yuv_with_colours_of_four_pixels_is_bt601_of_limited_range(encoding, order, padding):
    rng = np.random.default_rng(3)
    y, u, v = (rng.integers(60, 190, shape).astype(np.uint8) for shape in ((6, 8), (3, 4), (3, 4)))
    if order == "planes":
        colours = [np.pad(plane, ((0, 0), (0, padding // 2)), constant_values=9) for plane in (u, v)]
    else:
        pairs = np.stack((u, v) if order == "uv" else (v, u), axis=2).reshape(3, 8)
        colours = [np.pad(pairs, ((0, 0), (0, padding)), constant_values=9)]
    image = message(encoding, y, padding)
    for plane in colours:
        image.data.frombytes(plane.tobytes())
    luma = 1.164 * (y - 16.0)
    blue, red = (plane.repeat(2, axis=0).repeat(2, axis=1) - 128.0 for plane in (u, v))
    expected = np.stack([luma + 1.596 * red, luma - 0.392 * blue - 0.813 * red, luma + 2.017 * blue], axis=2)
    assert np.abs(image_to_rgb(image) - np.clip(expected, 0, 255)).max() <= 1.5
    del image.data[-1]
    with pytest.raises(MessageError, match=rf"height \* step \* 3/2 \({encoding}\)"):
        image_to_rgb(image)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_refused_as_depth(encoding):
    pixels = np.full((2, 4), 1500, np.uint16 if encoding == "16UC1" else np.float32)
    with pytest.raises(MessageError, match=f"image encoding {encoding} is depth; the colour image"):
        image_to_rgb(message(encoding, pixels))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encoding": "jpeg"}, "encoding 'jpeg' is not known; it must be one of rgb8"),
        ({"width": 0}, "zero size"),
        ({"height": 0}, "zero size"),
        ({"step": 8}, "step 8 is shorter than a row of 9 bytes"),
        ({"step": 10}, r"18 bytes; height \* step is 20"),
        ({"height": 3}, r"18 bytes; height \* step is 27"),
        ({"encoding": "yuv422", "step": 9}, "even width"),
        ({"encoding": "nv12", "width": 4, "height": 1, "step": 18}, "even height"),
    ],
)
def test_impossible_images_are_refused(changes, expected):
    image = message("rgb8", RGB)
    for name, value in changes.items():
        setattr(image, name, value)
    with pytest.raises(MessageError, match=expected):
        image_to_rgb(image)


def test_rgb8_is_a_view_and_other_messages_with_the_same_fields_do():
    """Messages of bags read without ROS have the same fields and a read-only ndarray as data."""
    data = np.arange(18, dtype=np.uint8)
    data.flags.writeable = False
    image = SimpleNamespace(encoding="rgb8", width=3, height=2, step=9, is_bigendian=0, data=data)
    assert np.shares_memory(image_to_rgb(image), data)


def test_pixels_go_into_a_message_and_back():
    header = Header(frame_id="camera")
    for pixels, encoding in ((RGB, "rgb8"), (GREY, "mono8"), (RGB[:, ::-1], "rgb8")):
        image = fill_image(Image(header=header), pixels)
        assert (image.encoding, image.step, image.header) == (encoding, pixels.nbytes // 2, header)
        rgb = image_to_rgb(image)
        np.testing.assert_array_equal(rgb if pixels.ndim == 3 else rgb[..., 0], pixels)


def test_compressed_images():
    picture = np.repeat(np.repeat(RGB, 16, axis=0), 16, axis=1)
    png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(compressed_to_rgb(CompressedImage(format="png", data=png)), picture)
    jpeg = cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes()
    assert compressed_to_rgb(CompressedImage(format="jpeg", data=jpeg)).shape == picture.shape
    for data, expected in ((jpeg[: len(jpeg) // 2], "truncated"), (b"", "0 bytes"), (b"hello", "not a picture")):
        with pytest.raises(MessageError, match=expected):
            compressed_to_rgb(CompressedImage(format="jpeg", data=data))


def test_camera_info_there_and_back():
    camera = CameraIntrinsics(640, 480, 500.0, 510.0, 319.5, 239.5)
    assert intrinsics(fill_camera_info(CameraInfo(), camera)) == camera
    for fx in (0.0, -1.0, float("nan"), float("inf")):
        info = fill_camera_info(CameraInfo(), camera)
        info.k[0] = fx
        with pytest.raises(MessageError, match="fx = "):
            intrinsics(info)


@pytest.mark.skipif(importlib.util.find_spec("cv_bridge") is None, reason="cv_bridge comes with a ROS install")
@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name not in NOT_OF_CV_BRIDGE and "UC" not in name])
def test_the_same_as_cv_bridge(encoding):
    from cv_bridge import CvBridge

    generator = np.random.default_rng(1)
    bits = 16 if encoding.endswith("16") else 8
    channels = 4 if "a" in encoding[:4] and encoding[0] in "rb" and "bayer" not in encoding else 3
    channels = 1 if encoding.startswith(("mono", "bayer")) else 2 if encoding.startswith("yuv") else channels
    pixels = generator.integers(0, 2**bits, (8, 10, channels)).astype(np.uint16 if bits == 16 else np.uint8)
    image = message(encoding, pixels)
    theirs = CvBridge().imgmsg_to_cv2(image, "rgb8")
    np.testing.assert_array_equal(image_to_rgb(image), theirs)
