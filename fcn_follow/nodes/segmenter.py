"""The segmenter node: camera images in; label mask, hero's centroid and position out, depth where weights have it."""

from __future__ import annotations

import math
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from fcn_follow.bags.images import MessageError, compressed_to_rgb, fill_image, image_to_rgb, intrinsics
from fcn_follow.deployment.choice import EngineRequest
from fcn_follow.deployment.exported import choose_for, load_model
from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.nodes import detections, status
from fcn_follow.nodes.latest import LatestFrame
from fcn_follow.nodes.parameters import declare_parameters
from fcn_follow.parameters import parameter
from fcn_follow.perception.agreement import Agreement, AgreementParameters
from fcn_follow.perception.depth import require_metres
from fcn_follow.perception.engines.engine import ENGINES, PRECISIONS, Output, flying_output
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.overlay import draw_overlay
from fcn_follow.perception.ranging import RangingParameters, hero_depth, locate_hero
from fcn_follow.perception.segmenter import DEVICES, Segmenter
from fcn_follow.share import default_weights

RELIABILITIES = {"best_effort": ReliabilityPolicy.BEST_EFFORT, "reliable": ReliabilityPolicy.RELIABLE}


@dataclass(frozen=True)
class SegmenterParameters:
    """The segmenter's parameters; agreement and ranging can change while it runs."""

    weights: str = parameter(
        "", "Weights file (safetensors, or exported .onnx, .xml); empty for the package's own hero_net"
    )
    device: str = parameter("auto", "Where the network runs; auto takes CUDA where there is one", choices=DEVICES)
    engine: str = parameter(
        "auto",
        "What runs the network; auto measures at the first start and takes the fastest that agrees with plain PyTorch",
        choices=("auto", *ENGINES),
    )
    precision: str = parameter(
        "auto",
        "Arithmetic of the network; auto takes bf16 or fp16 too where the hardware computes in it; fp16 needs cuda",
        choices=PRECISIONS,
    )
    threads: int = parameter(
        1, "Cores that the network may use; one leaves the others to the rest", minimum=1, maximum=64
    )
    image_transport: str = parameter(
        "auto",
        "Which image topic is read: image_raw, image_raw/compressed, or auto: the one that is published, raw if both",
        choices=("auto", "raw", "compressed"),
    )
    reliability: str = parameter(
        "best_effort",
        "Reliability of the image and camera_info subscriptions; best_effort hears every publisher, "
        "reliable hears only reliable ones",
        choices=tuple(RELIABILITIES),
    )
    stale_after_s: float = parameter(
        2.0, "Without a frame for so long, the diagnostics go stale", unit="s", minimum=0.1, maximum=60.0
    )
    agreement: AgreementParameters = field(default_factory=AgreementParameters)
    ranging: RangingParameters = field(default_factory=RangingParameters)


