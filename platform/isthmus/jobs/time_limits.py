"""Ends what takes too long."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from isthmus import clock
from isthmus.jobs.errors import TimeLimitExceeded

__all__ = ["time_limit"]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitExceeded` in the block when it takes longer. Off the main thread only checkpoints can."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeLimitExceeded

    began = clock.monotonic_seconds()
    before = signal.signal(signal.SIGALRM, ring)
    # Somebody above may have an alarm of its own: it goes on afterwards.
    others_seconds, _ = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if others_seconds:
            left = others_seconds - (clock.monotonic_seconds() - began)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
