"""Keeps a running job's lease alive and writes what it says about itself, beside its own transaction."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Protocol, Self

from django.db import DatabaseError, connections

from isthmus import clock
from isthmus.jobs import process_locks, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.errors import JobAborted, LeaseLost
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.models import Job, JobLogLine
from isthmus.jobs.states import RUNNING, JobState
from isthmus.logs import get_logger

__all__ = ["LONG_SECONDS", "DirectReporter", "Reporter", "ThreadReporter"]

log = get_logger(__name__)

LONG_SECONDS = 0.1
"""A job that runs for longer is not one of many short ones."""
_LOOK_SECONDS = 0.5


class Reporter(Protocol):
    """Watches over one attempt after another, until its context ends."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """No attempt follows."""

    def begin(self, handle: JobHandle) -> None:
        """The function is about to be entered."""

    def end(self) -> None:
        """The attempt has ended and its transaction too: write what is left."""


class DirectReporter:
    """Writes on the job's own connection, at the end: for runs inside one process's transaction, as in tests."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def begin(self, handle: JobHandle) -> None:
        self._handle = handle
        handle.look = partial(_look_at, handle)

    def end(self) -> None:
        _write_lines(self._handle)


class ThreadReporter:
    """A thread with its own connection, for one job or for many that run one after the other.

    `on_overrun` is called once when a job ignores its time limit. `on_long` is called in the thread when a job has run
    for `LONG_SECONDS`: what was taken behind it should not wait for it. Use it as a context: the thread ends with it.
    """

    def __init__(
        self, *, on_overrun: Callable[[], None] | None = None, on_long: Callable[[], None] | None = None
    ) -> None:
        self._on_overrun = on_overrun
        self._on_long = on_long
        self._handle: JobHandle | None = None
        self._began = self._next_beat = self._next_lines = 0.0
        self._is_long = self._is_given_up = False
        # Held while the thread looks after a job: its attempt does not end meanwhile.
        self._looking = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def begin(self, handle: JobHandle) -> None:
        now = clock.monotonic_seconds()
        with self._looking:
            self._handle, self._began = handle, now
            self._is_long = self._is_given_up = False
            self._next_beat, self._next_lines = now + options.heartbeat_seconds, now + _LOOK_SECONDS
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="job-watch", daemon=True)
            self._thread.start()

    def end(self) -> None:
        with self._looking:
            ended, self._handle = self._handle, None
        if ended:
            _write_lines(ended)

    def _watch(self) -> None:
        pause_seconds = min(LONG_SECONDS, options.heartbeat_seconds)
        try:
            while not self._closed.wait(pause_seconds):
                with self._looking:
                    if self._handle is not None and not self._is_given_up:
                        self._look_after(self._handle)
        finally:
            connections.close_all()

    def _look_after(self, handle: JobHandle) -> None:
        if handle.seconds_left < -options.overrun_seconds:
            self._give_up(handle)
            return
        now = clock.monotonic_seconds()
        try:
            if not self._is_long and now - self._began >= LONG_SECONDS:
                if self._on_long:
                    self._on_long()
                self._is_long = True
            if now >= self._next_beat:
                _beat(handle)
                self._next_beat = now + options.heartbeat_seconds
            if now >= self._next_lines:
                _write_lines(handle)
                self._next_lines = now + _LOOK_SECONDS
        except DatabaseError as error:
            # The database is away or, on SQLite, another transaction writes: the next look tries again.
            log.info("job.heartbeat_missed", job_id=str(handle.id), error=type(error).__name__)
            connections.close_all()

    def _give_up(self, handle: JobHandle) -> None:
        """Stop renewing: the lease runs out and another worker takes the job."""
        log.error("job.ignores_its_time_limit", job_id=str(handle.id))
        handle.stop(LeaseLost)
        self._is_given_up = True
        if self._on_overrun:
            self._on_overrun()


def _beat(handle: JobHandle) -> None:
    lease = None if process_locks.waits_for_writers() else timedelta(seconds=options.lease_seconds)
    # Read first: on SQLite a read never waits, so an abort is noticed even while somebody writes.
    if _is_ours(handle):
        transitions.beat(handle.id, handle.fencing_token, lease=lease, progress=handle.current_progress())
    elif lease:
        transitions.keep_place(handle.id, handle.fencing_token, lease=lease)


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
