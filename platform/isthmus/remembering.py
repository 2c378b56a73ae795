"""What a process remembers for a moment, so that it need not ask the database about the same thing for every request.

>>> from datetime import UTC, datetime
>>> from isthmus import clock
>>> asked = []
>>> memory = Remembered(lambda: 1.0)
>>> with clock.use(clock.MovableClock(datetime(2026, 1, 1, tzinfo=UTC))):
...     memory.get("a", lambda: asked.append("a") or 1), memory.get("a", lambda: asked.append("a") or 2), asked
(1, 1, ['a'])
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from isthmus import clock

__all__ = ["Remembered"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Answers by key that are good for some seconds. Threads share it; two may ask at once, which does no harm."""

    def __init__(self, seconds: Callable[[], float], *, most: int = 10_000) -> None:
        """`seconds` is asked each time: 0 remembers nothing. With more than `most` keys everything is forgotten."""
        self._seconds = seconds
        self._most = most
        self._kept: dict[Key, tuple[float, Value]] = {}
        self._generation = 0

    def get(self, key: Key, ask: Callable[[], Value]) -> Value:
        """Return what is remembered under `key`, or what `ask` returns now. What it raises is not remembered."""
        seconds = self._seconds()
        if seconds <= 0:
            return ask()
        now = clock.monotonic_seconds()
        kept = self._kept.get(key)
        if kept is not None and 0 <= now - kept[0] < seconds:
            return kept[1]
        generation = self._generation
        value = ask()
        # What was asked before somebody said `forget` may be old already.
        if generation == self._generation:
            if len(self._kept) >= self._most:
                self._kept = {}
            self._kept[key] = (now, value)
        return value

    def forget(self) -> None:
        """Ask about everything anew."""
        self._generation += 1
        self._kept = {}
