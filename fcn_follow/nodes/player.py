"""The player node: publishes recorded or live input as a camera does."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock as SteadyClock
from rclpy.clock import ClockType
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.images.calibration import read_calibration
from fcn_follow.images.messages import fill_camera_info, fill_image
from fcn_follow.nodes.support import status
from fcn_follow.nodes.support.parameters import ParameterNode
from fcn_follow.nodes.support.player_parameters import PlayerParameters
from fcn_follow.nodes.support.sources import PlayedFrame, open_source
from fcn_follow.nodes.support.spinning import Finished
from fcn_follow.simulation.camera import pinhole

STAMPS_FROM_NS = 10**9  # the first stamp of sources without stamps
SETTLING_TIME_S = 1.0  # between the last new subscriber and the first frame


class PlayerNode(ParameterNode):
    """Publishes the frames of a source, stamped with the time of publication or, with `clock`, as recorded."""

    def __init__(self) -> None:
        super().__init__("player")
        self._settings = self.declare(PlayerParameters())
        self._source = open_source(self._settings.source, self._settings.image_topic)
        path = self._settings.calibration
        rectified = self._source.rectified
        self._calibration = read_calibration(Path(path).expanduser(), rectified=rectified) if path else None
        # Reliable publishers serve every subscriber.
        qos = QoSProfile(depth=5, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
        self._image_publisher = self.create_publisher(Image, "image_raw", qos)
        self._camera_publisher = self.create_publisher(CameraInfo, "camera_info", qos)
        self._mask_publisher = self.create_publisher(Image, "ground_truth/label_mask", qos)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._clock_publisher = self.create_publisher(Clock, "/clock", 1) if self._settings.clock else None
        self._played = 0
        self._skipped = 0
        self._intervals = status.RollingFigures()
        self._stopping = threading.Event()
        self._ended = False
        self._failure: Exception | None = None
        steady = SteadyClock(clock_type=ClockType.STEADY_TIME)  # this node's own /clock stops earlier
        self.create_timer(0.1, self._check_end, clock=steady)
        self.create_timer(1.0, self._on_second, clock=steady)
        self._thread = threading.Thread(target=self._play, name="player", daemon=True)
        self._thread.start()
        self.get_logger().info(f"ready: {self._source.description}")

    def stop(self) -> None:
        """End the thread that plays."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _play(self) -> None:
        try:
            self._wait_for_subscribers()
            due_s = time.monotonic()
            for frame, pause_s in self._frames_with_pauses():
                due_s = max(due_s + pause_s, time.monotonic() - pause_s)  # late frames are not sent in a burst
                if self._stopping.wait(max(0.0, due_s - time.monotonic())):
                    return
                self._publish(frame)
        except Exception as error:
            self._failure = error
        finally:
            self._ended = True

    def _wait_for_subscribers(self) -> None:
        """Wait until there are subscribers and no new ones appear, at most for the parameter's time."""
        give_up_s = time.monotonic() + self._settings.wait_for_subscriber_s
        listeners, since_s = 0, time.monotonic()
        while time.monotonic() < give_up_s and not self._stopping.wait(0.05):
            now = self._image_publisher.get_subscription_count()
            if now != listeners:
                listeners, since_s = now, time.monotonic()
            settled = time.monotonic() - since_s >= SETTLING_TIME_S
            masks_taken = self._mask_publisher.get_subscription_count() >= self._settings.wait_for_mask_subscribers
            wanted = max(self._settings.wait_for_subscribers, self.count_subscribers(self._image_publisher.topic_name))
            if listeners >= wanted and masks_taken and settled:
                return

    def _frames_with_pauses(self) -> Iterator[tuple[PlayedFrame, float]]:
        """Each frame with the pause before it."""
        while True:
            before_s = math.nan
            played_before = self._played
            for frame in self._source.frames(self._skip):
                pause_s = 0.0 if math.isnan(before_s) else max(0.0, frame.time_s - before_s) / self._settings.speed
                before_s = frame.time_s
                if self._settings.rate_hz > 0 and not self._source.live:
                    pause_s = 1.0 / self._settings.rate_hz
                yield frame, pause_s
            if self._played == played_before:
                raise UserError(f"{self._source.description}: no frame could be played")
            if not self._settings.loop:
                return

    def _publish(self, frame: PlayedFrame) -> None:
        stamp = self.get_clock().now().to_msg()
        if self._clock_publisher is not None:
            recorded_ns = STAMPS_FROM_NS + round(frame.time_s * 1e9) if frame.stamp_ns is None else frame.stamp_ns
            stamp = Time(nanoseconds=recorded_ns).to_msg()
            self._clock_publisher.publish(Clock(clock=stamp))
        image = Image()
        image.header.stamp = stamp
        image.header.frame_id = self._settings.frame_id
        camera = self._calibrated_camera(frame) or frame.camera or self._assumed_camera(frame)
        self._camera_publisher.publish(fill_camera_info(CameraInfo(header=image.header), camera))
        if frame.labels is not None:
            self._mask_publisher.publish(fill_image(Image(header=image.header), frame.labels))
        self._image_publisher.publish(fill_image(image, frame.image_rgb))
        self._played += 1
        self._intervals.add(time.monotonic(), 0.0)

    def _calibrated_camera(self, frame: PlayedFrame) -> CameraIntrinsics | None:
        camera = self._calibration
        height_px, width_px = frame.image_rgb.shape[:2]
        if camera is not None and (camera.height_px, camera.width_px) != (height_px, width_px):
            sizes = f"{camera.width_px}x{camera.height_px}, the frames are of {width_px}x{height_px}"
            raise UserError(f"{self._settings.calibration}: the calibration is of images of {sizes}")
        return camera

    def _assumed_camera(self, frame: PlayedFrame) -> CameraIntrinsics:
        height_px, width_px = frame.image_rgb.shape[:2]
        self.get_logger().warning(
            f"the camera is not known: an angle of view of {self._settings.horizontal_fov_deg:g} degrees is assumed "
            "(horizontal_fov_deg), and all distances depend on it; give its calibration file (calibration)",
            once=True,
        )
        return pinhole(width_px, height_px, math.radians(self._settings.horizontal_fov_deg))

    def _skip(self, sentence: str) -> None:
        self._skipped += 1
        self.get_logger().warning(sentence, throttle_duration_sec=1.0)

    def _check_end(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            self.get_logger().info(f"played {self._played} frames, skipped {self._skipped}")
            raise Finished

    def _on_second(self) -> None:
        values = {
            "rate_hz": self._intervals.rate_hz(time.monotonic()),
            "played": self._played,
            "skipped": self._skipped,
            "source": self._source.description,
        }
        level = status.WARN if self._skipped else status.OK
        self._diagnostics_publisher.publish(status.diagnostics(self, level, "playing", values))
