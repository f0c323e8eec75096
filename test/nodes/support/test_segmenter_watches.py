"""What the segmenter believes of its inputs, and what it says of its own work."""

from __future__ import annotations

import math
import re
import time
import zlib
from array import array

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.messages import MessageError, fill_camera_info, intrinsics, is_rectified
from fcn_follow.nodes.support.camera_watch import CameraWatch
from fcn_follow.nodes.support.image_watch import PictureWatch, StampWatch
from fcn_follow.nodes.support.segmenter_health import SegmenterHealth
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.work_watch import WorkWatch

CAMERA = CameraIntrinsics(640, 480, 300.0, 300.0, 319.5, 239.5)
SECOND = 1_000_000_000


def info(width=640, height=480, fx=300.0, fy=300.0, cx=319.5, cy=239.5, frame_id="") -> CameraInfo:
    message = CameraInfo(header=Header(frame_id=frame_id))
    return fill_camera_info(message, CameraIntrinsics(width, height, fx, fy, cx, cy))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"fx": 1e-300}, "fx = 1e-300, fy = 300"),
        ({"fx": 1e-300, "fy": 1e-300}, "fx = 1e-300 at width 640: a horizontal field of view of 180 degrees"),
        ({"fx": 1200.0}, "fx = 1200, fy = 300: impossible; fx / fy must be 0.5 to 2"),
        ({"fy": 601.0}, "fx = 300, fy = 601"),
        ({"fx": 2e4, "fy": 2e4}, "a horizontal field of view of 1.83 degrees; it must be 5 to 170"),
        ({"fx": math.nan}, "fx = nan"),
        ({"fy": math.inf}, "fy = inf"),
        ({"fx": -300.0, "fy": -300.0}, "fx = -300"),
        ({"fx": 0.0, "fy": 0.0}, "not calibrated"),
        ({"cx": -1.0}, "cx = -1, cy = 239.5: the principal point must lie in the image of 640x480"),
        ({"cy": 481.0}, "cy = 481"),
        ({"cx": math.nan}, "cx = nan"),
        ({"width": 0}, "zero size (0x480)"),
        ({"height": 0}, "zero size (640x0)"),
    ],
)
def test_what_no_camera_can_have_is_refused_by_its_value(given, expected):
    with pytest.raises(MessageError) as refused:
        intrinsics(info(**given))
    assert expected in str(refused.value)
    watch = CameraWatch()
    watch.take(info())
    watch.take(info(**given))
    assert watch.camera is None
    assert expected in watch.fault
    watch.take(info())
    assert (watch.camera, watch.fault) == (CAMERA, "")


@pytest.mark.parametrize("given", [{"fx": 151.0}, {"fx": 599.0}, {"fx": 29.0, "fy": 29.0}, {"cx": 0.0, "cy": 480.0}])
def test_what_a_camera_can_have_is_taken(given):
    intrinsics(info(**given))


@pytest.mark.parametrize(
    ("model", "coefficients", "percent"),
    [
        ("plumb_bob", [0.0] * 5, None),
        ("", [], None),
        ("plumb_bob", [-0.02, 0.0, 0.0, 0.0, 0.0], None),
        ("plumb_bob", [-0.1, 0.0, 0.0, 0.0, 0.0], 19),
        ("plumb_bob", [0.3, 0.0, 0.0, 0.0, 0.0], -18),
        ("rational_polynomial", [-0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 19),
        ("equidistant", [0.0, 0.0, 0.0, 0.0], 69),
        ("equidistant", [math.nan] * 4, None),
        ("plumb_bob", [math.inf] * 5, None),
        ("plumb_bob", [0.1, 0.2], None),
        ("a model of its own", [0.1, 0.2], None),
    ],
)
def test_a_lens_that_is_far_from_a_pinhole_is_named(model, coefficients, percent):
    """The middle of the right border is 1.065 focal lengths from the axis: r (1 - 0.1 r^2), r (1 + 0.3 r^2), atan r."""
    message = info()
    message.distortion_model, message.d = model, array("d", coefficients)
    health = SegmenterHealth()
    health.camera.take(message)
    assert (health.camera.camera, health.camera.fault) == (CAMERA, "")
    _, summary = health.level_and_summary(time.monotonic(), SegmenterParameters(), "image_raw")
    if percent is None:
        assert summary == "segmenting"
    else:
        said = re.fullmatch(r"the lens moves the image's border by (-?\d+) %, .*rectified images.*", summary)
        assert said and int(said[1]) == pytest.approx(percent, abs=1)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("/camera/image_rect", True),
        ("/camera/image_rect_color", True),
        ("/camera/image_rect_color/compressed", True),
        ("/camera/infra1/image_rect_raw", True),
        ("/zed/zed_node/rgb/color/rect/image/compressed", True),
        ("/camera/image_rectified", True),
        ("/image_raw", False),
        ("/image_raw/compressed", False),
        ("/camera/image_color", False),
        ("/camera/image_unrectified", False),
        ("/direct/rectangle/image", False),
        ("/rect/drone1/camera/image_raw", False),
        ("/camera/image_undistorted", True),
        ("/rect/image_raw", False),
    ],
)
def test_a_topic_has_rectified_images_if_its_name_says_so(topic, expected):
    assert is_rectified(topic) is expected


