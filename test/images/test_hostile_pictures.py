"""Hostile pictures, masks, zips, names and videos: refused by their headers, before anything is decoded."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import PIL.Image
import pytest
from bag_files import image
from drawn_frames import frame, write_frames

from fcn_follow.errors import UserError
from fcn_follow.images.messages import MessageError, compressed_to_rgb, image_to_rgb
from fcn_follow.images.pictures import MAX_JPEG_SCANS, decode_picture
from fcn_follow.lab.data.frames import FrameError, open_frames
from fcn_follow.lab.recordings.truth import open_mask_folder
from fcn_follow.nodes.support.sources import open_source

PICTURE = frame(3)[0]


JPEG, PNG = (cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in (".jpg", ".png"))


def compressed(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(format="jpeg", data=data)


def of_size(data: bytes, width_px: int, height_px: int) -> bytes:
    """The same file, saying another size; a PNG's checksum is right."""
    content = bytearray(data)
    if data.startswith(b"\x89PNG"):
        struct.pack_into(">II", content, 16, width_px, height_px)
        struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    else:
        struct.pack_into(">HH", content, data.index(b"\xff\xc0") + 5, height_px, width_px)
    return bytes(content)


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
@pytest.mark.parametrize(("width_px", "height_px"), [(20000, 20000), (6000, 6000), (17000, 10), (0, 10)])
def test_the_size_in_a_header_is_bounded_before_a_picture_is_decoded(tmp_path, monkeypatch, data, width_px, height_px):
    bomb = of_size(data, width_px, height_px)
    for part in ("images", "masks"):
        (tmp_path / "run" / part).mkdir(parents=True)
        (tmp_path / "run" / part / f"a_00001.{'png' if data is PNG else 'jpeg'}").write_bytes(bomb)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("images/a_00001.png", bomb)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    expected = f"picture of {width_px}x{height_px} pixels; at most 32 million pixels and 16384 per side are allowed"
    with pytest.raises(MessageError, match=expected):
        compressed_to_rgb(compressed(bomb))
    for frames in (open_frames(tmp_path / "run"), open_frames(tmp_path / "a.zip")):
        with pytest.raises(FrameError, match=expected):
            frames.image(0)
    with pytest.raises(MessageError, match=expected):
        open_mask_folder(tmp_path / "run").labels(0, 1, 0)


def test_other_formats_whose_size_nobody_reads_are_refused():
    made = [cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in (".bmp", ".webp", ".tiff")]
    gif = io.BytesIO()
    PIL.Image.fromarray(PICTURE).save(gif, "gif")  # OpenCV writes it from 4.11 on
    for data in (*made, gif.getvalue()):
        with pytest.raises(MessageError, match="not a picture, or a damaged one"):
            compressed_to_rgb(compressed(data))


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
@pytest.mark.parametrize("padding", [bytes(100), bytes(128 << 10), b"\xff" * 300, JPEG[200:]], ids=len)
def test_what_a_driver_pads_its_buffer_with_is_ignored_and_a_cut_picture_refused(tmp_path, data, padding):
    whole = compressed_to_rgb(compressed(data))
    np.testing.assert_array_equal(compressed_to_rgb(compressed(data + padding)), whole)
    (tmp_path / "a_00001.png").write_bytes(data + padding)
    np.testing.assert_array_equal(open_frames(tmp_path).image(0), whole)
    for cut in (len(data) // 2, len(data) - 12):
        for tail in (b"", bytes(100), bytes(128 << 10)):
            with pytest.raises(MessageError, match=r"truncated|damaged"):
                compressed_to_rgb(compressed(data[:cut] + tail))


def test_a_thumbnail_in_a_jpeg_is_not_its_end():
    exif = b"Exif\x00\x00" + JPEG
    data = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(decode_picture(data), decode_picture(JPEG))
    with pytest.raises(UserError, match="truncated"):
        decode_picture(data[:-100])


def test_a_progressive_jpeg_of_endless_scans_is_refused():
    data = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_picture(data).shape == PICTURE.shape
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(UserError, match="more than 100 scans"):
        decode_picture(data[:-2] + last_scan * MAX_JPEG_SCANS + data[-2:])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"width": 40000, "step": 120000}, "picture of 40000x120 pixels"),
        ({"height": 2**32 - 1, "step": 480}, "picture of 160x4294967295 pixels"),
        ({"step": 2**31}, "step 2147483648 is longer than any row"),
        ({"encoding": "x" * 5000}, r"encoding 'xxx.{,100}\.\.\..* is not known"),
    ],
)
def test_raw_images_of_impossible_sizes_are_refused(changes, expected):
    message = image(PICTURE, 1)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=expected):
        image_to_rgb(message)


