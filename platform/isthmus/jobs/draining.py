"""Runs ready jobs one after the other until none is left: what a worker's process does when it is woken.

Very short jobs are taken many at a time, so that a statement serves many of them; each one is still started and ended
by a statement of its own, so a crash repeats no job but the one in which it happened. A job that is not short is run
alone: what was taken behind it is given back to other workers within a moment.
"""

import threading
from collections import deque
from collections.abc import Callable

from django.db import DatabaseError

from isthmus import clock
from isthmus.jobs import bells, execution, process_locks, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.models import Job
from isthmus.jobs.reporting import ThreadReporter

__all__ = ["drain"]

_LONGEST_DRAIN_SECONDS = 600
_SHORT_SECONDS = 0.005
"""Jobs that take longer are taken one by one."""


def drain(*, is_stopping: Callable[[], bool], on_overrun: Callable[[], None] | None = None) -> int:
    """Run ready jobs until none is left or `is_stopping`; return how many.

    Raises `DatabaseError` when the database is away: what was taken and not begun comes back with the leases' end.
    """
    taken = _Taken()
    until = clock.monotonic_seconds() + _LONGEST_DRAIN_SECONDS
    ran, at_once = 0, 1
    with ThreadReporter(on_overrun=on_overrun, on_long=taken.give_back) as reporter:
        try:
            while not is_stopping() and clock.monotonic_seconds() < until:
                began = clock.monotonic_seconds()
                if not (count := taken.add(_take(at_once))):
                    break
                job = taken.next()
                while job and not is_stopping():
                    job = execution.run_taken(job, reporter, following=taken.next) or taken.next()
                    ran += 1
                seconds_each = (clock.monotonic_seconds() - began) / count
                at_once = min(at_once * 2, options.taken_at_once) if seconds_each < _SHORT_SECONDS else 1
        finally:
            execution.patiently(taken.give_back)
    return ran


def _take(limit: int) -> list[Job]:
    return transitions.take(limit, holder=process_locks.holder_name(), lease=execution.lease_of_taken())


class _Taken:
    """Jobs that were taken and wait for their turn in this process; given back from another thread."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._lock = threading.Lock()

    def add(self, jobs: list[Job]) -> int:
        with self._lock:
            self._jobs.extend(jobs)
        return len(jobs)

    def next(self) -> Job | None:
        with self._lock:
            return self._jobs.popleft() if self._jobs else None

    def give_back(self) -> None:
        """Let other workers have them. Raises `DatabaseError`, and then keeps them: it can be asked for again."""
        with self._lock:
            jobs, self._jobs = list(self._jobs), deque()
        try:
            if jobs and transitions.untake(jobs):
                bells.current().ring()
        except DatabaseError:
            with self._lock:
                self._jobs.extendleft(reversed(jobs))
            raise
