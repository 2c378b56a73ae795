"""Runs one job: claim, call, and say how it ended."""

import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from isthmus import clock, correlation
from isthmus.access.policy import AnyUser, system_user
from isthmus.errors import IsthmusError
from isthmus.jobs import handle as handles
from isthmus.jobs import process_locks, registry, secret_arguments, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.errors import JobAborted, LeaseLost, ResultNotJson, UnknownFunction
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.hooks import around_job
from isthmus.jobs.json_values import NotJson, as_json_value
from isthmus.jobs.models import Job
from isthmus.jobs.reporting import Reporter
from isthmus.jobs.secret_arguments import Redactor
from isthmus.jobs.states import JobState
from isthmus.jobs.time_limits import time_limit
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as

__all__ = ["described", "lease_for", "loss_of", "run"]

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
    if not transitions.claim(job, holder=process_locks.holder_name(), lease=lease_for(limit)):
        return False
    with correlation.bind(job.correlation_id):
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


def lease_for(limit_seconds: float) -> timedelta:
    """Return how long a job stays with its worker that may take so long."""
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
    function = _prepared(job, declaration, handle)
    if not declaration.atomic:
        result = _result_of(function, declaration, handle)
        if not _patiently(lambda: transitions.complete(job, result, handle.current_progress())):
            raise loss_of(job)
        return
    with transaction.atomic():
        result = _result_of(function, declaration, handle)
        # The fence and the effects share this transaction: either both count or neither does.
        if not transitions.complete(job, result, handle.current_progress()):
            raise loss_of(job)


def loss_of(job: Job) -> JobAborted | LeaseLost:
    """Return why a job is no longer its holder's."""
    state = Job.objects.values_list("state", flat=True).get(pk=job.pk)
    return JobAborted() if state == JobState.ABORTED else LeaseLost()


def _prepared(job: Job, declaration: registry.Declaration, handle: JobHandle) -> Callable[[], object]:
    """Return the function with its arguments: the secret ones are opened here, and looked out for from here on."""
    secrets = secret_arguments.unpacked(job.sealed_arguments)
    handle.redactor = Redactor(secrets.values())
    arguments = {**job.arguments, **secrets}
    if declaration.ahead is None:
        return partial(declaration.function, **arguments)
    return declaration.ahead(job, handle, arguments)


def _result_of(function: Callable[[], object], declaration: registry.Declaration, handle: JobHandle) -> object:
    with time_limit(handle.seconds_left):
        returned = function()
    try:
        return handle.redactor.value(as_json_value(returned, at="the result", limit_bytes=options.argument_bytes))
    except NotJson as error:
        raise ResultNotJson(f"{declaration.name}: {error}") from error


def _fail(job: Job, declaration: registry.Declaration, handle: JobHandle, error: BaseException) -> None:
    final = isinstance(error, IsthmusError) and not error.retryable
    failures = job.failures + 1
    if final or failures >= job.max_attempts:
        _give_up(job, handle, error)
        return
    text, trace = described(error, handle.redactor)
    delay = timedelta(seconds=declaration.delay_after(failures))
    progress = handle.current_progress()
    kept = _patiently(
        lambda: transitions.requeue_after_error(job, error=text, trace=trace, delay=delay, progress=progress)
    )
    _tell("job.will_retry", job, error, kept=kept)


def _give_up(job: Job, handle: JobHandle, error: BaseException) -> None:
    text, trace = described(error, handle.redactor)
    progress = handle.current_progress()
    kept = _patiently(lambda: transitions.fail(job, reason=text, error=text, trace=trace, progress=progress))
    _tell("job.failed", job, error, kept=kept)


def _tell(event: str, job: Job, error: BaseException, *, kept: bool) -> None:
    # Not kept: it was aborted, or another holder has the row, and nothing of this attempt counts.
    log.warning(event if kept else "job.dropped", job_id=str(job.pk), function=job.function, error=type(error).__name__)


def described(error: BaseException, redactor: Redactor) -> tuple[str, str]:
    """Return what an operator may read. Source lines, never the values in them: those may be secret."""
    text = redactor.text(f"{type(error).__name__}: {error}").replace("\x00", "")[:_ERROR_LENGTH]
    if isinstance(error, IsthmusError):
        return text, ""
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    return text, redactor.text("".join(lines)).replace("\x00", "")[-_TRACE_LENGTH:]


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
