"""Measures the live chain from outside: images go over DDS into segmenter and follower, commands come back.

After each command, follow/debug gives the stamp of the image behind it. The measured age is that of the image when
follow/debug arrives.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image

from fcn_follow.errors import UserError
from fcn_follow.images.messages import fill_camera_info, fill_image, image_to_rgb
from fcn_follow.images.resize import resize_image
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import flying_output
from fcn_follow.inference.exported import choose_for, load_model
from fcn_follow.nodes.support.image_watch import PictureWatch
from fcn_follow.nodes.support.interlock import SIMULATED_CMD_VEL
from fcn_follow.nodes.support.processes import NodeProcess, start_node
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.spinning import make_executor
from fcn_follow.nodes.support.stamps import nanoseconds
from fcn_follow.perception.depth import resized_nearest
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.labels import labels_of_codes
from fcn_follow.perception.people import locate_people
from fcn_follow.perception.pipeline import HeroFinder, min_area_px
from fcn_follow.perception.segmenter import Segmenter
from fcn_follow.share import dds_environment, default_weights, share_directory
from fcn_follow.simulation.camera import pinhole
from fcn_follow.simulation.renderer_bench import crowded_frame

STEP_ROUNDS = 60
READY_S, SETTLE_S, DRAIN_S = 120.0, 2.0, 0.5
MINUTE_S = 60.0
REPORTED = ("perception_median_ms", "inference_median_ms")  # in the segmenter's diagnostics
SWAY = 36  # more places than FrozenPicture remembers
Pictures = tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class ChainSpeed:
    """The result for images of one size at one rate; ages in milliseconds, memory in MB.

    age_begin_ms and age_end_ms are medians over the first and the last minute, or third if that is shorter.
    """

    width_px: int
    height_px: int
    rate_hz: float
    seconds: float
    sent: int
    masks: int
    commanded: int
    age_median_ms: float
    age_p99_ms: float
    age_max_ms: float
    age_begin_ms: float
    age_end_ms: float
    perception_median_ms: float
    inference_median_ms: float
    cores: float
    memory_mb: float
    memory_growth_mb: float


@dataclass(frozen=True)
class ChainSteps:
    """The time of each step of a frame, run alone in this process: medians in milliseconds by the step's name."""

    width_px: int
    height_px: int
    steps_ms: dict[str, float]


class _Camera(Node):  # type: ignore[misc]
    """Publishes pictures and subscribes to the results."""

    def __init__(self) -> None:
        super().__init__("chain_bench")
        quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._images = self.create_publisher(Image, "image_raw", quality)
        self._infos = self.create_publisher(CameraInfo, "camera_info", quality)
        self.create_subscription(TwistStamped, SIMULATED_CMD_VEL, self._on_command, QoSProfile(depth=20))
        self.create_subscription(DiagnosticArray, "follow/debug", self._on_debug, QoSProfile(depth=20))
        self.create_subscription(Image, "segmentation/label_mask", self._on_mask, QoSProfile(depth=5))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=20))
        self.reported_ms: dict[str, list[float]] = {key: [] for key in REPORTED}
        self.sent_us: dict[int, int] = {}
        """The images' stamps in ns, by their microseconds: a debug message has no more digits."""
        self.masks: set[int] = set()
        self.ages_ms: dict[int, float] = {}
        self._commands: deque[tuple[int, int]] = deque(maxlen=20)  # stamp and arrival in ns

    def clear(self) -> None:
        for found in (self.sent_us, self.masks, self.ages_ms):
            found.clear()
        for reported in self.reported_ms.values():
            reported.clear()

    def send(self, picture: NDArray[np.uint8]) -> None:
        image, info = fill_image(Image(), picture), CameraInfo()
        height_px, width_px = picture.shape[:2]
        fill_camera_info(info, pinhole(width_px, height_px, 1.2))
        now = self.get_clock().now()  # late, as from a driver, which publishes a finished picture
        image.header.stamp = info.header.stamp = now.to_msg()
        image.header.frame_id = info.header.frame_id = "camera_optical_frame"
        self.sent_us[round(now.nanoseconds / 1000)] = now.nanoseconds
        self._images.publish(image)
        self._infos.publish(info)

    def _on_command(self, message: TwistStamped) -> None:
        self._commands.append((nanoseconds(message.header.stamp), self.get_clock().now().nanoseconds))

    def _on_debug(self, message: DiagnosticArray) -> None:
        values = {pair.key: pair.value for status in message.status for pair in status.values}
        stamp_s = float(values.get("image_stamp_s", "nan"))
        if math.isnan(stamp_s):
            return
        microseconds = round(stamp_s * 1e6)
        near = (self.sent_us.get(microseconds + offset) for offset in (0, -1, 1))
        stamp_ns = next((each for each in near if each is not None), None)
        explained_ns = nanoseconds(message.header.stamp)
        arrival_ns = next((arrival for stamp, arrival in reversed(self._commands) if stamp <= explained_ns), None)
        if stamp_ns is None or arrival_ns is None or stamp_ns in self.ages_ms:  # first command alone counts
            return
        self.ages_ms[stamp_ns] = 1e-6 * (arrival_ns - stamp_ns)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        values = {pair.key: pair.value for status in message.status for pair in status.values}
        for key, reported in self.reported_ms.items():
            reported.append(float(values.get(key, "nan")))

    def _on_mask(self, message: Image) -> None:
        self.masks.add(nanoseconds(message.header.stamp))


