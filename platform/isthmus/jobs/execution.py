"""Runs one job: claim, call, and say how it ended."""

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from types import FrameType
from typing import TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from isthmus import causes, clock, correlation
from isthmus.access.policy import AnyUser, system_user
from isthmus.errors import IsthmusError
from isthmus.jobs import handle as handles
from isthmus.jobs import process_locks, registry, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.errors import JobAborted, LeaseLost, ResultNotJson, TimeLimitExceeded, UnknownFunction
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.hooks import around_job
from isthmus.jobs.json_values import NotJson, as_json_value
from isthmus.jobs.models import Job
from isthmus.jobs.reporting import Reporter
from isthmus.jobs.states import JobState
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as

__all__ = ["run"]

log = get_logger(__name__)
T = TypeVar("T")

_UNKNOWN_LIMIT_SECONDS = 60.0
_ERROR_LENGTH = 4_000
_TRACE_LENGTH = 20_000


def run(job_id: UUID, reporter: Reporter) -> bool:
    """Run the job if it is due and nobody else has it. Return whether this call took it.

    The function's own errors end the attempt, never this call. Raises `DatabaseError` when the job cannot be taken.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None or job.is_terminal:
        return False
    declaration, unknown = _find(job.function)
    limit = declaration.time_limit_seconds if declaration else _UNKNOWN_LIMIT_SECONDS
    if not transitions.claim(job, holder=process_locks.holder_name(), lease=_lease_for(limit)):
        return False
    with correlation.bind(job.correlation_id), causes.bind(f"operation:{job.pk}"):
        handle = JobHandle(job, time_limit_seconds=limit)
        reporter.begin(handle)
        try:
            if declaration is None:
                _give_up(job, handle, unknown)
            else:
                _attempt(job, declaration, handle)
        finally:
            _patiently(reporter.end)
    return True


def _find(name: str) -> tuple[registry.Declaration | None, Exception]:
    try:
        return registry.find(name), UnknownFunction()
    except Exception as error:  # noqa: BLE001 - a module that breaks on import fails its jobs, not the worker
        return None, error


def _lease_for(limit_seconds: float) -> timedelta:
    if process_locks.waits_for_writers():
        return timedelta(seconds=limit_seconds + options.overrun_seconds + options.lease_seconds)
    return timedelta(seconds=options.lease_seconds)


def _attempt(job: Job, declaration: registry.Declaration, handle: JobHandle) -> None:
    log.info("job.started", job_id=str(job.pk), function=job.function, attempt=job.attempts)
    began = clock.monotonic_seconds()
    try:
        with handles.bind(handle), acting_as(cache(partial(_user_of, job))), around_job(job):
            _call(job, declaration, handle)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge of the platform: any error ends the attempt only
        _fail(job, declaration, handle, error)
    else:
        milliseconds = round((clock.monotonic_seconds() - began) * 1_000)
        log.info("job.completed", job_id=str(job.pk), function=job.function, duration_ms=milliseconds)


def _user_of(job: Job) -> AnyUser:
    return job.user or system_user()


def _call(job: Job, declaration: registry.Declaration, handle: JobHandle) -> None:
    if not _patiently(lambda: transitions.start(job)):
        raise LeaseLost
    if not declaration.atomic:
        result = _result_of(job, declaration, handle)
        if not _patiently(lambda: transitions.complete(job, result, handle.current_progress())):
            raise _loss(job)
        return
    with transaction.atomic():
        result = _result_of(job, declaration, handle)
        # The fence and the effects share this transaction: either both count or neither does.
        if not transitions.complete(job, result, handle.current_progress()):
            raise _loss(job)


def _loss(job: Job) -> JobAborted | LeaseLost:
    state = Job.objects.values_list("state", flat=True).get(pk=job.pk)
    return JobAborted() if state == JobState.ABORTED else LeaseLost()


def _result_of(job: Job, declaration: registry.Declaration, handle: JobHandle) -> object:
    with _time_limit(handle.seconds_left):
        returned = declaration.function(**job.arguments)
    try:
        return as_json_value(returned, at="the result", limit_bytes=options.argument_bytes)
    except NotJson as error:
        raise ResultNotJson(f"{declaration.name}: {error}") from error


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
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


def _fail(job: Job, declaration: registry.Declaration, handle: JobHandle, error: BaseException) -> None:
    final = isinstance(error, IsthmusError) and not error.retryable
    failures = job.failures + 1
    if final or failures >= job.max_attempts:
        _give_up(job, handle, error)
        return
    text, trace = _described(error)
    delay = timedelta(seconds=declaration.delay_after(failures))
    progress = handle.current_progress()
    kept = _patiently(
        lambda: transitions.requeue_after_error(job, error=text, trace=trace, delay=delay, progress=progress)
    )
    _tell("job.will_retry", job, error, kept=kept)


def _give_up(job: Job, handle: JobHandle, error: BaseException) -> None:
    text, trace = _described(error)
    progress = handle.current_progress()
    kept = _patiently(lambda: transitions.fail(job, reason=text, error=text, trace=trace, progress=progress))
    _tell("job.failed", job, error, kept=kept)


def _tell(event: str, job: Job, error: BaseException, *, kept: bool) -> None:
    # Not kept: it was aborted, or another holder has the row, and nothing of this attempt counts.
    log.warning(event if kept else "job.dropped", job_id=str(job.pk), function=job.function, error=type(error).__name__)


def _described(error: BaseException) -> tuple[str, str]:
    """Return what an operator may read. Source lines, never the values in them: those may be secret."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "")[:_ERROR_LENGTH]
    if isinstance(error, IsthmusError):
        return text, ""
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    return text, "".join(lines).replace("\x00", "")[-_TRACE_LENGTH:]


def _patiently(write: Callable[[], T]) -> T:
    """Write through a short absence of the database, for as long as the lease would last.

    The work is done and its outcome must not be lost because the database restarts just now.
    """
    until = clock.monotonic_seconds() + options.lease_seconds
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or clock.monotonic_seconds() >= until:
                raise
            connection.close()
            threading.Event().wait(0.3)
