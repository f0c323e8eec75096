"""Do the reading while the network computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], count: int) -> Generator[T, None, None]:
    """The items in their order, made in a thread of their own, at most `count` of them before they are asked for.

    An exception of the thread is raised here. The thread ends with the items, or when this generator is closed.
    """
    made: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(count)
    closed = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> None:
        while not closed.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            for item in items:
                put((item,))
                if closed.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        closed.set()
        thread.join()