def test_rectified_images_are_those_of_the_projection_matrix_and_have_no_lens():
    """As with alpha = 1: the whole of a wide image, drawn smaller."""
    message = info()
    message.distortion_model, message.d = "plumb_bob", array("d", [-0.3, 0.0, 0.0, 0.0, 0.0])
    message.p = [200.0, 0.0, 310.0, -20.0, 0.0, 210.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.binning_x = message.binning_y = 2
    health = SegmenterHealth()
    health.camera.rectified = True
    health.camera.take(message)
    assert health.camera.fitting(240, 320) == CameraIntrinsics(320, 240, 100.0, 105.0, 155.0, 115.0)
    _, summary = health.level_and_summary(time.monotonic(), SegmenterParameters(), "image_rect")
    assert summary == "segmenting"
    message.p[0] = message.p[5] = 500.0
    health.camera.take(message)
    assert health.camera.fault.startswith("camera_info changed from fx 200 to 500")


def test_rectified_images_without_a_projection_matrix_are_used_only_if_the_lens_does_not_distort():
    message = info()
    message.p = [0.0] * 12
    watch = CameraWatch()
    watch.rectified = True
    watch.take(message)
    assert (watch.camera, watch.fault) == (CAMERA, "")
    message.d = array("d", [-0.3, 0.0, 0.0, 0.0, 0.0])
    watch.take(message)
    assert watch.camera is None and "not calibrated" in watch.fault


def test_a_camera_that_changes_is_a_fault_until_the_first_one_returns():
    watch = CameraWatch()
    watch.take(info())
    watch.take(info(fx=1200.0, fy=1200.0))
    assert watch.camera is None
    assert watch.fault == ("camera_info changed from fx 300 to 1200; restart the segmenter if the camera was replaced")
    watch.take(info(fx=1200.0, fy=1200.0))  # that it stays does not make it right
    assert watch.fault
    watch.take(info())
    assert (watch.camera, watch.fault) == (CAMERA, "")
    watch.take(info(fy=330.0))
    assert watch.fault.startswith("camera_info changed from fy 300 to 330")


def test_a_camera_that_creeps_away_is_measured_against_the_first_one():
    watch = CameraWatch()
    for fx in (300.0, 308.0, 314.0):
        watch.take(info(fx=fx))
        assert watch.fault == ""
    watch.take(info(fx=320.0))
    assert watch.fault.startswith("camera_info changed from fx 300 to 320")


def test_another_image_size_is_another_camera_and_must_be_that_of_the_image():
    watch = CameraWatch()
    assert watch.fitting(480, 640) is None
    assert watch.fault == ""  # nothing known is nothing wrong
    watch.take(info())
    assert watch.fitting(480, 640) == CAMERA
    assert watch.fitting(240, 320) is None
    assert watch.fault == "camera_info is for 640x480, but the image has 320x240; both must have one size"
    watch.take(info(320, 240, 150.0, 150.0, 159.5, 119.5))
    camera = watch.fitting(240, 320)
    assert camera is not None and camera.fx_px == 150.0
    assert watch.fault == ""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cx": 0.0}, "from cx 319.5 to 0"),
        ({"cy": 223.0}, "from cy 239.5 to 223"),
        ({"frame_id": "rear"}, "from frame 'front' to 'rear'"),
        ({"frame_id": ""}, "from frame 'front' to ''"),
    ],
)
def test_another_middle_of_the_picture_and_another_frame_are_another_camera(changed, expected):
    watch = CameraWatch()
    front = {"frame_id": "front"}
    watch.take(info(**front))
    watch.take(info(**front, cx=330.0, cy=230.0))
    assert watch.fault == "", "calibrations of one camera differ so much"
    watch.take(info(**(front | changed)))
    assert watch.fault == f"camera_info changed {expected}; restart the segmenter if the camera was replaced"
    assert watch.camera is None and watch.fitting(480, 640) is None
    watch.take(info(**front))
    assert watch.fitting(480, 640) == CAMERA and watch.fault == ""