@dataclass(frozen=True)
class ChainRun:
    """Images of one size at one rate for a time."""

    width_px: int
    height_px: int
    rate_hz: float
    seconds: float


def measure_chain(
    runs: Sequence[ChainRun], weights: Path | None, on_step: Callable[[str], None]
) -> Iterator[ChainSpeed]:
    """Start segmenter and follower once, and measure each run.

    Raises UserError if a node does not start, or if the follower does not follow the hero in the picture.
    """
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(97, 101))  # noqa: S311 - to separate domains, no secret
    os.environ.update(dds_environment(network=False))
    pictures = {(run.width_px, run.height_px): _swaying(crowded_frame(run.width_px, run.height_px)) for run in runs}
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    camera, executor = _Camera(), make_executor()
    executor.add_node(camera)
    parameters = {"weights": weights and str(weights.resolve())}
    config = [share_directory() / "config" / "follow.yaml"]
    follower = start_node("follower", config, {"start_enabled": True}, SIMULATED_CMD_VEL)
    nodes = [start_node("segmenter", config, parameters), follower]
    try:
        on_step("starting the nodes")
        _wait_for_commands(camera, executor, nodes, next(iter(pictures.values())))
        for run in runs:
            on_step(f"{run.width_px}x{run.height_px} at {run.rate_hz:g} Hz for {run.seconds:g} s")
            shown = pictures[run.width_px, run.height_px]
            _feed(camera, executor, shown, run.rate_hz, SETTLE_S)
            yield _measure_one(camera, executor, nodes, shown, run)
    finally:
        for node in nodes:
            node.interrupt()
        for node in nodes:
            node.wait(10.0)
        camera.destroy_node()
        rclpy.try_shutdown()


def measure_steps(width_px: int, height_px: int, weights: Path | None) -> ChainSteps:
    """Measure the steps from an image message to the mask message, without DDS and the follower."""
    model = load_model(weights or default_weights())
    parameters = SegmenterParameters()
    request = EngineRequest(parameters.engine, parameters.device, parameters.precision, parameters.threads)
    engine = choose_for(model, request, output=flying_output(model.card)).engine
    finder = HeroFinder(Segmenter(model, engine), parameters)
    camera, card = pinhole(width_px, height_px, 1.2), model.card
    size = (card.input_height_px, card.input_width_px)
    message = fill_image(Image(), crowded_frame(width_px, height_px))
    serialised = serialize_message(message)
    image_rgb = image_to_rgb(message)
    small = resize_image(image_rgb, *size)
    codes = engine.run(small[None]).classes[0].copy()
    coarse = labels_of_codes(codes)
    labels = resized_nearest(coarse, height_px, width_px)
    min_px = min_area_px(card, labels)
    hero = find_hero(labels, min_px)
    watch = PictureWatch()
    works: dict[str, Callable[[], object]] = {
        "message from bytes": lambda: deserialize_message(serialised, Image),
        "message to pixels": lambda: image_to_rgb(message),
        "resizing to the network's input": lambda: resize_image(image_rgb, *size),
        "inference": lambda: engine.run(small[None]),
        "labels, with blobs confirmed": lambda: labels_of_codes(codes),
        "labels enlarged to the image": lambda: resized_nearest(coarse, height_px, width_px),
        "hero found": lambda: find_hero(labels, min_px),
        "other people found and located": lambda: locate_people(labels, hero, camera, parameters, min_px),
        "all from pixels to positions": lambda: finder.look(image_rgb, camera, time.monotonic()),
        "mask to a message, and to bytes": lambda: serialize_message(fill_image(Image(), labels)),
        "checksum of the picture": lambda: watch.take(message.data, time.monotonic_ns(), time.monotonic()),
    }
    times_s: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(STEP_ROUNDS):
        for name, work in works.items():
            begun_s = time.perf_counter()
            work()
            times_s[name].append(time.perf_counter() - begun_s)
    return ChainSteps(width_px, height_px, {name: 1e3 * statistics.median(times) for name, times in times_s.items()})


