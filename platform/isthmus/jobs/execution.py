"""Runs one job: claim, call, and say how it ended."""

import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from isthmus import causes, clock, correlation
from isthmus.access.policy import AnyUser, system_user
from isthmus.errors import IsthmusError
from isthmus.jobs import bells, process_locks, readiness, registry, secret_arguments, transitions
from isthmus.jobs import handle as handles
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
from isthmus.jobs.transitions import Start
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as

__all__ = [
    "Following",
    "described",
    "lease_for",
    "lease_of_taken",
    "loss_of",
    "nothing_follows",
    "patiently",
    "run",
    "run_taken",
]

log = get_logger(__name__)
T = TypeVar("T")
Following = Callable[[], Job | None]


def nothing_follows() -> None:
    """For jobs that are taken one by one."""


_UNKNOWN_LIMIT_SECONDS = 60.0
_LONG_LEASE = timedelta(days=1)
_ERROR_LENGTH = 4_000
_TRACE_LENGTH = 20_000


def run(job_id: UUID, reporter: Reporter) -> bool:
    """Run the job if it is due, has its turn, and nobody else has it. Return whether this call took it.

    The function's own errors end the attempt, never this call. Raises `DatabaseError` when the job cannot be taken.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None or job.is_terminal:
        return False
    if not transitions.claim(job, holder=process_locks.holder_name(), lease=lease_of_taken()):
        return False
    run_taken(job, reporter)
    return True


def run_taken(job: Job, reporter: Reporter, *, following: Following = nothing_follows) -> Job | None:
    """Run a job that this process has taken; say how it ended, whatever happens.

    `following` gives the next one that is taken, if any: it is started in the statement that ends this one, which saves
    one. Return what it gave; its state says whether it has been started.
    """
    declaration, unknown = _find(job.function)
    limit = declaration.time_limit_seconds if declaration else _UNKNOWN_LIMIT_SECONDS
    following_job = None
    with correlation.bind(job.correlation_id), causes.bind(f"operation:{job.pk}"):
        handle = JobHandle(job, time_limit_seconds=limit)
        reporter.begin(handle)
        try:
            if declaration is None:
                _give_up(job, handle, unknown)
            else:
                following_job = _attempt(job, declaration, handle, following)
        finally:
            patiently(reporter.end)
    if job.is_gated:
        _give_its_turn_to_others(job)
    return following_job


def lease_of_taken() -> timedelta:
    """Return for how long a job is taken before its function is entered."""
    # On SQLite death is known by a lock and not by silence, and nothing may keep a lease renewed.
    return _LONG_LEASE if process_locks.waits_for_writers() else timedelta(seconds=options.lease_seconds)


def _find(name: str) -> tuple[registry.Declaration | None, UnknownFunction]:
    try:
        return registry.find(name), UnknownFunction()
    except UnknownFunction as error:
        return None, error


def _give_its_turn_to_others(job: Job) -> None:
    try:
        if readiness.admit_beside(job):
            bells.current().ring()
    except (OperationalError, InterfaceError) as error:
        # The sweeper does it soon.
        log.info("job.turn_not_given", job_id=str(job.pk), error=type(error).__name__)


def lease_for(limit_seconds: float) -> timedelta:
    """Return how long a job stays with its worker that may take so long."""
    if process_locks.waits_for_writers():
        return timedelta(seconds=limit_seconds + options.overrun_seconds + options.lease_seconds)
    return timedelta(seconds=options.lease_seconds)


def _attempt(job: Job, declaration: registry.Declaration, handle: JobHandle, following: Following) -> Job | None:
    log.info("job.started", job_id=str(job.pk), function=job.function, attempt=job.attempts)
    began = clock.monotonic_seconds()
    following_job = None
    try:
        with handles.bind(handle), acting_as(cache(partial(_user_of, job))), around_job(job):
            _start(job, declaration)
            function = _prepared(job, declaration, handle)
            if declaration.atomic:
                _call_in_a_transaction(function, job, declaration, handle)
            else:
                result = _result_of(function, declaration, handle)
                following_job = following()
                _complete(job, result, handle, following_job)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge of the platform: any error ends the attempt only
        _fail(job, declaration, handle, error)
    else:
        milliseconds = round((clock.monotonic_seconds() - began) * 1_000)
        log.info("job.completed", job_id=str(job.pk), function=job.function, duration_ms=milliseconds)
    return following_job


def _user_of(job: Job) -> AnyUser:
    return job.user or system_user()


def _start(job: Job, declaration: registry.Declaration) -> None:
    if job.state == JobState.PROCESSING:
        return  # With the end of the one before it.
    lease = lease_for(declaration.time_limit_seconds)
    if not patiently(lambda: transitions.start(job, lease=lease)):
        raise loss_of(job)


def _call_in_a_transaction(
    function: Callable[[], object], job: Job, declaration: registry.Declaration, handle: JobHandle
) -> None:
    with transaction.atomic():
        result = _result_of(function, declaration, handle)
        # The fence and the effects share this transaction: either both count or neither does.
        if not transitions.complete(job, result, handle.current_progress()):
            raise loss_of(job)


def _complete(job: Job, result: object, handle: JobHandle, following_job: Job | None) -> None:
    then = _start_of(following_job) if following_job else None
    progress = handle.current_progress()
    if not patiently(lambda: transitions.complete(job, result, progress, then=then)):
        raise loss_of(job)


def _start_of(job: Job) -> Start | None:
    declaration = registry.find_or_none(job.function)
    return Start(job, lease_for(declaration.time_limit_seconds)) if declaration else None


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
    kept = patiently(
        lambda: transitions.requeue_after_error(job, error=text, trace=trace, delay=delay, progress=progress)
    )
    _tell("job.will_retry", job, error, kept=kept)


def _give_up(job: Job, handle: JobHandle, error: BaseException) -> None:
    text, trace = described(error, handle.redactor)
    progress = handle.current_progress()
    kept = patiently(lambda: transitions.fail(job, reason=text, error=text, trace=trace, progress=progress))
    _tell("job.failed", job, error, kept=kept)


def _tell(event: str, job: Job, error: BaseException, *, kept: bool) -> None:
    # Not kept: it was aborted, or another holder has the row, and nothing of this attempt counts.
    if not kept:
        patiently(lambda: transitions.let_go(job))
    log.warning(event if kept else "job.dropped", job_id=str(job.pk), function=job.function, error=type(error).__name__)


def described(error: BaseException, redactor: Redactor) -> tuple[str, str]:
    """Return what an operator may read. Source lines, never the values in them: those may be secret."""
    text = redactor.text(f"{type(error).__name__}: {error}").replace("\x00", "")[:_ERROR_LENGTH]
    if isinstance(error, IsthmusError):
        return text, ""
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    return text, redactor.text("".join(lines)).replace("\x00", "")[-_TRACE_LENGTH:]


def patiently(write: Callable[[], T]) -> T:
    """Write through a short absence of the database, for as long as a lease would last.

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