def test_a_message_of_another_size_does_not_make_a_changed_camera_the_first_one():
    watch = CameraWatch()
    watch.take(info())
    watch.take(info(width=641))
    watch.take(info(fx=600.0))
    assert watch.fault.startswith("camera_info changed from fx 300 to 600")
    watch.take(info(width=641, fx=600.0))
    assert watch.fault.startswith("camera_info changed from fx 300 to 600")
    for width in range(642, 660):
        watch.take(info(width=width))
    assert watch.fault.startswith("camera_info changed between more than 8 image sizes")
    watch.take(info())
    assert (watch.camera, watch.fault) == (CAMERA, "")


@pytest.mark.parametrize(
    ("binning", "region", "image"),
    [
        ((0, 0), (0, 0, 0, 0), (640, 480, 300.0, 319.5, 239.5)),
        ((2, 2), (0, 0, 0, 0), (320, 240, 150.0, 159.75, 119.75)),
        ((0, 0), (160, 120, 320, 240), (320, 240, 300.0, 159.5, 119.5)),
        ((2, 2), (0, 200, 640, 280), (320, 140, 150.0, 159.75, 19.75)),
        ((1, 1), (400, 300, 240, 180), (240, 180, 300.0, -80.5, -60.5)),
    ],
)
def test_binning_and_region_of_interest_reduce_the_camera_to_that_of_the_image(binning, region, image):
    """The full sensor's width, height and K; both are in full pixels, as sensor_msgs/CameraInfo defines them."""
    message = info()
    message.binning_x, message.binning_y = binning
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = region
    width, height, focal, cx, cy = image
    watch = CameraWatch()
    watch.take(message)
    assert watch.fitting(height, width) == CameraIntrinsics(width, height, focal, focal, cx, cy)
    assert watch.fitting(480, 640) == CAMERA  # of a driver that bins and gives the size and K of its images
    assert watch.fault == ""
    assert watch.fitting(100, 100) is None
    assert f"camera_info is for {width}x{height}" in watch.fault


@pytest.mark.parametrize(
    ("binning", "region", "expected"),
    [
        ((1, 1), (400, 0, 320, 240), "a region of interest of 320x240 at 400, 0: it must lie in the full image"),
        ((4000, 1), (0, 0, 0, 0), "a binning of 4000x1 of an image of 640x480"),
    ],
)
def test_a_region_outside_the_sensor_and_an_impossible_binning_are_refused(binning, region, expected):
    message = info()
    message.binning_x, message.binning_y = binning
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = region
    watch = CameraWatch()
    watch.take(message)
    assert watch.camera is None
    assert expected in watch.fault


def test_a_picture_that_stays_under_new_stamps_is_timed():
    still, moved = array("B", [1, 2, 3]), array("B", [1, 2, 4])
    watch = PictureWatch()
    watch.take(still, 1 * SECOND, 10.0)
    watch.take(still, 1 * SECOND, 13.0)  # the very same frame again
    assert watch.unchanged_s == 0.0
    watch.take(still, 2 * SECOND, 13.5)
    assert watch.unchanged_s == 3.5
    watch.take(moved, 3 * SECOND, 14.0)
    assert watch.unchanged_s == 0.0
    watch.take(moved, 4 * SECOND, 14.25)
    assert watch.unchanged_s == 0.25


