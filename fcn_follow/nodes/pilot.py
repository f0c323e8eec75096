"""Keys that change the follower's set points in flight, for the runner's terminal."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from std_srvs.srv import SetBool

from fcn_follow.nodes.support.last_call import LastCall

POINTS = [f"set_points.{name}" for name in ("distance_m", "height_m", "bearing", "orbit_rad_s")]
DISTANCE, HEIGHT, BEARING, ORBIT = POINTS
MAX_WAITING = 20  # keys
MAX_ANSWER_S = 1.0  # a follower that has died does not answer
STEPS: dict[str, tuple[str, float]] = {
    "+": (DISTANCE, 0.5),
    "-": (DISTANCE, -0.5),
    "u": (HEIGHT, 0.25),
    "d": (HEIGHT, -0.25),
    "o": (ORBIT, 0.1),
    "p": (ORBIT, -0.1),
}
VALUES: dict[str, tuple[str, object]] = {
    "k": (BEARING, "keep"),
    "b": (BEARING, "behind"),
    "f": (BEARING, "front"),
    "l": (BEARING, "left"),
    "r": (BEARING, "right"),
    "0": (ORBIT, 0.0),
}
GO, HOLD = "g", " "
NO_ANSWER = "the follower does not answer"


class Pilot:
    """`press` takes a key at once; `words` shows the result. The node's executor must spin."""

    HELP = "+ - distance; u d height; k b f l r side: keep, behind, front, left, right; o p 0 orbit; g go; space hold"

    def __init__(self, node: Node) -> None:
        self._words = ""
        self._unanswered_since_s = math.inf
        self._get = LastCall(node.create_client(GetParameters, "follower/get_parameters"))
        self._set = LastCall(node.create_client(SetParametersAtomically, "follower/set_parameters_atomically"))
        self._enable = LastCall(node.create_client(SetBool, "follower/enable"))
        self._points: dict[str, Any] = {}
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._asked_s = -math.inf

    @property
    def words(self) -> str:
        """The last answer of the follower, or the pending request, or that the follower does not answer."""
        return NO_ANSWER if time.monotonic() - self._unanswered_since_s > MAX_ANSWER_S else self._words

    def press(self, key: str) -> None:
        """Request the change that the key stands for; other keys are ignored."""
        if key in (GO, HOLD):
            self._words = "asked to go" if key == GO else "asked to hold"
            self._call(self._enable, SetBool.Request(data=key == GO), self._on_enabled)
        elif key in STEPS or key in VALUES:
            self._waiting.append(key)
            self._ask()

    def _ask(self) -> None:
        """Send the next key's change, or first ask for the set points; one request at a time."""
        now_s = time.monotonic()
        if now_s - self._asked_s < MAX_ANSWER_S or not self._waiting:
            return
        if self._asked_s > -math.inf:  # without an answer it is unknown what has changed
            self._points = {}
        self._asked_s = now_s
        if not self._points:
            self._call(self._get, GetParameters.Request(names=POINTS), partial(self._on_points, now_s))
            return
        key, points = self._waiting.popleft(), dict(self._points)
        if key in STEPS:
            name, step = STEPS[key]
            points[name] = round(points[name] + step, 2)
        else:
            name, points[name] = VALUES[key]
        change = Parameter(name, value=points[name]).to_parameter_msg()
        request = SetParametersAtomically.Request(parameters=[change])
        self._call(self._set, request, partial(self._on_set, now_s, points))

    def _call(self, service: LastCall, request: Any, take: Callable[[Any], None]) -> None:
        def on_answer(future: Any) -> None:
            self._unanswered_since_s = math.inf
            take(future.result())

        if service.ask(request, on_answer):
            self._unanswered_since_s = min(self._unanswered_since_s, time.monotonic())
        else:
            self._words, self._points, self._asked_s = NO_ANSWER, {}, -math.inf
            self._waiting.clear()

    def _on_points(self, asked_s: float, response: Any) -> None:
        if asked_s == self._asked_s:  # else it would come too late
            self._points = dict(zip(POINTS, map(parameter_value_to_python, response.values), strict=True))
            self._asked_s = -math.inf
            self._ask()

    def _on_set(self, asked_s: float, points: dict[str, Any], response: Any) -> None:
        if asked_s != self._asked_s:
            return
        if response.result.successful:
            self._points = points
            self._words = f"{points[DISTANCE]:g} m away, {points[HEIGHT]:g} m above, {points[BEARING]}"
            self._words += f", orbit {points[ORBIT]:g} rad/s" if points[ORBIT] else ""
        else:
            self._words = f"refused: {response.result.reason}"
        self._asked_s = -math.inf
        self._ask()

    def _on_enabled(self, response: Any) -> None:
        self._words = response.message
