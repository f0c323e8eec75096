"""Iterators that work in other threads: one that reads ahead, and one that maps several items at the same time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")


def prefetch(items: Iterable[T], count: int) -> Generator[T, None, None]:
    """The items in order, made in another thread, at most `count` of them in advance.

    An exception of the thread is raised here. The thread ends with the items, or when this generator is closed.
    """
    source, end = iter(items), object()
    with closing(map_in_order(lambda _: next(source, end), itertools.count(), 1, count + 1)) as made:
        for item in made:
            if item is end:
                return
            yield cast("T", item)


def map_in_order(
    work: Callable[[S], T], items: Iterable[S], workers: int, in_advance: int | None = None
) -> Generator[T, None, None]:
    """work(item) of each item in order, by `workers` threads, at most in_advance items (2 x workers) at a time.

    An exception of the work is raised here, in the order of the items. Work that has begun ends before this
    generator is closed.
    """
    in_hand: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, "map_in_order") as pool:
        try:
            for item in items:
                in_hand.append(pool.submit(work, item))
                if len(in_hand) == (in_advance or 2 * workers):
                    yield in_hand.popleft().result()
            while in_hand:
                yield in_hand.popleft().result()
        finally:
            for future in in_hand:
                future.cancel()