class SegmenterNode(Node):  # type: ignore[misc]
    """Wires messages to `Segmenter`, `find_hero` and `locate_hero`; the work runs in a thread beside the executor."""

    def __init__(self) -> None:
        super().__init__("segmenter")
        self._settings = declare_parameters(
            self,
            SegmenterParameters(),
            on_change=self._take_parameters,
            read_only=("weights", "device", "engine", "precision", "threads", "image_transport", "reliability"),
        )
        parameters = self._settings
        weights = Path(parameters.weights or default_weights()).expanduser()
        loaded = load_model(weights)
        self._weights_name, self._card = weights.name, loaded.card
        self._refuse_ranging_without_depth(parameters)
        request = EngineRequest(parameters.engine, parameters.device, parameters.precision, parameters.threads)
        output = flying_output(loaded.card)
        choice = choose_for(loaded, request, self.get_logger().info, output)
        self._segmenter = Segmenter(loaded, choice.engine)
        self._engine = choice.engine

        self._camera: CameraIntrinsics | None = None
        self._latest = LatestFrame()
        self._agreement = Agreement()
        self._bad_messages = 0
        self._last_frame_s = time.monotonic()
        self._ages_s = status.RollingFigures()
        self._inference_s = status.RollingFigures()

        qos = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
        self._mask_publisher = self.create_publisher(Image, "segmentation/label_mask", qos)
        self._overlay_publisher = self.create_publisher(Image, "segmentation/overlay", qos)
        has_depth = output is Output.CODES_AND_DEPTH
        self._depth_publisher = self.create_publisher(Image, "depth/image", qos) if has_depth else None
        self._centroid_publisher = self.create_publisher(PointStamped, "hero/centroid", qos)
        self._position_publisher = self.create_publisher(PointStamped, "hero/position", qos)
        self._detections = detections.make_publisher(self)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

        self._input = QoSProfile(
            depth=1, history=HistoryPolicy.KEEP_LAST, reliability=RELIABILITIES[parameters.reliability]
        )
        self._raw_topic = self.resolve_topic_name("image_raw")
        self._compressed_topic = self._raw_topic + "/compressed"
        self._subscription: Any = None
        self._subscribed_to: type[Any] | None = None
        self._choose_transport()
        self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, self._input)
        self.create_timer(1.0, self._on_second)
        self._worker = threading.Thread(target=self._work, name="segmenter", daemon=True)
        self._worker.start()
        self.get_logger().info(
            f"ready: {self._weights_name} ({loaded.card.network}) by {choice.reason}; waiting for {self._raw_topic}"
        )

    def stop(self) -> None:
        """End the worker; a segmenter has no last word to say."""
        self._latest.close()
        self._worker.join(timeout=5.0)

    def _take_parameters(self, parameters: SegmenterParameters) -> None:
        self._refuse_ranging_without_depth(parameters)
        self._settings = parameters

    def _refuse_ranging_without_depth(self, parameters: SegmenterParameters) -> None:
        if parameters.ranging.method == "depth":
            try:
                require_metres(self._card)
            except UserError as error:
                raise UserError(
                    f"ranging.method depth does not go with weights {self._weights_name}: {error}"
                ) from error

    def _choose_transport(self) -> None:
        """Subscribe to raw or compressed images; with auto, to what is published."""
        wanted: type[Any] = CompressedImage if self._settings.image_transport == "compressed" else Image
        if self._settings.image_transport == "auto" and not self.count_publishers(self._raw_topic):
            if self.count_publishers(self._compressed_topic):
                wanted = CompressedImage
            elif self._subscribed_to is not None:
                return
        if wanted is self._subscribed_to:
            return
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
        topic = self._raw_topic if wanted is Image else self._compressed_topic
        self._subscription = self.create_subscription(wanted, topic, self._latest.put, self._input)
        self._subscribed_to = wanted

    def _on_camera_info(self, message: CameraInfo) -> None:
        try:
            self._camera = intrinsics(message)
        except MessageError as error:
            self._camera = None
            self.get_logger().warning(f"{error}; hero/position is not published", throttle_duration_sec=1.0)

    def _work(self) -> None:
        while (message := self._latest.take()) is not None:
            self._last_frame_s = time.monotonic()
            try:
                self._process(message)
            except MessageError as error:
                self._bad_messages += 1
                self.get_logger().warning(f"a message was dropped: {error}", throttle_duration_sec=1.0)
            except Exception:  # the node lives on, and without a position the follower stops
                if self.context.ok():
                    self.get_logger().error(traceback.format_exc(), throttle_duration_sec=1.0)

    def _process(self, message: Any) -> None:
        image_rgb = compressed_to_rgb(message) if isinstance(message, CompressedImage) else image_to_rgb(message)
        started_s = time.monotonic()
        camera = self._fitting_camera(image_rgb.shape[:2])
        depth_m = None
        if camera is not None and self._depth_is_wanted():
            labels, depth_m = self._segmenter.segment_with_depth(image_rgb, camera.fy_px)
        else:
            labels = self._segmenter.segment(image_rgb)
        inference_s = time.monotonic() - started_s
        header = message.header
        stamp_s = Time.from_msg(header.stamp).nanoseconds * 1e-9
        found = find_hero(labels, self._min_area_px(labels.shape))
        hero = self._agreement.agreed(found, stamp_s, self._settings.agreement)

        centroid = PointStamped(header=header)
        centroid.point.x, centroid.point.y = hero.centroid_px if hero else (math.nan, math.nan)
        centroid.point.z = float(hero.area_px) if hero else 0.0
        self._centroid_publisher.publish(centroid)
        if hero is not None and camera is not None:
            located = locate_hero(hero, camera, self._settings.ranging, stamp_s, hero_depth(hero, labels, depth_m))
            if located is not None:
                position = PointStamped(header=header)
                position.point.x, position.point.y, position.point.z = located.position_camera_m
                self._position_publisher.publish(position)
        now_s = time.monotonic()
        self._ages_s.add(now_s, (self.get_clock().now() - Time.from_msg(header.stamp)).nanoseconds * 1e-9)
        self._inference_s.add(now_s, inference_s)

        self._mask_publisher.publish(fill_image(Image(header=header), labels))
        if self._depth_publisher and depth_m is not None and self._depth_publisher.get_subscription_count():
            self._depth_publisher.publish(fill_image(Image(header=header), depth_m))
        self._detections.publish(header, hero)
        if self._overlay_publisher.get_subscription_count():
            overlay = draw_overlay(image_rgb, labels, hero)
            self._overlay_publisher.publish(fill_image(Image(header=header), overlay))

    def _depth_is_wanted(self) -> bool:
        """Whether the position goes by it, or somebody listens."""
        if self._depth_publisher is None:
            return False
        return self._settings.ranging.method == "depth" or self._depth_publisher.get_subscription_count() > 0

    def _min_area_px(self, shape: tuple[int, ...]) -> float:
        """What counts as seen, from pixels of the network's input to pixels of the image."""
        card = self._segmenter.card
        return card.hero_min_area_px * shape[0] * shape[1] / (card.input_height_px * card.input_width_px)

    def _fitting_camera(self, shape: tuple[int, ...]) -> CameraIntrinsics | None:
        camera = self._camera
        if camera is None or (camera.height_px, camera.width_px) == shape:
            return camera
        self.get_logger().warning(
            f"camera_info is of {camera.width_px}x{camera.height_px} and the image of "
            f"{shape[1]}x{shape[0]}; hero/position is not published",
            throttle_duration_sec=1.0,
        )
        return None

    def _on_second(self) -> None:
        self._choose_transport()
        now_s = time.monotonic()
        silence_s = now_s - self._last_frame_s
        wrong = status.wrong_topic_types(
            self,
            {
                self._raw_topic: Image,
                self._compressed_topic: CompressedImage,
                self.resolve_topic_name("camera_info"): CameraInfo,
            },
        )
        for sentence in wrong:
            self.get_logger().warning(sentence)
        level, summary = status.OK, "segmenting"
        if wrong:
            level, summary = status.ERROR, "; ".join(wrong)
        elif silence_s > self._settings.stale_after_s:
            level, summary = status.STALE, f"no frames on {self._raw_topic} for {silence_s:.1f} s"
        elif self._camera is None:
            level, summary = status.WARN, "no valid camera_info: hero/position is not published"
        values = {
            "rate_hz": self._ages_s.rate_hz(now_s),
            "age_median_ms": 1e3 * self._ages_s.percentile(50),
            "age_p99_ms": 1e3 * self._ages_s.percentile(99),
            "inference_median_ms": 1e3 * self._inference_s.percentile(50),
            "dropped": self._latest.dropped,
            "bad_messages": self._bad_messages,
            "device": self._engine.device_name,
            "engine": self._engine.spec.name,
            "precision": self._engine.spec.precision,
            "weights": self._weights_name,
            "network": self._segmenter.card.network,
        }
        self._diagnostics_publisher.publish(status.diagnostics(self, level, summary, values))
