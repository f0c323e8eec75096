"""The node `segmenter`: camera images in; label mask, hero and other people out, and depth if the weights have it.

segmentation/state (diagnostic_msgs/KeyValue, latched, on change and at 1 Hz) is `fault` with the reason while the drone
must not fly by this output, `choosing` with the question while the user must say who the hero is, else `ok`.
During a fault of the source, such as two cameras, hero and people are not published; the mask still is, for display.

It is a managed node: `configure` loads and measures the engines, `activate` subscribes, `deactivate` unsubscribes but
frees nothing, `clean_up` frees. By default the node configures and activates itself.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import Point, PointStamped, Pose, PoseArray
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from fcn_follow.errors import UserError
from fcn_follow.images.messages import MessageError, compressed_to_rgb, fill_image, image_to_rgb, is_rectified
from fcn_follow.inference.choice import Choice, EngineRequest
from fcn_follow.inference.engine import Answer, Engine, Output, flying_output
from fcn_follow.inference.exported import choose_for, load_model
from fcn_follow.inference.machine import release_memory
from fcn_follow.networks.weights import ModelCard, require_metres
from fcn_follow.nodes.support import detections, status
from fcn_follow.nodes.support.latest import LatestFrame
from fcn_follow.nodes.support.managed import ACTIVE, ManagedNode
from fcn_follow.nodes.support.mount_from_tf import MountFromTf
from fcn_follow.nodes.support.pointing import Pointing
from fcn_follow.nodes.support.segmenter_health import SegmenterHealth
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.stamps import nanoseconds
from fcn_follow.perception.overlay import draw_overlay
from fcn_follow.perception.pipeline import HeroFinder
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.perception.selection import POINTED
from fcn_follow.perception.sight import Sight
from fcn_follow.share import default_weights
from fcn_follow.shared_parameters import CameraParameters

WATCH_PERIOD_S = 0.1
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class _TimedEngine:
    """An engine that records its times for the diagnostics."""

    def __init__(self, engine: Engine, times_s: status.RollingFigures) -> None:
        self.spec, self.device_name = engine.spec, engine.device_name
        self._engine, self._times_s = engine, times_s

    def run(self, images: NDArray[np.uint8]) -> Answer:
        begun_s = time.monotonic()
        answer = self._engine.run(images)
        now_s = time.monotonic()
        self._times_s.add(now_s, now_s - begun_s)
        return answer


@dataclass(frozen=True)
class _Eyes:
    """What `configure` loads."""

    weights_name: str
    card: ModelCard
    choice: Choice
    finder: HeroFinder


class SegmenterNode(ManagedNode):
    """Wires messages to `HeroFinder`; the work runs in a thread beside the executor."""

    def __init__(self, namespace: str | None = None, choose: Callable[..., Choice] | None = None) -> None:
        """`choose` replaces `choose_for`."""
        super().__init__("segmenter", namespace=namespace)
        self._choose = choose or choose_for
        self._settings = self.declare(SegmenterParameters(), self._take_parameters)
        self._mount: MountFromTf[CameraParameters] = MountFromTf(self)
        self._health = SegmenterHealth()
        self._latest = LatestFrame()
        self._source_fault = ""
        self._state = ("", "")
        hero = self._settings.hero
        self._pointing = Pointing(self, hero) if hero.selection == POINTED else None
        self._inference_s, self._ages_s, self._perception_s = (status.RollingFigures() for _ in range(3))
        self._state_publisher = self.create_publisher(KeyValue, "segmentation/state", LATCHED)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._raw_topic = self.resolve_topic_name("image_raw")
        self._compressed_topic = self._raw_topic + "/compressed"
        self._camera_topic = self.resolve_topic_name("camera_info")
        self._eyes: _Eyes | None = None
        self._own_publishers = frozenset(self.publishers)
        self._subscription: Any = None
        self._subscribed_to: type[Any] | None = None
        self._cameras: Any = None
        self._worker: threading.Thread | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a simulated clock may stop
        self.create_timer(WATCH_PERIOD_S, self._watch, clock=steady)
        self.create_timer(1.0, self._on_second, clock=steady)
        if self._settings.autostart:
            self.start()
        else:
            self._watch()

    def configure(self) -> None:
        """Load the weights, measure or open the engines, and make the publishers of the results."""
        parameters = self._settings
        weights = Path(parameters.weights or default_weights(pointed=self._pointing is not None)).expanduser()
        loaded = load_model(weights)
        _refuse_ranging_without_depth(parameters, weights.name, loaded.card)
        request = EngineRequest(parameters.engine, parameters.device, parameters.precision, parameters.threads)
        output = flying_output(loaded.card)
        choice = self._choose(loaded, request, self.get_logger().info, output)
        selection = self._pointing.selection if self._pointing else None
        finder = HeroFinder(Segmenter(loaded, _TimedEngine(choice.engine, self._inference_s)), parameters, selection)
        self._eyes = _Eyes(weights.name, loaded.card, choice, finder)

        qos = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
        self._mask_publisher = self.create_publisher(Image, "segmentation/label_mask", qos)
        self._overlay_publisher = self.create_publisher(Image, "segmentation/overlay", qos)
        has_depth = output is Output.CODES_AND_DEPTH
        self._depth_publisher = self.create_publisher(Image, "depth/image", qos) if has_depth else None
        self._centroid_publisher = self.create_publisher(PointStamped, "hero/centroid", qos)
        self._people_publisher = self.create_publisher(PoseArray, "people/positions", qos)
        self._position_publisher = self.create_publisher(PointStamped, "hero/position", qos)
        self._detections = detections.make_publisher(self, loaded.card.hero_probability_threshold)

    def activate(self) -> None:
        """Subscribe to the camera and start the worker."""
        reliability = ReliabilityPolicy[self._settings.reliability.upper()]
        self._input = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)
        self._health = SegmenterHealth()
        self._latest = LatestFrame()
        eyes = self._eyes
        assert eyes is not None
        eyes.finder.reset()
        self._choose_transport()
        self._cameras = self.create_subscription(CameraInfo, "camera_info", self._health.camera.take, self._input)
        self._state = self._health_state()
        self._publish_state()
        self._worker = threading.Thread(
            target=self._work, args=(self._latest, eyes.finder), name="segmenter", daemon=True
        )
        self._worker.start()
        self.get_logger().info(
            f"ready: {eyes.weights_name} ({eyes.card.network}) by {eyes.choice.reason}; waiting for {self._raw_topic}"
        )

    def deactivate(self) -> None:
        """Stop the worker and unsubscribe."""
        self.stop()
        for subscription in filter(None, (self._subscription, self._cameras)):
            self.destroy_subscription(subscription)
        self._subscription = self._subscribed_to = self._cameras = None

    def clean_up(self) -> None:
        """Free network and engine, and destroy the publishers of the results."""
        for publisher in set(self.publishers) - self._own_publishers:
            self.destroy_publisher(publisher)
        self._eyes = None
        release_memory()

    def stop(self) -> None:
        """End the worker."""
        self._latest.close()
        if self._worker is not None:
            self._worker.join(timeout=5.0)

    def _take_parameters(self, parameters: SegmenterParameters) -> None:
        if self._eyes is not None:
            _refuse_ranging_without_depth(parameters, self._eyes.weights_name, self._eyes.card)
        self._settings = parameters

    def _choose_transport(self) -> None:
        """Subscribe to raw or compressed images; with auto, to the topic that is published."""
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
        self._subscription = self.create_subscription(wanted, topic, self._on_image, self._input)
        self._health.camera.rectified = is_rectified(self._subscription.topic_name)
        self._subscribed_to = wanted

    def _on_image(self, message: Any) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self._health.message(nanoseconds(message.header.stamp), now_ns, time.monotonic())
        self._latest.put(message)

    def _work(self, frames: LatestFrame, finder: HeroFinder) -> None:
        work = self._health.work
        while (message := frames.take()) is not None:
            work.started(time.monotonic())
            try:
                self._process(message, frames, finder)
            except MessageError as error:
                work.undecodable(error)
                self.get_logger().warning(f"a message was dropped: {error}", throttle_duration_sec=1.0)
            except Exception as error:  # the node continues and reports a fault
                work.failed(time.monotonic(), error)
                if self.context.ok():
                    self.get_logger().error(traceback.format_exc(), throttle_duration_sec=1.0)
            else:
                work.done(time.monotonic())

    def _process(self, message: Any, frames: LatestFrame, finder: HeroFinder) -> None:
        image_rgb = compressed_to_rgb(message) if isinstance(message, CompressedImage) else image_to_rgb(message)
        header = message.header
        stamp_ns = nanoseconds(header.stamp)
        height_px, width_px = image_rgb.shape[:2]
        camera = self._health.camera.fitting(height_px, width_px)
        depth_wanted = self._depth_publisher is not None and self._depth_publisher.get_subscription_count() > 0
        settings = self._settings
        mounted = self._mount.mounted(settings.camera, header.frame_id)
        finder.parameters = replace(settings, camera=mounted)
        if self._health.source_fault():
            finder.reset()  # else a point would choose a person of this frame
        begun_s = time.monotonic()
        sight = finder.look(image_rgb, camera, stamp_ns * 1e-9, depth_wanted=depth_wanted)
        if frames.closed:  # deactivated meanwhile
            return
        now_s = time.monotonic()
        self._perception_s.add(now_s, now_s - begun_s)
        if self._health.source_fault():
            finder.reset()  # frames of a faulty source do not count for agreement
            if self._pointing and sight.choice and sight.choice.notice:
                self._pointing.report(sight.choice.notice)
        else:
            self._publish_people_and_hero(header, sight, camera is not None)
            if self._pointing and sight.choice:
                self._pointing.take(header, sight.choice)
        self._ages_s.add(now_s, (self.get_clock().now().nanoseconds - stamp_ns) * 1e-9)

        self._health.pictures.take(message.data, stamp_ns, now_s)  # after the hero, which must not wait for it
        self._mask_publisher.publish(fill_image(Image(header=header), sight.labels))
        if self._depth_publisher and depth_wanted and sight.depth_m is not None:
            self._depth_publisher.publish(fill_image(Image(header=header), sight.depth_m))
        if self._overlay_publisher.get_subscription_count():
            numbers = sight.choice.places_px if sight.choice else {}
            overlay = draw_overlay(image_rgb, sight.labels, sight.hero, numbers)
            self._overlay_publisher.publish(fill_image(Image(header=header), overlay))

    def _publish_people_and_hero(self, header: Header, sight: Sight, camera_is_known: bool) -> None:
        """Publish the people before the hero, so that the follower knows them when it steps for the hero."""
        if camera_is_known:
            poses = [Pose(position=Point(x=x, y=y, z=z)) for x, y, z in sight.people]
            self._people_publisher.publish(PoseArray(header=header, poses=poses))
        hero = sight.hero
        centroid = PointStamped(header=header)
        centroid.point.x, centroid.point.y = hero.centroid_px if hero else (math.nan, math.nan)
        centroid.point.z = float(hero.area_px) if hero else 0.0
        self._centroid_publisher.publish(centroid)
        if sight.position is not None:
            position = PointStamped(header=header)
            position.point.x, position.point.y, position.point.z = sight.position.position_camera_m
            self._position_publisher.publish(position)
        self._detections.publish(header, hero, sight.hero_score, sight.choice)

    def _watch(self) -> None:
        """Report changes of the state."""
        state = self.lifecycle_state
        if state == ACTIVE:
            self._watch_source()
            now = self._health_state()
        else:
            now = ("fault", f"the segmenter is {state}; a lifecycle manager has to activate it")
        if now != self._state:
            self._state = now
            self._publish_state()

    def _health_state(self) -> tuple[str, str]:
        self._health.asks = self._pointing.asks if self._pointing else ""
        return self._health.state(time.monotonic())

    def _watch_source(self) -> None:
        """Look for a second camera, and log changes of the source's faults."""
        counts = {topic: self.count_publishers(topic) for topic in (self._subscription.topic_name, self._camera_topic)}
        self._health.several = [
            f"{count} publishers on {topic}; stop all but one" for topic, count in counts.items() if count > 1
        ]
        source = self._health.source_fault()
        if source != self._source_fault:
            if source:
                self.get_logger().error(f"hero and people are not published: {source}")
            else:
                self.get_logger().info(f"no longer: {self._source_fault}")
            self._source_fault = source

    def _publish_state(self) -> None:
        key, value = self._state
        self._state_publisher.publish(KeyValue(key=key, value=value))

    def _on_second(self) -> None:
        if self._subscribed_to is not None:
            self._choose_transport()
        wanted = {self._raw_topic: Image, self._compressed_topic: CompressedImage, self._camera_topic: CameraInfo}
        self._health.wrong_types = status.wrong_topic_types(self, wanted)
        self._watch()
        self._publish_state()
        now_s = time.monotonic()
        level, summary = self._health.level_and_summary(now_s, self._settings, self._raw_topic)
        if self.lifecycle_state != ACTIVE:
            level, summary = status.WARN, self._state[1]
        values = {
            "rate_hz": self._ages_s.rate_hz(now_s),
            "age_median_ms": 1e3 * self._ages_s.percentile(50),
            "age_p99_ms": 1e3 * self._ages_s.percentile(99),
            "inference_median_ms": 1e3 * self._inference_s.percentile(50),
            "perception_median_ms": 1e3 * self._perception_s.percentile(50),
            "dropped": self._latest.dropped,
            **self._health.values(),
            **({"pointing": self._pointing.notice} if self._pointing else {}),
            "lifecycle": self.lifecycle_state,
        }
        if (eyes := self._eyes) is not None:
            engine = eyes.choice.engine
            values |= {
                "device": engine.device_name,
                "engine": engine.spec.name,
                "precision": engine.spec.precision,
                "weights": eyes.weights_name,
                "network": eyes.card.network,
            }
        self._diagnostics_publisher.publish(status.diagnostics(self, level, summary, values))


def _refuse_ranging_without_depth(parameters: SegmenterParameters, weights_name: str, card: ModelCard) -> None:
    if parameters.ranging.method == "depth":
        try:
            require_metres(card)
        except UserError as error:
            raise UserError(f"ranging.method depth does not work with weights {weights_name}: {error}") from error
