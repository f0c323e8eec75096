"""Run one node as a process: signals call the node's `stop()` before the shutdown; an error is one line.

rclpy's own signal handler invalidates the context, so a last zero command could not be published. Here `stop()`
runs while the context is still valid. rclpy is imported late, so that Ctrl-C works during the slow imports.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fcn_follow.errors import UserError

DELIVERY_TIME_S = 0.2  # for the last messages of stop() to leave this process


class Finished(Exception):  # noqa: N818 (it is no error)
    """Raised in a node's callback when its work is done; the process then ends with exit code 0."""


def make_executor() -> Any:
    """The events executor of rclpy or, if it is missing (Humble), the single-threaded one.

    The former takes a millisecond less for each message. Both run one callback after the other.
    """
    from rclpy.executors import SingleThreadedExecutor

    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def run_node(make_node: Callable[[], Any], *, by_events: bool = False) -> int:
    """Make the node, spin it until SIGINT, SIGTERM or `Finished`, call its `stop()`, shut down; the exit code.

    A second signal is ignored: a terminal and a launch file both send SIGINT. A UserError becomes one line on
    standard error and exit code 1; any other exception of a callback stops the node the same way, with its traceback.

    Args:
        make_node: makes the rclpy node, or several as `nodes` of an object; its method `stop()` publishes the last
            messages (zero commands) and ends its threads.
        by_events: use the executor of `make_executor`; it logs every exception of a callback, even `Finished`.
    """
    stopping = False

    def on_signal(_signal_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)

    import rclpy
    from rclpy.exceptions import NameValidationException
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.impl.implementation_singleton import rclpy_implementation
    from rclpy.signals import SignalHandlerOptions

    node = None
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        if not stopping:
            node = make_node()
            executor = make_executor() if by_events else SingleThreadedExecutor()
            for each in getattr(node, "nodes", (node,)):
                executor.add_node(each)
            while not stopping:
                executor.spin_once(timeout_sec=0.1)
    except (Finished, ExternalShutdownException):
        pass
    except UserError as error:
        return _report(str(error))
    except (rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError) as error:
        return _report(str(error).split(", at ")[0].replace("\n", " "))
    except NameValidationException as error:
        return _report(" ".join(str(error).rstrip("^ \n").split()))
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        if node is not None:
            node.stop()
            time.sleep(DELIVERY_TIME_S)
            node.destroy_node()
        rclpy.try_shutdown()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return 0


@contextmanager
def rclpy_running() -> Iterator[None]:
    """Start and stop rclpy around a block, for a process that handles signals itself."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


def _report(message: str) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 1
