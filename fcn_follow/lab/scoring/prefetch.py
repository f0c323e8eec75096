"""Iterators that work in other threads: one that reads ahead, and one that maps several items at the same time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def prefetch(items: Iterable[T], count: int) -> Generator[T, None, None]:
    """The items in order, made in another thread, at most `count` of them before they are asked for.

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

    thread = threading.Thread(target=make, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        closed.set()
        thread.join()


def map_in_order(work: Callable[[S], T], items: Iterable[S], workers: int) -> Generator[T, None, None]:
    """work(item) of each item in order, by `workers` threads; at most 2 x workers results wait.

    An exception of the work is raised here in its turn. Work that has begun ends before this generator is closed.
    """
    in_hand: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, "map_in_order") as pool:
        try:
            for item in items:
                in_hand.append(pool.submit(work, item))
                if len(in_hand) == 2 * workers:
                    yield in_hand.popleft().result()
            while in_hand:
                yield in_hand.popleft().result()
        finally:
            for future in in_hand:
                future.cancel()