def test_the_digest_sees_one_bit_of_a_picture():
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    changed = picture.copy()
    changed[200, 300, 1] ^= 1
    assert zlib.crc32(picture) != zlib.crc32(changed)


@pytest.mark.parametrize(
    ("stamps_ns", "expected", "counted"),
    [
        ([100 * SECOND], "", {}),
        ([0], "stamps: images come without a stamp (zero)", {"stamps_zero": 1}),
        ([95 * SECOND, 95 * SECOND], "stamps: images come 5.0 s old", {"stamps_old": 2}),
        ([103 * SECOND], "stamps: images come 3.0 s before their stamp", {"stamps_future": 1}),
        ([100 * SECOND, 100 * SECOND - SECOND // 2], "stamps: images go back by 0.5 s", {"stamps_backwards": 1}),
        ([100 * SECOND + SECOND // 20, 100 * SECOND + SECOND // 20], "", {}),
        ([-5 * SECOND], "stamps: images come 105.0 s old; images go back by 5.0 s", None),
    ],
)
def test_stamps_that_are_not_of_now_are_counted_and_named_once(stamps_ns, expected, counted):
    watch = StampWatch()
    for stamp_ns in stamps_ns:
        watch.take(stamp_ns, 100 * SECOND)
    assert watch.report() == expected
    assert watch.report() == ""
    if counted is not None:
        assert {kind: count for kind, count in watch.counts.items() if count} == counted


@pytest.mark.parametrize(
    ("period_ns", "expected"),
    [
        (SECOND, "images come at 1.0 Hz; at least 3 Hz are needed"),
        (SECOND // 2, "images come at 2.0 Hz; at least 3 Hz are needed"),
        (SECOND // 4, ""),
        (0, ""),
    ],
)
def test_a_camera_that_is_too_slow_to_follow_by_is_named_with_the_rate_that_is_needed(period_ns, expected):
    watch = StampWatch()
    for index in range(20):
        assert watch.too_slow == (expected if index > 5 else "")
        watch.take(100 * SECOND + index * period_ns, 100 * SECOND + index * period_ns)
    health = SegmenterHealth()
    health.stamps = watch
    health.camera.take(info())
    assert health.level_and_summary(time.monotonic(), SegmenterParameters(), "image_raw")[1] == (
        expected or "segmenting"
    )


def test_a_network_that_raises_is_a_fault_until_it_answers():
    watch = WorkWatch()
    watch.started(1.0)
    watch.failed(1.1, RuntimeError("CUDA error: out of memory\nmore lines"))
    expected = "a frame could not be segmented: RuntimeError: CUDA error: out of memory"
    assert (watch.fault(1.2), watch.failures) == (expected, 1)
    watch.started(1.3)
    assert watch.fault(1.3) == expected
    watch.done(1.4)
    assert (watch.fault(1.5), watch.failures) == ("", 1)


def test_a_network_that_hangs_is_a_fault_until_it_comes_back():
    watch = WorkWatch()
    watch.started(1.0)
    assert watch.fault(2.9) == ""
    assert watch.fault(3.1) == "the network hangs: it has worked on one frame for more than 2 s"
    watch.done(9.0)
    assert watch.fault(20.0) == ""


def test_frames_that_cannot_be_decoded_are_a_fault_once_there_was_no_other_for_a_second():
    watch = WorkWatch()
    watch.started(1.0)
    watch.done(1.1)
    watch.started(1.5)
    watch.undecodable(MessageError("image encoding 'rgb9' is not known"))
    assert watch.fault(1.6) == ""
    assert watch.fault(2.2) == "frames cannot be decoded: image encoding 'rgb9' is not known"
    watch.started(2.3)
    watch.done(2.4)
    assert (watch.fault(2.5), watch.bad_messages) == ("", 1)
