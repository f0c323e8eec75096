"""The scorer node: compares the segmenter's masks with true masks; prints the figures of `score-bag` at the end."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from fcn_follow.classes import HERO
from fcn_follow.files import write_csv, write_whole
from fcn_follow.images.messages import MessageError, UInt8Array
from fcn_follow.inference.exported import read_model_card
from fcn_follow.lab.recordings.reading import stamp_ns, stamp_text
from fcn_follow.lab.recordings.truth import message_labels
from fcn_follow.lab.scoring.evaluation import FrameResult, judge_labels, kind_of_hero, summarise
from fcn_follow.lab.scoring.score_report import CSV_COLUMNS, csv_row
from fcn_follow.lab.scoring.tables import print_evaluation
from fcn_follow.nodes.support.parameters import ParameterNode
from fcn_follow.parameters import fixed_parameter
from fcn_follow.perception.pipeline import min_area_px
from fcn_follow.share import default_weights

MAX_WAITING = 200  # masks without a partner; the oldest is dropped


@dataclass(frozen=True)
class ScorerParameters:
    """The scorer's parameters."""

    weights: str = fixed_parameter(
        "",
        "weights file of the segmenter (safetensors, or exported .onnx, .xml), for the area from which a hero counts; "
        "empty: the package's hero_net",
    )
    report: str = fixed_parameter("", "folder for live.json and live.csv; empty: no report")


class ScorerNode(ParameterNode):
    """Scores each published mask against the true one of the same stamp, in the frame's own size."""

    def __init__(self) -> None:
        super().__init__("scorer")
        self._settings = self.declare(ScorerParameters())
        weights = self._settings.weights or default_weights()
        self._card = read_model_card(Path(weights).expanduser())
        self._lock = threading.Lock()
        self._truths: dict[int, UInt8Array] = {}
        self._masks: dict[int, UInt8Array] = {}
        self._true_masks = 0
        self._results: list[FrameResult] = []
        self._problems: list[str] = []
        qos = QoSProfile(depth=100, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
        self.create_subscription(Image, "ground_truth/label_mask", self._on_truth, qos)
        self.create_subscription(Image, "segmentation/label_mask", self._on_mask, qos)
        self.get_logger().info("ready: waiting for true and published masks")

    def stop(self) -> None:
        """Print the figures, and write them if a folder was given."""
        result = summarise(sorted(self._results, key=lambda frame: frame.name), self._problems)
        dropped = self._true_masks - len(self._results)
        if result.frames:
            print_evaluation(result, f"{len(result.frames)} masks that were published live")
        print(f"live: {len(result.frames)} of {self._true_masks} frames scored, {dropped} dropped", flush=True)
        if self._settings.report:
            folder = Path(self._settings.report).expanduser()
            figures = {"frames": len(result.frames), "dropped": dropped, **result.figures()}
            write_whole(folder / "live.json", json.dumps(figures, indent=1) + "\n")
            write_csv(folder / "live.csv", CSV_COLUMNS, map(csv_row, result.frames))

    def _on_truth(self, message: Image) -> None:
        self._true_masks += 1
        self._take(message, self._truths)

    def _on_mask(self, message: Image) -> None:
        self._take(message, self._masks)

    def _take(self, message: Any, waiting: dict[int, UInt8Array]) -> None:
        """Keep a mask until its partner comes, then score the pair."""
        stamp = stamp_ns(message)
        try:
            waiting[stamp] = message_labels(message)
        except MessageError as error:
            self._problems.append(str(error))
            self.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        if stamp in self._truths and stamp in self._masks:
            self._judge(stamp, self._truths.pop(stamp), self._masks.pop(stamp))
        while len(waiting) > MAX_WAITING:
            del waiting[min(waiting)]

    def _judge(self, stamp: int, truth: UInt8Array, labels: UInt8Array) -> None:
        if truth.shape != labels.shape:
            self._problems.append(f"stamp {stamp_text(stamp)}: masks of {truth.shape} and {labels.shape}")
            return
        kind = kind_of_hero(int((truth == HERO).sum()), truth.size)
        self._results.append(judge_labels(stamp_text(stamp), kind, truth, labels, min_area_px(self._card, truth)))
