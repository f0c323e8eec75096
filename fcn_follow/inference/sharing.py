"""One engine for several cameras: their frames take turns in the order of their arrival, or are one batch on a GPU."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from fcn_follow.inference.choice import Choice, EngineRequest
from fcn_follow.inference.engine import Answer, Engine, Output, open_engine
from fcn_follow.inference.exported import Model, choose_for
from fcn_follow.inference.machine import weights_digest
from fcn_follow.networks.weights import LoadedWeights


@dataclass
class _Request:
    """A frame uint8 1 x H x W x 3 that waits for its answer."""

    images: NDArray[np.uint8]
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    error: Exception | None = None


class SharedEngine:
    """An engine whose `run` many threads may call, each with one frame; no thread is served twice while another waits.

    Args:
        engine: for `batch` frames at once, which a thread of this object runs.
        batch: frames of a run, padded if fewer wait; 1 on a CPU, where a batch is not faster.
    """

    def __init__(self, engine: Engine, batch: int) -> None:
        self.spec, self.device_name = engine.spec, engine.device_name
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(self._requests, engine, batch), name="engine", daemon=True).start()

    def __del__(self) -> None:
        self._requests.put(None)  # the thread, which alone holds the engine, ends

    def run(self, images: NDArray[np.uint8]) -> Answer:
        request = _Request(images)
        self._requests.put(request)
        request.done.wait()
        if request.error is not None:
            raise request.error
        assert request.answer is not None
        return request.answer


def _serve(requests: queue.SimpleQueue[_Request | None], engine: Engine, batch: int) -> None:
    while (first := requests.get()) is not None:
        group = [first]
        while len(group) < batch and not requests.empty():
            if (request := requests.get()) is not None:
                group.append(request)
        frames = [request.images for request in group]
        try:
            answer = engine.run(np.concatenate([*frames, *[frames[0]] * (batch - len(group))]))
            for place, request in enumerate(group):
                depth = None if answer.depth is None else answer.depth[place : place + 1].copy()
                request.answer = Answer(answer.classes[place : place + 1].copy(), depth)
        except Exception as error:  # each caller reports it
            for request in group:
                request.error = error
        for request in group:
            request.done.set()


class EngineShare:
    """Chooses one engine for all users with the same weights and request, and frees it when no user is left."""

    def __init__(self, users: int) -> None:
        self._users = users
        self._engines: WeakValueDictionary[str, SharedEngine] = WeakValueDictionary()
        self._reasons: dict[str, str] = {}

    def choose(self, model: Model, request: EngineRequest, log: Callable[[str], None], output: Output) -> Choice:
        """Like `choose_for`."""
        name = weights_digest(model) if isinstance(model, LoadedWeights) else str(model.path)
        key = f"{name} {request} {output}"
        shared = self._engines.get(key)
        if shared is None:
            choice = choose_for(model, request, log, output)
            engine, batch = choice.engine, 1
            if isinstance(model, LoadedWeights) and engine.spec.device == "cuda":
                batch = self._users
                engine = open_engine(engine.spec, model, output, batch)
            shared = self._engines[key] = SharedEngine(engine, batch)
            self._reasons[key] = choice.reason
        return Choice(shared, f"{self._reasons[key]}; shared by up to {self._users} segmenters")
