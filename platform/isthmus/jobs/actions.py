"""What can be done with background operations: enqueue, run here, abort, retry."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from isthmus import causes, clock, correlation
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.access.registry import ALL_TARGETS
from isthmus.jobs import bells, dependencies, execution, readiness, registry, secret_arguments, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.dependencies import Ended, Predecessors
from isthmus.jobs.errors import ArgumentsRefused, JobInsideTransaction, JobNotAbortable, JobNotRetryable
from isthmus.jobs.models import BatchRun, Job, JobDependency
from isthmus.jobs.registry import Declaration, Declared, Step
from isthmus.jobs.reporting import DirectReporter, Reporter, ThreadReporter
from isthmus.jobs.states import JobState
from isthmus.logs import get_logger

__all__ = ["abort", "enqueue_function", "enqueue_many", "retry", "retry_failed", "run_inline"]

log = get_logger(__name__)

_INLINE_LOOK_SECONDS = 0.05
_LONGEST_KEY = 255
_GREATEST_PRIORITY = 1_000
_ADDED_AT_ONCE = 500


def enqueue_function(
    function: Declared | str,
    arguments: Mapping[str, object] | None = None,
    *,
    delay: timedelta = timedelta(),
    unique_key: str | None = None,
    after: Predecessors = None,
    finalizer: Step | None = None,
    user: AnyUser = None,
    subject: tuple[str, str] | None = None,
    kind: str | None = None,
    priority: int | None = None,
    concurrency_key: str | None = None,
    expires_in: timedelta | None = None,
    scheduled_for: datetime | None = None,
) -> Job:
    """Add a job in the caller's transaction: it starts once that is committed, and never if it is rolled back.

    `function` is what @queueable returned, or its dotted name. `delay` is the least time until it starts.
    `unique_key`: while a job of this key has not ended, that job is returned and nothing is added. `after`: wait
    until that job, or each of several, is Completed; if one fails or is aborted, this one is aborted; `Ended(job)` only
    waits for its end. `finalizer`: what runs once this job has ended, however it did. `user` is whom the job acts for;
    `None` is the platform itself. `subject` is (type, id) of what the job is about. `scheduled_for` is the time that it
    stands for. `priority`: the greatest is taken first; `None` is the function's own. `concurrency_key`: of the jobs
    with this key one at a time runs. `expires_in`: aborted if it has not started by then; `None`: it waits as long as
    it takes. Raises `UnknownFunction` and `ArgumentsRefused`.
    """
    declaration = registry.find(function) if isinstance(function, str) else function.declaration
    _require_key(unique_key)
    _require_key(concurrency_key)
    waits = dependencies.waits_for(after)
    state, reason = dependencies.first_state(waits)
    job = _new_job(declaration, arguments or {}, user=user, kind=kind, priority=priority)
    job.state, job.reason = state, reason
    job.run_at += max(delay, timedelta())
    job.expires_at = job.created_at + expires_in if expires_in is not None else None
    job.finished_at = job.created_at if state == JobState.ABORTED else None
    job.scheduled_for = scheduled_for
    job.unique_key, job.concurrency_key = unique_key or "", concurrency_key or ""
    job.subject_type, job.subject_id = subject or ("", "")
    job.is_gated = readiness.keeps_turns(declaration, job.kind, job.concurrency_key)
    is_due = state == JobState.QUEUED and job.run_at == job.created_at
    job.ready_at = job.created_at if is_due and not job.is_gated else None
    added = _add_unless_keyed(job, waits, finalizer) if unique_key else _add(job, waits, finalizer)
    if added is job and is_due:
        _wake_for(job)
    return added


def enqueue_many(
    function: Declared, arguments: Iterable[Mapping[str, object]], *, user: AnyUser = None, priority: int | None = None
) -> list[Job]:
    """Add a job for each of the arguments, in as few statements as possible; else like `enqueue_function`.

    Raises `ArgumentsRefused` before anything is added, and `TypeError` for a function that keeps turns.
    """
    declaration = function.declaration
    if readiness.keeps_turns(declaration, declaration.kind, ""):
        raise TypeError(f"{declaration.name} keeps turns; enqueue its jobs one by one.")
    with correlation.bind(correlation.current_or_new()):
        jobs = [_new_job(declaration, each, user=user, priority=priority) for each in arguments]
    for job in jobs:
        job.ready_at = job.created_at
    Job.objects.bulk_create(jobs, batch_size=_ADDED_AT_ONCE)
    if jobs:
        bells.ring_after_commit()
    return jobs


def _new_job(
    declaration: Declaration,
    arguments: Mapping[str, object],
    *,
    user: AnyUser,
    priority: int | None,
    kind: str | None = None,
) -> Job:
    """Return a job that is due now, not saved yet. Raises `ArgumentsRefused`."""
    if not -_GREATEST_PRIORITY <= (priority or 0) <= _GREATEST_PRIORITY:
        raise ArgumentsRefused(f"A priority is a whole number from -{_GREATEST_PRIORITY} to {_GREATEST_PRIORITY}.")
    now = clock.now()
    job = Job(
        kind=kind or declaration.kind,
        function=declaration.name,
        arguments=declaration.accept(arguments),
        max_attempts=declaration.max_attempts,
        run_at=now,
        priority=declaration.priority if priority is None else priority,
        correlation_id=correlation.current_or_new(),
        cause=causes.current(),
        user_id=getattr(user, "pk", None),
        created_at=now,
    )
    job.sealed_arguments = declaration.seal(arguments)
    return job


def _require_key(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= _LONGEST_KEY:
        raise ArgumentsRefused(f"A key has 1 to {_LONGEST_KEY} characters.")


def _wake_for(job: Job) -> None:
    """Let workers know of a job that may run now, once it is committed; give it its turn first if it keeps turns."""
    if job.is_gated:
        _let_others_in(job)
    else:
        bells.ring_after_commit()


def run_inline(job: Job, *, wait_seconds: float | None = None) -> Job:
    """Run the job in this process, under the same lease as a worker would; return it as it stands afterwards.

    If another holder has it, wait up to `wait_seconds` (`None`: `ISTHMUS_JOBS_INLINE_WAIT_SECONDS`) for that one. A
    job that is not due (delayed, holding, ended, waiting for its next attempt) is returned as it is. Its errors do not
    reach the caller: look at `state`, `result` and `error`. Raises `JobInsideTransaction` in an open transaction.
    """
    until = clock.monotonic_seconds() + (options.inline_wait_seconds if wait_seconds is None else wait_seconds)
    pause = threading.Event()
    with _inline_reporter() as reporter:
        while not execution.run(job.pk, reporter):
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
    if job.lease_expires_at is None:
        # It did not run, so it leaves its place at once.
        _let_others_in(job)
    return job


def retry(job: Job, user: AnyUser = None) -> Job:
    """Give a failed or aborted job fresh attempts. It waits if a job before it has not completed.

    Its finalizers run again, after its new end. A batch goes on where it stood; if every item failed, it begins anew.
    Raises `PermissionRefused` for a user who may not operate the console, and `JobNotRetryable` when it is in another
    state, when what it follows failed, or when another live job has its unique key.
    """
    _require_operator(user)
    job.refresh_from_db()
    state, reason = dependencies.first_state(list(job.dependencies.all()))
    if state == JobState.ABORTED:
        raise JobNotRetryable(f"Retry the operation before it first: {reason}.")
    with transaction.atomic():
        if not transitions.requeue_by_operator(job, state=state):
            raise _not_retryable(job)
        for finalizer in dependencies.hold_finalizers(job):
            _add_again(finalizer, job)
    log.info("job.retried", job_id=str(job.pk), by=str(user or ""))
    job.refresh_from_db()
    if state == JobState.QUEUED:
        _wake_for(job)
    return job


def _let_others_in(job: Job) -> None:
    def admit() -> None:
        if readiness.admit_beside(job):
            bells.current().ring()

    transaction.on_commit(admit, robust=True)


def retry_failed(job: Job, user: AnyUser = None) -> Job:
    """Add a job over those items of a completed batch that failed; return it.

    Raises `PermissionRefused` for a user who may not operate the console, and `JobNotRetryable` when it is no completed
    batch, nothing of it failed, or what failed was tried again already: that job knows what failed since.
    """
    _require_operator(user)
    run = BatchRun.objects.filter(job=job).first()
    job.refresh_from_db()
    if run is None or job.state != JobState.COMPLETED or not run.failed:
        raise JobNotRetryable("Only what failed in a completed batch can be tried again by itself.")
    declaration = registry.find(job.function)
    subject = (job.subject_type, job.subject_id) if job.subject_id else None
    try:
        with transaction.atomic():
            added = enqueue_function(
                declaration, secret_arguments.arguments_of(job), user=job.user, subject=subject, kind=job.kind
            )
            BatchRun.objects.create(job=added, only_failed=True, retry_of=job)
    except IntegrityError as error:
        raise JobNotRetryable("What failed was tried again already; go on from that operation.") from error
    log.info("job.failed_items_retried", job_id=str(job.pk), by=str(user or ""), retry_id=str(added.pk))
    return added


def _not_retryable(job: Job) -> JobNotRetryable:
    job.refresh_from_db()
    if job.state in {JobState.FAILED, JobState.ABORTED}:
        return JobNotRetryable(f"Another operation with the key {job.unique_key!r} is under way.")
    return JobNotRetryable(f"The operation is {job.state}; only a failed or aborted one can be tried again.")


def _require_operator(user: AnyUser) -> None:
    if user is not None:
        policy.require(user, "console", "operate", ALL_TARGETS)


def _add(job: Job, waits: Sequence[JobDependency], finalizer: Step | None) -> Job:
    if not waits and finalizer is None:
        job.save(force_insert=True)
        return job
    with transaction.atomic():
        job.save(force_insert=True)
        dependencies.depend(job, waits)
        if finalizer is not None:
            _add_finalizer(finalizer, job)
    return job


def _add_finalizer(step: Step, job: Job) -> None:
    subject = (job.subject_type, job.subject_id) if job.subject_id else None
    added = enqueue_function(
        step.declaration, step.arguments, after=Ended(job), user=job.user, subject=subject, kind="Finalizer"
    )
    JobDependency.objects.filter(job=added, predecessor=job).update(is_finalizer=True)


def _add_again(finalizer: Job, job: Job) -> None:
    _add_finalizer(Step(registry.find(finalizer.function), secret_arguments.arguments_of(finalizer)), job)


def _add_unless_keyed(job: Job, waits: Sequence[JobDependency], finalizer: Step | None) -> Job:
    """Add the job, or return the live one of its key. The database's constraint decides between two at once."""
    while True:
        live = Job.objects.live().filter(unique_key=job.unique_key).first()
        if live:
            return live
        if job.state == JobState.ABORTED:
            return _add(job, waits, finalizer)
        try:
            with transaction.atomic():
                return _add(job, waits, finalizer)
        except IntegrityError:
            if not Job.objects.live().filter(unique_key=job.unique_key).exists():
                # Not the key's constraint (a user or predecessor that is gone), or the live one ended meanwhile.
                with transaction.atomic():
                    return _add(job, waits, finalizer)


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
