"""What the nodes report of themselves."""

import sys
import threading
import time

from fcn_follow.nodes.support.status import RollingFigures


def test_rolling_figures_are_asked_for_while_another_thread_adds_values():
    figures, ended, failures = RollingFigures(window_s=0.001), threading.Event(), []

    def ask():
        while not ended.is_set():
            try:
                figures.percentile(99)
                figures.rate_hz(time.monotonic())
            except RuntimeError as error:
                failures.append(error)

    asker = threading.Thread(target=ask)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    asker.start()
    for _ in range(20_000):
        figures.add(time.monotonic(), 1.0)
    ended.set()
    asker.join()
    sys.setswitchinterval(interval_s)
    assert not failures
