"""The one source of time. Tests give another clock instead of sleeping or patching.

>>> from datetime import UTC, datetime, timedelta
>>> fixed = MovableClock(datetime(2026, 1, 1, tzinfo=UTC))
>>> with use(fixed):
...     fixed.move(timedelta(hours=24))
...     now().isoformat()
'2026-01-02T00:00:00+00:00'
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "MovableClock", "SystemClock", "monotonic_seconds", "now", "use"]


class Clock(Protocol):
    """What the platform asks about time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic_seconds(self) -> float:
        """Return seconds since some fixed moment; never goes back, good for measuring durations only."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place that asks the machine

    def monotonic_seconds(self) -> float:
        return time.monotonic()


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("A clock starts at an aware time.")
        self._now = start.astimezone(UTC)
        self._monotonic_seconds = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic_seconds(self) -> float:
        return self._monotonic_seconds

    def move(self, by: timedelta) -> None:
        """Let `by` pass. Raises `ValueError` if that would go back in time."""
        if by < timedelta(0):
            raise ValueError("Time does not go back.")
        self._now += by
        self._monotonic_seconds += by.total_seconds()


_clock: Clock = SystemClock()


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return _clock.now()


def monotonic_seconds() -> float:
    """Return a reading for measuring durations, in seconds."""
    return _clock.monotonic_seconds()


@contextmanager
def use(clock: Clock) -> Iterator[Clock]:
    """Let `clock` give the time to the whole process while the block runs (threads included)."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before