def _measure_one(
    camera: _Camera,
    executor: Executor,
    nodes: Sequence[NodeProcess],
    pictures: Pictures,
    run: ChainRun,
) -> ChainSpeed:
    processes = [psutil.Process(node.process.pid) for node in nodes]
    camera.clear()
    memory_mb, cpu_s, begun_s = _memory_mb(processes), _cpu_s(processes), time.monotonic()
    _feed(camera, executor, pictures, run.rate_hz, run.seconds)
    cores = (_cpu_s(processes) - cpu_s) / (time.monotonic() - begun_s)
    end_s = time.monotonic() + DRAIN_S
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.01)
    if not camera.ages_ms:
        raise UserError("no command resulted from an image: the nodes did not follow the picture's hero")
    ages = list(camera.ages_ms.values())
    begin_ms, end_ms = _begin_and_end_ms(camera.ages_ms, min(MINUTE_S, run.seconds / 3))
    return ChainSpeed(
        width_px=run.width_px,
        height_px=run.height_px,
        rate_hz=run.rate_hz,
        seconds=run.seconds,
        sent=len(camera.sent_us),
        masks=len(camera.masks & set(camera.sent_us.values())),
        commanded=len(ages),
        age_median_ms=statistics.median(ages),
        age_p99_ms=float(np.percentile(ages, 99)),
        age_max_ms=max(ages),
        age_begin_ms=begin_ms,
        age_end_ms=end_ms,
        perception_median_ms=_median(camera.reported_ms["perception_median_ms"]),
        inference_median_ms=_median(camera.reported_ms["inference_median_ms"]),
        cores=cores,
        memory_mb=_memory_mb(processes),
        memory_growth_mb=_memory_mb(processes) - memory_mb,
    )


def _median(values: Sequence[float]) -> float:
    """The median of the values that are not NaN."""
    numbers = [value for value in values if math.isfinite(value)]
    return statistics.median(numbers) if numbers else math.nan


def _begin_and_end_ms(ages_ms: dict[int, float], part_s: float) -> tuple[float, float]:
    """The median age over the first and over the last part of a run, from ages by stamp in ns."""
    first_ns, last_ns = min(ages_ms), max(ages_ms)
    begin = [age for stamp_ns, age in ages_ms.items() if stamp_ns - first_ns <= part_s * 1e9]
    end = [age for stamp_ns, age in ages_ms.items() if last_ns - stamp_ns <= part_s * 1e9]
    return statistics.median(begin), statistics.median(end)


def _swaying(picture: NDArray[np.uint8]) -> Pictures:
    """The picture shifted to and fro, by even steps there and odd ones back: pictures in turn would count as frozen."""
    places = (*range(0, SWAY, 2), *range(SWAY - 1, 0, -2))
    return tuple(np.roll(picture, place * picture.shape[1] // 320, axis=1) for place in places)


def _feed(camera: _Camera, executor: Executor, pictures: Pictures, rate_hz: float, seconds: float) -> None:
    begun_s = time.monotonic()
    for i in range(int(seconds * rate_hz)):
        while (left_s := begun_s + i / rate_hz - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left_s)
        camera.send(pictures[i % len(pictures)])


def _wait_for_commands(camera: _Camera, executor: Executor, nodes: Sequence[NodeProcess], pictures: Pictures) -> None:
    end_s = time.monotonic() + READY_S
    while not camera.ages_ms:
        for node in nodes:
            if node.exit_code is not None:
                node.wait(1.0)
                raise UserError(f"the {node.name} ended: {node.last_words().removeprefix('error: ')}")
        if time.monotonic() > end_s:
            raise UserError(f"no command came in {READY_S:.0f} s: the hero of the picture was not followed")
        _feed(camera, executor, pictures, 10.0, 0.5)


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def _memory_mb(processes: Sequence[psutil.Process]) -> float:
    return float(sum(process.memory_info().rss for process in processes)) / 1e6
