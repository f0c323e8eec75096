"""Signs of a faulty camera: pictures that do not change, and stamps that are not current."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from typing import Any

from fcn_follow.following.monitors import MIN_CAMERA_HZ

FUTURE_S = 0.1
OLD_S = 1.0
RATE_IMAGES = 6


class PictureWatch:
    """How long the picture has been the same, byte for byte, under new stamps. Time is an argument.

    This alone is no fault: a simulated camera without noise in front of a still scene does the same. The follower,
    which knows whether the drone should move, decides whether to stop.
    """

    def __init__(self) -> None:
        self.unchanged_s = 0.0
        self._digest: int | None = None
        self._since = (0, 0.0)

    def take(self, data: Any, stamp_ns: int, now_s: float) -> None:
        """Take the bytes of a message; the checksum of 1280x720 rgb8 takes 0.4 ms, that of 640x480 0.13 ms."""
        digest = zlib.crc32(data)
        if digest != self._digest:
            self._digest, self._since, self.unchanged_s = digest, (stamp_ns, now_s), 0.0
        elif stamp_ns != self._since[0]:
            self.unchanged_s = now_s - self._since[1]


class StampWatch:
    """Counts images whose stamp is zero, in the future, old or before the previous one; their rate by the stamps."""

    def __init__(self) -> None:
        self.counts = Counter({"stamps_zero": 0, "stamps_future": 0, "stamps_old": 0, "stamps_backwards": 0})
        self._newest: dict[str, str] = {}
        self._last_ns = 0
        self._newest_ns: deque[int] = deque(maxlen=RATE_IMAGES)

    def take(self, stamp_ns: int, now_ns: int) -> None:
        """Take the stamp of an image that arrives now."""
        age_s = (now_ns - stamp_ns) * 1e-9
        if stamp_ns == 0:
            self._note("stamps_zero", "images come without a stamp (zero)")
        elif age_s < -FUTURE_S:
            self._note("stamps_future", f"images come {-age_s:.1f} s before their stamp")
        elif age_s > OLD_S:
            self._note("stamps_old", f"images come {age_s:.1f} s old")
        if stamp_ns < self._last_ns:
            self._note("stamps_backwards", f"images go back by {(self._last_ns - stamp_ns) * 1e-9:.1f} s")
        self._last_ns = stamp_ns
        self._newest_ns.append(stamp_ns)

    @property
    def too_slow(self) -> str:
        """The reason if the camera's rate is too low for following; empty if it is not, or not known."""
        span_ns = self._newest_ns[-1] - self._newest_ns[0] if len(self._newest_ns) == RATE_IMAGES else 0
        rate_hz = (RATE_IMAGES - 1) * 1e9 / span_ns if span_ns > 0 else MIN_CAMERA_HZ
        return (
            f"images come at {rate_hz:.1f} Hz; at least {MIN_CAMERA_HZ:g} Hz are needed"
            if rate_hz < MIN_CAMERA_HZ
            else ""
        )

    def report(self) -> str:
        """What was wrong with stamps since the last report; empty if nothing was."""
        newest, self._newest = self._newest, {}
        return "stamps: " + "; ".join(newest.values()) if newest else ""

    def _note(self, kind: str, sentence: str) -> None:
        self.counts[kind] += 1
        self._newest[kind] = sentence
