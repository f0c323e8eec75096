"""What is wrong with what comes to the segmenter and with its work, put together for state and diagnostics."""

from __future__ import annotations

import time

from fcn_follow.nodes.support.camera_watch import CameraWatch
from fcn_follow.nodes.support.image_watch import PictureWatch, StampWatch
from fcn_follow.nodes.support.segmenter_parameters import SegmenterParameters
from fcn_follow.nodes.support.status import ERROR, OK, STALE, WARN
from fcn_follow.nodes.support.work_watch import WorkWatch


class SegmenterHealth:
    """The watches of camera, pictures, stamps and work, and what the graph shows.

    `several` and `wrong_types` are sentences on topics with two publishers, or with messages of another type.
    """

    def __init__(self) -> None:
        self.camera = CameraWatch()
        self.pictures = PictureWatch()
        self.stamps = StampWatch()
        self.work = WorkWatch()
        self.several: list[str] = []
        self.wrong_types: list[str] = []
        self._last_message_s = time.monotonic()

    def message(self, stamp_ns: int, now_ns: int, now_s: float) -> None:
        """An image has come, whatever it holds."""
        self._last_message_s = now_s
        self.stamps.take(stamp_ns, now_ns)

    def source_fault(self) -> str:
        """Why nothing that comes in is to be flown by; empty for no such reason."""
        return "; ".join(filter(None, (*self.several, *self.wrong_types, self.camera.fault)))

    def fault(self, now_s: float) -> str:
        """Why what is published is not to be flown by, of the source and of the work; empty for no such reason."""
        return "; ".join(filter(None, (self.source_fault(), self.work.fault(now_s))))

    def level_and_summary(self, now_s: float, parameters: SegmenterParameters, topic: str) -> tuple[bytes, str]:
        """The level of the diagnostics and its reason. Stamps that were wrong are named once, in the next summary."""
        stamps = self.stamps.report()
        silence_s = now_s - self._last_message_s
        if silence_s > parameters.stale_after_s and not self.source_fault():
            return STALE, f"no frames on {topic} for {silence_s:.1f} s"
        if fault := self.fault(now_s):
            return ERROR, fault
        camera = "" if self.camera.camera else "no camera_info: hero/position is not published"
        unchanged_s = self.pictures.unchanged_s
        still = f"the picture has not changed for {unchanged_s:.1f} s although new stamps come"
        warnings = (camera, still if unchanged_s > parameters.frozen_s else "", stamps)
        warning = "; ".join(filter(None, warnings))
        return (WARN, warning) if warning else (OK, "segmenting")

    def values(self) -> dict[str, int | float]:
        """What the watches have counted."""
        return {
            "failures": self.work.failures,
            "bad_messages": self.work.bad_messages,
            "unchanged_s": self.pictures.unchanged_s,
            **self.stamps.counts,
        }
