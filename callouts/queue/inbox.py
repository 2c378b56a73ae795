"""What a worker has taken and not sent yet, handed out so that no destination keeps the others waiting."""

import threading
from collections import Counter, deque
from collections.abc import Iterable

from callouts.queue.models import QueuedCallout

__all__ = ["Inbox"]


class Inbox:
    """Callouts between the thread that takes them and those that send them.

    `at_most_each`: how many to one named credential are sent at a time. A slow system then leaves threads to others.
    """

    def __init__(self, *, at_most_each: int) -> None:
        self._at_most_each = at_most_each
        self._waiting: dict[str, deque[QueuedCallout]] = {}
        self._sending: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, rows: Iterable[QueuedCallout]) -> None:
        """Add what was taken."""
        with self._changed:
            for row in rows:
                self._waiting.setdefault(row.named_credential, deque()).append(row)
                self._changed.notify()

    def get(self) -> QueuedCallout | None:
        """Wait for the next one to send; `None` when there is none and there will be none."""
        with self._changed:
            while (name := self._next()) is None:
                if self._is_closed:
                    return None
                self._changed.wait()
            row = self._waiting[name].popleft()
            if not self._waiting[name]:
                del self._waiting[name]
            self._sending[name] += 1
            return row

    def done(self, row: QueuedCallout) -> int:
        """Say that one was sent; return how many there still are, those that are being sent among them."""
        with self._changed:
            self._sending[row.named_credential] -= 1
            if not self._sending[row.named_credential]:
                del self._sending[row.named_credential]
            # One that had to wait for its destination may go.
            self._changed.notify()
            return self._total()

    def busy(self) -> Counter[str]:
        """Return how many there are of each named credential, those that are being sent among them."""
        with self._changed:
            return self._sending + Counter({name: len(rows) for name, rows in self._waiting.items()})

    def close(self) -> list[QueuedCallout]:
        """Hand out nothing more; return what was not begun."""
        with self._changed:
            self._is_closed = True
            left = [row for rows in self._waiting.values() for row in rows]
            self._waiting.clear()
            self._changed.notify_all()
            return left

    def _next(self) -> str | None:
        free = [name for name in self._waiting if self._sending[name] < self._at_most_each]
        return min(free, key=lambda name: self._sending[name], default=None)

    def _total(self) -> int:
        return sum(self._sending.values()) + sum(map(len, self._waiting.values()))
