"""How fast something gets on, over its last minutes: what an estimate of the time left stands on."""

from collections import deque

from isthmus import clock

__all__ = ["Speed"]

_SPAN_SECONDS = 120.0
_MOST_SAMPLES = 60


class Speed:
    """Told how much is done, says how much that is in a second."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def after(self, done: int) -> float | None:
        """Note that so much is done by now; return the rate, `None` while there is none."""
        now = clock.monotonic_seconds()
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._note(now, done)
        while len(self._samples) > 2 and self._samples[1][0] <= now - _SPAN_SECONDS:
            self._samples.popleft()
        began, before = self._samples[0]
        return (done - before) / (now - began) if now > began and done > before else None

    def _note(self, now: float, done: int) -> None:
        # A job may tell a thousand times a second: only the last sample of each step is kept.
        if len(self._samples) > 1 and now - self._samples[-2][0] < _SPAN_SECONDS / _MOST_SAMPLES:
            self._samples.pop()
        self._samples.append((now, done))