def test_a_video_of_a_size_that_no_camera_has_is_refused(tmp_path):
    path = tmp_path / "big.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (6400, 6400))
    writer.write(np.zeros((6400, 6400, 3), np.uint8))
    writer.release()
    with pytest.raises(UserError, match=r"big\.avi: a picture of 6400x6400 pixels"):
        open_source(str(path))


def test_masks_of_another_size_than_their_image_are_refused(tmp_path):
    folder = write_frames(tmp_path / "run", 2)
    mask = folder / "masks" / "1_run1_mask_00001.png"
    cv2.imwrite(str(mask), cv2.resize(cv2.imread(str(mask)), (80, 60), interpolation=cv2.INTER_NEAREST))
    frames = open_frames(folder)
    assert frames.mask(0).shape == (120, 160, 3)
    for read in (frames.mask, frames.labels):
        with pytest.raises(FrameError, match=r"00001\.png: mask of 80x60 pixels, but its image has 160x120"):
            read(1)


def zipped(path, data=JPEG, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("images/a_00001.jpeg", data)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("encrypted", "cannot be read .encrypted"),
        ("damaged", "cannot be read"),
        ("lzma", "cannot be read .not compressed with deflate"),
        ("inflates", "cannot be read .larger than 128 MB"),
    ],
)
def test_zips_that_are_damaged_or_bombs_are_reported_by_name(tmp_path, kind, expected):
    path = tmp_path / "a.zip"
    big = bytes(129 << 20) if kind == "inflates" else JPEG
    data = zipped(path, big, zipfile.ZIP_LZMA if kind == "lzma" else zipfile.ZIP_DEFLATED)
    if kind == "encrypted":
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(mark) + offset] |= 1
    if kind == "damaged":
        data[60:400] = b"\xff" * 340
    path.write_bytes(data)
    with pytest.raises(FrameError, match=rf"a_00001\.jpeg: {expected}"):
        open_frames(path).image(0)


def test_a_zip_with_a_huge_list_of_members_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.zip"
    data = zipped(path)
    struct.pack_into("<I", data, data.index(b"PK\x05\x06") + 12, 1 << 30)
    path.write_bytes(data)
    with pytest.raises(UserError, match="list of members is larger than 32 MB"):
        open_frames(path)


@pytest.mark.parametrize("name", ["1²2_00001", "٣_00001", "9" * 100 + "_00001", "a²"])
def test_any_digits_in_names_of_frames_are_read(tmp_path, name):
    for folder, count in ((tmp_path / "a", 3), (tmp_path / "b", 1)):
        (folder / "masks").mkdir(parents=True)
        for index in range(count):
            (folder / f"{name}{index}.png").write_bytes(PNG)
    (tmp_path / "b" / "masks" / f"{name}.png").write_bytes(PNG)
    assert len(open_frames(tmp_path / "a")) == 3
    try:
        open_mask_folder(tmp_path / "b")
    except UserError as error:
        assert "a mask's name ends with" in str(error)


def test_names_in_a_zip_may_have_more_digits_than_python_turns_into_a_number(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for index in (10, 9):
            archive.writestr(f"{'0' * 5000}{index}.png", PNG)
            archive.writestr(f"{'7' * 5000}{index:02}.png", PNG)
    keys = open_frames(tmp_path / "a.zip").keys
    assert [int(key[-2:]) for key in keys] == [9, 10, 9, 10]


def test_a_member_of_a_zip_without_a_name_is_passed_over(tmp_path):
    path = tmp_path / "a.zip"
    zipped(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x", PNG)
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH", data, data.rindex(b"PK\x01\x02") + 28, 0, 1)
    path.write_bytes(data)
    assert open_frames(path).keys == ("a_00001",)
