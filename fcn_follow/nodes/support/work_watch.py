"""Whether frames can be decoded, and whether the network responds."""

from __future__ import annotations

import math

UNDECODED_S = 1.0
HANGS_S = 2.0
MAX_REASON = 200  # characters


class WorkWatch:
    """Counts failures of frames; `fault` is the current one in words. Time is an argument.

    One thread may report its work while another asks for the fault.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.bad_messages = 0
        self._started_s = math.inf
        self._decoded_s = -math.inf
        self._undecoded = ""
        self._failure = ""

    def started(self, now_s: float) -> None:
        """The work on a frame has begun."""
        self._started_s = now_s

    def done(self, now_s: float) -> None:
        """The frame has been segmented."""
        self._failure = ""
        self._decoded(now_s)

    def failed(self, now_s: float, error: Exception) -> None:
        """The network, or a step after it, has raised an exception."""
        self.failures += 1
        self._failure = f"a frame could not be segmented: {type(error).__name__}: {error}".splitlines()[0][:MAX_REASON]
        self._decoded(now_s)

    def undecodable(self, error: Exception) -> None:
        """The message could not be decoded."""
        self.bad_messages += 1
        self._undecoded = f"frames cannot be decoded: {error}"
        self._started_s = math.inf

    def fault(self, now_s: float) -> str:
        """The present fault; empty if there is none."""
        if now_s - self._started_s > HANGS_S:
            return f"the network hangs: it has worked on one frame for more than {HANGS_S:g} s"
        if self._undecoded and now_s - self._decoded_s > UNDECODED_S:
            return self._undecoded
        return self._failure

    def _decoded(self, now_s: float) -> None:
        self._started_s, self._decoded_s, self._undecoded = math.inf, now_s, ""
