"""What can be done with background operations: enqueue, run here, abort, retry."""

import threading
from collections.abc import Mapping
from datetime import timedelta

from django.db import IntegrityError, transaction

from isthmus import causes, clock, correlation
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.access.registry import ALL_TARGETS
from isthmus.jobs import bells, execution, registry, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.errors import ArgumentsRefused, JobInsideTransaction, JobNotAbortable, JobNotRetryable
from isthmus.jobs.models import Job
from isthmus.jobs.registry import Declared
from isthmus.jobs.reporting import DirectReporter, Reporter, ThreadReporter
from isthmus.jobs.states import JobState
from isthmus.logs import get_logger

__all__ = ["abort", "enqueue_function", "retry", "run_inline"]

log = get_logger(__name__)

_INLINE_LOOK_SECONDS = 0.05
_LONGEST_KEY = 255


def enqueue_function(
    function: Declared | str,
    arguments: Mapping[str, object] | None = None,
    *,
    delay: timedelta = timedelta(),
    unique_key: str | None = None,
    after: Job | None = None,
    user: AnyUser = None,
    subject: tuple[str, str] | None = None,
    kind: str | None = None,
) -> Job:
    """Add a job in the caller's transaction: it starts once that is committed, and never if it is rolled back.

    `function` is what @queueable returned, or its dotted name. `delay` is the least time until it starts.
    `unique_key`: while a job of this key has not ended, that job is returned and nothing is added. `after`: wait
    until that job is Completed; if it fails or is aborted, this one is aborted. `user` is whom the job acts for;
    `None` is the platform itself. `subject` is (type, id) of what the job is about.
    Raises `UnknownFunction` and `ArgumentsRefused`.
    """
    declaration = registry.find(function) if isinstance(function, str) else function.declaration
    if unique_key is not None and not 0 < len(unique_key) <= _LONGEST_KEY:
        raise ArgumentsRefused(f"A unique key has 1 to {_LONGEST_KEY} characters.")
    now = clock.now()
    state, reason = _first_state(after)
    is_due = state == JobState.QUEUED and delay <= timedelta()
    job = Job(
        kind=kind or declaration.kind,
        function=declaration.name,
        arguments=declaration.accept(arguments or {}),
        state=state,
        reason=reason,
        max_attempts=declaration.max_attempts,
        run_at=now + max(delay, timedelta()),
        rung_at=now if is_due else None,
        correlation_id=correlation.current_or_new(),
        cause=causes.current(),
        user_id=getattr(user, "pk", None),
        after=after,
        unique_key=unique_key or "",
        subject_type=subject[0] if subject else "",
        subject_id=subject[1] if subject else "",
        created_at=now,
        finished_at=now if state == JobState.ABORTED else None,
    )
    added = _add_unless_keyed(job) if unique_key else _add(job)
    if added is job and is_due:
        bells.ring_after_commit(job.pk)
    return added


def run_inline(job: Job, *, wait_seconds: float | None = None) -> Job:
    """Run the job in this process, under the same lease as a worker would; return it as it stands afterwards.

    If another holder has it, wait up to `wait_seconds` (`None`: `ISTHMUS_JOBS_INLINE_WAIT_SECONDS`) for that one. A
    job that is not due (delayed, holding, ended, waiting for its next attempt) is returned as it is. Its errors do not
    reach the caller: look at `state`, `result` and `error`. Raises `JobInsideTransaction` in an open transaction.
    """
    until = clock.monotonic_seconds() + (options.inline_wait_seconds if wait_seconds is None else wait_seconds)
    reporter = _inline_reporter()
    pause = threading.Event()
    while True:
        if execution.run(job.pk, reporter):
            break
        job.refresh_from_db()
        is_due = job.state == JobState.QUEUED and job.run_at <= clock.now()
        if not (job.is_running or is_due) or clock.monotonic_seconds() >= until:
            break
        pause.wait(_INLINE_LOOK_SECONDS)
    job.refresh_from_db()
    return job


def abort(job: Job, user: AnyUser = None, reason: str = "") -> Job:
    """End a job that has not ended; one that runs learns of it at its next checkpoint. Followers are aborted too.

    `user` is who asks, `None` the platform. Raises `PermissionRefused` for a user who may not operate the console, and
    `JobNotAbortable` when the job has ended already.
    """
    _require_operator(user)
    by = f"aborted by {user}" if user else "aborted"
    if not transitions.abort(job.pk, f"{by}: {reason}" if reason else by):
        job.refresh_from_db()
        raise JobNotAbortable(f"The operation is {job.state} already, so it cannot be aborted.")
    log.info("job.aborted", job_id=str(job.pk), by=str(user or ""))
    job.refresh_from_db()
    return job


def retry(job: Job, user: AnyUser = None) -> Job:
    """Give a failed or aborted job fresh attempts. It waits if the job before it in its chain has not completed.

    Raises `PermissionRefused` for a user who may not operate the console, and `JobNotRetryable` when it is in another
    state, when what it follows failed, or when another live job has its unique key.
    """
    _require_operator(user)
    job.refresh_from_db()
    state, reason = _first_state(job.after)
    if state == JobState.ABORTED:
        raise JobNotRetryable(f"Retry the operation before it first: {reason}.")
    if not transitions.requeue_by_operator(job, state=state):
        job.refresh_from_db()
        if job.state in {JobState.FAILED, JobState.ABORTED}:
            raise JobNotRetryable(f"Another operation with the key {job.unique_key!r} is under way.")
        raise JobNotRetryable(f"The operation is {job.state}; only a failed or aborted one can be tried again.")
    log.info("job.retried", job_id=str(job.pk), by=str(user or ""))
    job.refresh_from_db()
    if state == JobState.QUEUED:
        bells.ring_after_commit(job.pk)
    return job


def _require_operator(user: AnyUser) -> None:
    if user is not None:
        policy.require(user, "console", "operate", ALL_TARGETS)


def _first_state(after: Job | None) -> tuple[JobState, str]:
    if after is None:
        return JobState.QUEUED, ""
    state = Job.objects.values_list("state", flat=True).get(pk=after.pk)
    if state == JobState.COMPLETED:
        return JobState.QUEUED, ""
    if state in {JobState.FAILED, JobState.ABORTED}:
        return JobState.ABORTED, f"the operation before it is {state}"
    # If it ends before this row is committed, the sweeper lets this one go.
    return JobState.HOLDING, "waits for the operation before it"


def _add(job: Job) -> Job:
    job.save(force_insert=True)
    return job


def _add_unless_keyed(job: Job) -> Job:
    """Add the job, or return the live one of its key. The database's constraint decides between two at once."""
    while True:
        live = Job.objects.live().filter(unique_key=job.unique_key).first()
        if live:
            return live
        if job.state == JobState.ABORTED:
            return _add(job)
        try:
            with transaction.atomic():
                return _add(job)
        except IntegrityError:
            if not Job.objects.live().filter(unique_key=job.unique_key).exists():
                # Not the key's constraint (a user or predecessor that is gone), or the live one ended meanwhile.
                with transaction.atomic():
                    return _add(job)


def _inline_reporter() -> Reporter:
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        return ThreadReporter()
    try:
        with transaction.atomic(durable=True):
            # Reached only where the open transaction is that of a Django test case: no other connection sees the row.
            return DirectReporter()
    except RuntimeError as error:
        raise JobInsideTransaction from error
