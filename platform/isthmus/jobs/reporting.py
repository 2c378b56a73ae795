"""Keeps a running job's lease alive and writes what it says about itself, beside its own transaction."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Protocol

from django.db import DatabaseError, connections

from isthmus import clock
from isthmus.jobs import process_locks, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.errors import JobAborted, LeaseLost
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.models import Job, JobLogLine
from isthmus.jobs.states import RUNNING, JobState
from isthmus.logs import get_logger

__all__ = ["DirectReporter", "Reporter", "ThreadReporter"]

log = get_logger(__name__)

_LOOK_SECONDS = 0.5


class Reporter(Protocol):
    """Watches over one attempt."""

    def begin(self, handle: JobHandle) -> None:
        """The function is about to be entered."""

    def end(self) -> None:
        """The attempt has ended and its transaction too: write what is left."""


class DirectReporter:
    """Writes on the job's own connection, at the end: for runs inside one process's transaction, as in tests."""

    def begin(self, handle: JobHandle) -> None:
        self._handle = handle
        handle.look = partial(_look_at, handle)

    def end(self) -> None:
        _write_lines(self._handle)


class ThreadReporter:
    """A thread with its own connection. `on_overrun` is called once when the job ignores its time limit."""

    def __init__(self, *, on_overrun: Callable[[], None] | None = None) -> None:
        self._on_overrun = on_overrun
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, handle: JobHandle) -> None:
        self._handle = handle
        self._next_beat = clock.monotonic_seconds() + options.heartbeat_seconds
        self._thread = threading.Thread(target=self._watch, name=f"job-{handle.id}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
        _write_lines(self._handle)

    def _watch(self) -> None:
        try:
            while not self._ended.wait(min(_LOOK_SECONDS, options.heartbeat_seconds)):
                if self._handle.seconds_left < -options.overrun_seconds:
                    self._give_up()
                    return
                self._look()
        finally:
            connections.close_all()

    def _look(self) -> None:
        try:
            if clock.monotonic_seconds() >= self._next_beat:
                self._beat()
                self._next_beat = clock.monotonic_seconds() + options.heartbeat_seconds
            _write_lines(self._handle)
        except DatabaseError as error:
            # The database is away or, on SQLite, another transaction writes: the next look tries again.
            log.info("job.heartbeat_missed", job_id=str(self._handle.id), error=type(error).__name__)
            connections.close_all()

    def _beat(self) -> None:
        handle = self._handle
        # Read first: on SQLite a read never waits, so an abort is noticed even while somebody writes.
        if _is_ours(handle):
            lease = None if process_locks.waits_for_writers() else timedelta(seconds=options.lease_seconds)
            transitions.beat(handle.id, handle.fencing_token, lease=lease, progress=handle.current_progress())

    def _give_up(self) -> None:
        """Stop renewing: the lease runs out and another worker takes the job."""
        log.error("job.ignores_its_time_limit", job_id=str(self._handle.id))
        self._handle.stop(LeaseLost)
        if self._on_overrun:
            self._on_overrun()


def _look_at(handle: JobHandle) -> None:
    _is_ours(handle)


def _is_ours(handle: JobHandle) -> bool:
    """Return whether the lease still holds; if not, let the function's next checkpoint end it."""
    state, token = Job.objects.values_list("state", "fencing_token").get(pk=handle.id)
    if token == handle.fencing_token and state in RUNNING:
        return True
    handle.stop(JobAborted if state == JobState.ABORTED else LeaseLost)
    return False


def _write_lines(handle: JobHandle) -> None:
    lines = handle.take_lines()
    if not lines:
        return
    try:
        JobLogLine.objects.bulk_create(lines)
    except DatabaseError:
        handle.put_back_lines(lines)
        raise
