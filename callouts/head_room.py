"""How many callouts, and how much time for them, a transaction has left.

A transaction here is one web request or one run of a job. Code outside of both (a command, a shell) is not counted;
its callouts keep their own time limits.

>>> from callouts import limits
>>> with limits.transaction_context():
...     limits().callouts_left
100
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from callouts.conf import options
from callouts.errors import LimitExceeded
from isthmus import clock

__all__ = ["HeadRoom", "Limits"]


@dataclass(frozen=True, kw_only=True)
class HeadRoom:
    """What is used and what is left, at the moment of asking."""

    callouts_used: int
    callouts_limit: int
    seconds_used: float
    seconds_limit: float
    is_counted: bool
    """Whether a transaction context is open; without one nothing is counted."""

    @property
    def callouts_left(self) -> int:
        """How many callouts may still be made."""
        return max(0, self.callouts_limit - self.callouts_used)

    @property
    def seconds_left(self) -> float:
        """How long the remaining callouts may take together."""
        return max(0.0, self.seconds_limit - self.seconds_used)


class _Account:
    """What one transaction has used. Threads that share a transaction share its account."""

    def __init__(self, *, in_background: bool) -> None:
        self.in_background = in_background
        self._lock = threading.Lock()
        self._callouts = 0
        self._seconds = 0.0

    def head_room(self) -> HeadRoom:
        with self._lock:
            return self._head_room()

    def take_one(self) -> HeadRoom:
        """Count one more callout. Raises `LimitExceeded` when there is no room for it."""
        with self._lock:
            room = self._head_room()
            if not room.callouts_left:
                raise LimitExceeded(f"Too many callouts: {room.callouts_limit} in one transaction are allowed.")
            if not room.seconds_left:
                raise LimitExceeded(f"The callouts of this transaction have used up their {room.seconds_limit:g} s.")
            self._callouts += 1
            return room

    def add_seconds(self, seconds: float) -> None:
        with self._lock:
            self._seconds += seconds

    def _head_room(self) -> HeadRoom:
        return HeadRoom(
            callouts_used=self._callouts,
            callouts_limit=options.max_callouts,
            seconds_used=self._seconds,
            seconds_limit=options.max_cumulative_seconds,
            is_counted=True,
        )


_account: ContextVar[_Account | None] = ContextVar("isthmus_callout_account", default=None)


class Limits:
    """`callouts.limits`: call it to read the head-room; open a context to be counted."""

    def __call__(self) -> HeadRoom:
        """Return the head-room of the open transaction context, or the whole limits when none is open."""
        account = _account.get()
        if account is not None:
            return account.head_room()
        return HeadRoom(
            callouts_used=0,
            callouts_limit=options.max_callouts,
            seconds_used=0.0,
            seconds_limit=options.max_cumulative_seconds,
            is_counted=False,
        )

    @contextmanager
    def transaction_context(self, *, in_background: bool = False) -> Iterator[None]:
        """Count the callouts of the block on an account of its own.

        `in_background`: nobody waits for an answer, so the larger limits on sizes hold.
        """
        token = _account.set(_Account(in_background=in_background))
        try:
            yield
        finally:
            _account.reset(token)

    def is_in_background(self) -> bool:
        """Return whether the open transaction context is one for which nobody waits."""
        account = _account.get()
        return account is not None and account.in_background

    @contextmanager
    def spend(self) -> Iterator[float]:
        """Count one callout and the time it takes; give the seconds that it may take at most.

        Raises `LimitExceeded` when the transaction has no room for another callout.
        """
        account = _account.get()
        if account is None:
            yield options.max_timeout_seconds
            return
        room = account.take_one()
        began = clock.monotonic_seconds()
        try:
            yield room.seconds_left
        finally:
            account.add_seconds(clock.monotonic_seconds() - began)
