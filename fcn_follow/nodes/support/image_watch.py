"""What no living camera sends: pictures that do not change, and stamps that are not of now."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

FUTURE_S = 0.1
OLD_S = 1.0


class PictureWatch:
    """For how long the picture has been the same, to the byte, although new stamps came. Time is an argument.

    A synthetic camera without noise before which nothing moves is a legitimate one. Only the follower knows whether
    the drone is meant to move, so it is the follower that stops; here the picture is only watched.
    """

    def __init__(self) -> None:
        self.unchanged_s = 0.0
        self._digest: int | None = None
        self._since = (0, 0.0)

    def take(self, data: Any, stamp_ns: int, now_s: float) -> None:
        """Take in the bytes of a message; the digest of 1280x720 rgb8 takes 0.4 ms, that of 640x480 0.13 ms."""
        digest = zlib.crc32(data)
        if digest != self._digest:
            self._digest, self._since, self.unchanged_s = digest, (stamp_ns, now_s), 0.0
        elif stamp_ns != self._since[0]:
            self.unchanged_s = now_s - self._since[1]


class StampWatch:
    """Counts images whose stamp is zero, in the future, old or before the one that came last."""

    def __init__(self) -> None:
        self.counts = Counter({"stamps_zero": 0, "stamps_future": 0, "stamps_old": 0, "stamps_backwards": 0})
        self._newest: dict[str, str] = {}
        self._last_ns = 0

    def take(self, stamp_ns: int, now_ns: int) -> None:
        """Take in the stamp of an image that comes now."""
        age_s = (now_ns - stamp_ns) * 1e-9
        if stamp_ns == 0:
            self._note("stamps_zero", "images come without one (zero)")
        elif age_s < -FUTURE_S:
            self._note("stamps_future", f"images come {-age_s:.1f} s before theirs")
        elif age_s > OLD_S:
            self._note("stamps_old", f"images come {age_s:.1f} s old")
        if stamp_ns < self._last_ns:
            self._note("stamps_backwards", f"images go back by {(self._last_ns - stamp_ns) * 1e-9:.1f} s")
        self._last_ns = stamp_ns

    def report(self) -> str:
        """What was wrong with stamps since the last report; empty for nothing."""
        newest, self._newest = self._newest, {}
        return "stamps: " + "; ".join(newest.values()) if newest else ""

    def _note(self, kind: str, sentence: str) -> None:
        self.counts[kind] += 1
        self._newest[kind] = sentence
