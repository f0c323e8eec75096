"""The faults of the segmenter's input and work, combined for state and diagnostics."""

from __future__ import annotations

import time

from fcn_follow.nodes.support.camera_watch import CameraWatch
from fcn_follow.nodes.support.image_watch import PictureWatch, StampWatch
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.status import ERROR, OK, STALE, WARN
from fcn_follow.nodes.support.work_watch import WorkWatch


class SegmenterHealth:
    """The watches of camera, pictures, stamps and work, and faults of the ROS graph.

    `several` and `wrong_types` are sentences about topics with two publishers or with messages of another type; `asks`
    is the question who the hero is, empty while the hero is known.
    """

    def __init__(self) -> None:
        self.camera = CameraWatch()
        self.pictures = PictureWatch()
        self.stamps = StampWatch()
        self.work = WorkWatch()
        self.several: list[str] = []
        self.wrong_types: list[str] = []
        self.asks = ""
        self._last_message_s = time.monotonic()

    def message(self, stamp_ns: int, now_ns: int, now_s: float) -> None:
        """Take the stamp of an image message, valid or not."""
        self._last_message_s = now_s
        self.stamps.take(stamp_ns, now_ns)

    def source_fault(self) -> str:
        """Why the input must not be used to fly; empty if it may."""
        return "; ".join(filter(None, (*self.several, *self.wrong_types, self.camera.fault)))

    def fault(self, now_s: float) -> str:
        """Why the output must not be used to fly: faults of the source and of the work; empty if it may."""
        return "; ".join(filter(None, (self.source_fault(), self.work.fault(now_s))))

    def state(self, now_s: float) -> tuple[str, str]:
        """Key and value of segmentation/state."""
        if fault := self.fault(now_s):
            return "fault", fault
        return ("choosing", self.asks) if self.asks else ("ok", "")

    def level_and_summary(self, now_s: float, parameters: SegmenterParameters, topic: str) -> tuple[bytes, str]:
        """The level of the diagnostics and its reason. Wrong stamps are reported once, in the next summary."""
        stamps = self.stamps.report()
        silence_s = now_s - self._last_message_s
        if silence_s > parameters.stale_after_s and not self.source_fault():
            return STALE, f"no frames on {topic} for {silence_s:.1f} s"
        if fault := self.fault(now_s):
            return ERROR, fault
        camera = "" if self.camera.camera else "no camera_info: hero/position is not published"
        unchanged_s = self.pictures.unchanged_s
        still = f"the picture has not changed for {unchanged_s:.1f} s although new stamps come"
        warnings = (
            camera,
            self.camera.lens,
            still if unchanged_s > parameters.frozen_s else "",
            stamps,
            self.stamps.too_slow,
            self.asks,
        )
        warning = "; ".join(filter(None, warnings))
        return (WARN, warning) if warning else (OK, "segmenting")

    def values(self) -> dict[str, int | float]:
        """The counts of the watches."""
        return {
            "failures": self.work.failures,
            "bad_messages": self.work.bad_messages,
            "unchanged_s": self.pictures.unchanged_s,
            **self.stamps.counts,
        }
