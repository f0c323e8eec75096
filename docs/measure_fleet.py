"""Several cameras on one machine: a segmenter process for each, against one process for all (`segmenters`).

.venv/bin/python docs/measure_fleet.py --rate 10     # the table of docs/interfaces.md
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from fcn_follow.errors import UserError
from fcn_follow.images.messages import fill_image
from fcn_follow.nodes.support.processes import NodeProcess
from fcn_follow.nodes.support.spinning import make_executor
from fcn_follow.nodes.support.stamps import nanoseconds
from fcn_follow.share import dds_environment, default_weights
from fcn_follow.simulation.renderer_bench import crowded_frame

READY_S, SETTLE_S = 120.0, 2.0


class _Cameras(Node):  # type: ignore[misc]
    def __init__(self, count: int) -> None:
        super().__init__("fleet_bench")
        quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        names = [f"drone{number + 1}" for number in range(count)]
        self.senders = [self.create_publisher(Image, f"{name}/image_raw", quality) for name in names]
        self.ages_ms: list[list[float]] = [[] for _ in names]
        for name, ages in zip(names, self.ages_ms, strict=True):
            self.create_subscription(Image, f"{name}/segmentation/label_mask", self._noting(ages), 5)

    def _noting(self, ages_ms: list[float]) -> Callable[[Image], None]:
        def note(mask: Image) -> None:
            ages_ms.append(1e-6 * (self.get_clock().now().nanoseconds - nanoseconds(mask.header.stamp)))

        return note


def measure_fleet(
    cameras: int, width_px: int, height_px: int, rate_hz: float, seconds: float, weights: Path | None
) -> Iterator[str]:
    """Measure both ways, one after the other: a table's rows in Markdown. The cameras' images come at even distances.

    Raises UserError if a process ends, or gives no mask in time.
    """
    os.environ["ROS_DOMAIN_ID"] = str(random.randint(97, 101))  # noqa: S311 - to separate domains, no secret
    os.environ.update(dds_environment(network=False))
    picture = crowded_frame(width_px, height_px)
    pictures = [np.roll(picture, shift, axis=1) for shift in range(cameras + 2)]  # a picture that stays is frozen
    start = [sys.executable, "-m", "fcn_follow.nodes.executables"]
    path = ["-p", f"weights:={(weights or default_weights()).resolve()}"]
    names = [f"drone{number + 1}" for number in range(cameras)]
    ways = {
        "a process for each": [[*start, "segmenter", "--ros-args", "-r", f"__ns:=/{name}", *path] for name in names],
        "one process for all": [[*start, "segmenters", *names, "--ros-args", *path]],
    }
    for way, commands in ways.items():
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        node, executor = _Cameras(cameras), make_executor()
        executor.add_node(node)
        processes = [NodeProcess("segmenter", command, {}) for command in commands]

        def feed(duration_s: float, node: _Cameras = node, executor: object = executor) -> int:
            """Publish for a time, one camera after the other; the number of images."""
            begun_s, count = time.monotonic(), int(duration_s * rate_hz) * cameras
            for i in range(count):
                while (left_s := begun_s + i / (rate_hz * cameras) - time.monotonic()) > 0:
                    executor.spin_once(timeout_sec=left_s)  # type: ignore[attr-defined]
                message = fill_image(Image(), pictures[i % len(pictures)])
                message.header.stamp = node.get_clock().now().to_msg()
                node.senders[i % cameras].publish(message)
            return count

        try:
            for process in processes:
                process.start()
            end_s = time.monotonic() + READY_S
            while not all(node.ages_ms):
                if time.monotonic() > end_s or any(process.exit_code is not None for process in processes):
                    raise UserError(f"{way}: not every segmenter gives masks: {processes[-1].last_words()}")
                feed(1.0)
            feed(SETTLE_S)
            for ages in node.ages_ms:
                ages.clear()
            owners = [psutil.Process(process.process.pid) for process in processes]
            cpu_s, begun_s = sum(sum(each.cpu_times()[:2]) for each in owners), time.monotonic()
            sent = feed(seconds)
            cores = (sum(sum(each.cpu_times()[:2]) for each in owners) - cpu_s) / (time.monotonic() - begun_s)
            memory_mb = sum(each.memory_full_info().pss for each in owners) / 1e6
            all_ms = [age for ages in node.ages_ms for age in ages]
            median_ms, p99_ms = np.percentile(all_ms, (50, 99))
            yield (
                f"| {way} | {len(all_ms)} of {sent} | {min(map(len, node.ages_ms))} | {median_ms:.1f} ms | "
                f"{p99_ms:.1f} ms | {cores:.2f} | {memory_mb:.0f} MB |"
            )
        finally:
            for process in processes:
                process.interrupt()
            for process in processes:
                process.wait(10.0)
            node.destroy_node()
            rclpy.try_shutdown()


def main() -> None:
    """Measure, and print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--rate", type=float, default=10.0, help="of each camera in Hz")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), help="width and height in pixels")
    parser.add_argument("--seconds", type=float, default=20.0, help="each way")
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    print("| segmenters | masks of images | slowest camera | age, median | 99 % | cores | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    width_px, height_px = given.size
    for row in measure_fleet(given.cameras, width_px, height_px, given.rate, given.seconds, given.weights):
        print(row, flush=True)


if __name__ == "__main__":
    main()
