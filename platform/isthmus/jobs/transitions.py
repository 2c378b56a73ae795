"""The state machine: every change of a job's state, each one a compare-and-set UPDATE.

Holding ──▶ Queued ──▶ Preparing ──▶ Processing ──▶ Completed
   │          ▲ │          │             │
   │          │ │          └──────┬──────┘   an error or a dead worker: back to Queued, at last Failed
   ▼          │ ▼                 ▼
 Aborted   (operator's retry)  Queued / Failed / Aborted

Who runs a job proves it with the fencing token of its lease: it is in the WHERE of all it writes. Nothing leads out of
Completed; only an operator's retry leads out of Failed and Aborted. Who waits for whom: `isthmus.jobs.dependencies`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Field, Q

from isthmus import clock
from isthmus.jobs.dependencies import settle_followers
from isthmus.jobs.models import Job
from isthmus.jobs.readiness import ready_if_due
from isthmus.jobs.states import NON_TERMINAL, RUNNING, JobState

__all__ = [
    "Start",
    "abort",
    "beat",
    "claim",
    "complete",
    "expire",
    "fail",
    "give_back",
    "keep_place",
    "let_go",
    "requeue_after_error",
    "requeue_by_operator",
    "revive",
    "start",
    "take",
    "untake",
]

Progress = dict[str, int | float | None]
"""The columns that progress changes."""

_COLUMNS = {field.name: field for field in Job._meta.concrete_fields}
_NO_LEASE: dict[str, Any] = {"lease_holder": "", "lease_expires_at": None, "heartbeat_at": None}


def claim(job: Job, *, holder: str, lease: timedelta) -> bool:
    """Queued → Preparing for `holder`, if it is due. Return False when somebody else was first or it has to wait."""
    now = clock.now()
    taken = {
        "state": JobState.PREPARING,
        "lease_holder": holder,
        "lease_expires_at": now + lease,
        "heartbeat_at": now,
        "fencing_token": job.fencing_token + 1,
    }
    has_its_turn = Q(is_gated=False) | Q(ready_at__isnull=False)
    waiting = Job.objects.due(now).filter(
        has_its_turn, pk=job.pk, fencing_token=job.fencing_token, attempts=job.attempts
    )
    if not waiting.order_by().update(**taken, attempts=F("attempts") + 1):
        return False
    for name, value in taken.items():
        setattr(job, name, value)
    job.attempts += 1
    return True


def take(limit: int, *, holder: str, lease: timedelta) -> list[Job]:
    """Queued → Preparing for `holder`, for up to `limit` ready jobs at once; return them, the first to run first.

    On PostgreSQL rows that another worker is taking are passed over, so workers do not wait for each other.
    """
    now = clock.now()
    lock = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    moment, until = _stored("heartbeat_at", now), _stored("lease_expires_at", now + lease)
    taken = list(
        Job.objects.raw(_TAKE % lock + _relaxed() + _RETURNING_ALL, [moment, moment, limit, holder, until, moment])
    )
    return sorted(taken, key=lambda job: (-job.priority, job.run_at, job.pk))


# Written out, because of what no query set can say: one statement that chooses, locks, changes and returns. The first
# part is materialized so that it chooses once.
_TAKE = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM jobs_job
    WHERE state = 'Queued' AND ready_at IS NOT NULL AND run_at <= %%s AND (expires_at IS NULL OR expires_at > %%s)
    ORDER BY priority DESC, run_at, id LIMIT %%s %s
)
UPDATE jobs_job
SET state = 'Preparing', lease_holder = %%s, lease_expires_at = %%s, heartbeat_at = %%s,
    fencing_token = fencing_token + 1, attempts = attempts + 1
WHERE id IN (SELECT id FROM chosen)"""


_RETURNING_ALL = " RETURNING *"


def untake(jobs: Sequence[Job]) -> int:
    """Preparing → Queued for jobs that were taken and not begun; it counts as no attempt. Return how many.

    One that was aborted meanwhile leaves its place.
    """
    given_back = 0
    for job in jobs:
        untaken = _held(job, JobState.PREPARING).update(state=JobState.QUEUED, attempts=F("attempts") - 1, **_NO_LEASE)
        if not untaken:
            let_go(job)
        given_back += untaken
    return given_back


def start(job: Job, *, lease: timedelta | None = None) -> bool:
    """Preparing → Processing: the function is entered now. `lease` is from now; `None` leaves it."""
    return bool(_step(None, Start(job, lease)))


def beat(job_id: UUID, fencing_token: int, *, lease: timedelta | None, progress: Progress) -> bool:
    """Renew the lease (`None`: leave it) and show progress. Return False when the lease is lost."""
    now = clock.now()
    changes: dict[str, Any] = {"heartbeat_at": now, **progress}
    if lease is not None:
        changes["lease_expires_at"] = now + lease
    alive = Job.objects.filter(pk=job_id, fencing_token=fencing_token, state__in=RUNNING)
    return bool(alive.update(**changes))


def keep_place(job_id: UUID, fencing_token: int, *, lease: timedelta) -> None:
    """Renew the lease of an aborted job whose function goes on: nobody gets its turn before it has returned."""
    aborted = Job.objects.filter(pk=job_id, fencing_token=fencing_token, state=JobState.ABORTED)
    aborted.update(lease_expires_at=clock.now() + lease)


def complete(job: Job, result: object, progress: Progress, *, then: "Start | None" = None) -> bool:
    """Processing → Completed, and let the followers go. Return False when the lease is lost.

    `then`, of the same worker, starts in the same statement; whether it did is seen by its state.
    """
    found = _step(Completion(job, result, progress), then)
    if job.pk not in found:
        return False
    if found[job.pk]:
        # Followers that a crash leaves behind here are found by the sweeper.
        settle_followers([job.pk])
    return True


@dataclass(frozen=True)
class Start:
    """A job that is taken, and for how long from its start."""

    job: Job
    lease: timedelta | None = None
    """`None` leaves the lease as it is."""


@dataclass(frozen=True)
class Completion:
    """A job whose function has returned, and what it left."""

    job: Job
    result: object
    progress: Progress


def _step(ended: Completion | None, started: Start | None) -> dict[UUID, bool]:
    """End one job, start another, or both at once; return which of them were changed, and whether somebody follows."""
    now = clock.now()
    conditions, given = [], []
    for change, state in ((ended, JobState.PROCESSING), (started, JobState.PREPARING)):
        if change:
            conditions.append(f"(id = %s AND fencing_token = %s AND state = '{state}')")
            given += [_stored("id", change.job.pk), change.job.fencing_token]
    statement, parameters = _COMPLETE_OR_START, _step_values(ended, started, now)
    statement += f" WHERE ({' OR '.join(conditions)}){_relaxed()}{_RETURNING_FOLLOWERS}"
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, *given])
        found = {_COLUMNS["id"].to_python(pk): bool(has_followers) for pk, has_followers in cursor.fetchall()}
    if started and started.job.pk in found:
        started.job.state, started.job.started_at = JobState.PROCESSING, started.job.started_at or now
    return found


def _step_values(ended: Completion | None, started: Start | None, now: datetime) -> list[Any]:
    done: int | float
    total: int | float | None
    done, total, rate, result, ended_id = 0, None, None, None, None
    if ended:
        done = ended.progress.get("progress_done", ended.job.progress_done) or 0
        total = ended.progress.get("progress_total", ended.job.progress_total)
        rate, result, ended_id = ended.progress.get("progress_rate"), ended.result, ended.job.pk
    until = now + started.lease if started and started.lease else None
    moment, key = _stored("finished_at", now), _stored("id", ended_id or _NOBODY)
    return [
        *(key, key, key, _stored("result", result), key, moment, key, done, key, total, key, rate),
        *(key, key, _stored("lease_expires_at", until), key, key, moment),
    ]


_NOBODY = UUID(int=0)
# Written out, because this runs twice in the life of every job and ends one job and starts another in one go.
_COMPLETE_OR_START = """
UPDATE jobs_job SET
    state = CASE WHEN id = %s THEN 'Completed' ELSE 'Processing' END,
    reason = CASE WHEN id = %s THEN '' ELSE reason END,
    result = CASE WHEN id = %s THEN %s ELSE result END,
    finished_at = CASE WHEN id = %s THEN %s ELSE finished_at END,
    progress_done = CASE WHEN id = %s THEN %s ELSE progress_done END,
    progress_total = CASE WHEN id = %s THEN %s ELSE progress_total END,
    progress_rate = CASE WHEN id = %s THEN COALESCE(%s, progress_rate) ELSE progress_rate END,
    lease_holder = CASE WHEN id = %s THEN '' ELSE lease_holder END,
    lease_expires_at = CASE WHEN id = %s THEN NULL ELSE COALESCE(%s, lease_expires_at) END,
    heartbeat_at = CASE WHEN id = %s THEN NULL ELSE heartbeat_at END,
    started_at = CASE WHEN id = %s THEN started_at ELSE COALESCE(started_at, %s) END
"""
_RETURNING_FOLLOWERS = (
    " RETURNING id, EXISTS (SELECT 1 FROM jobs_jobdependency AS wait WHERE wait.predecessor_id = jobs_job.id)"
)


def requeue_after_error(job: Job, *, error: str, trace: str, delay: timedelta, progress: Progress) -> bool:
    """Running → Queued: an attempt ended with an error and another one follows after `delay`."""
    return bool(
        _held(job, *RUNNING).update(
            state=JobState.QUEUED,
            failures=F("failures") + 1,
            run_at=clock.now() + delay,
            ready_at=None,
            error=error,
            error_trace=trace,
            **progress,
            **_NO_LEASE,
        )
    )


def fail(job: Job, *, reason: str, error: str, trace: str, progress: Progress) -> bool:
    """Running → Failed; followers are aborted."""
    with transaction.atomic():
        failed = _held(job, *RUNNING).update(
            state=JobState.FAILED,
            failures=F("failures") + 1,
            finished_at=clock.now(),
            reason=reason,
            error=error,
            error_trace=trace,
            **progress,
            **_NO_LEASE,
        )
        if failed:
            settle_followers([job.pk])
    return bool(failed)


def revive(job: Job) -> bool:
    """Running → Queued for a job whose worker died; → Failed once that happened more than `max_attempts` times.

    `job` was read before: if its holder gave any sign of life since, nothing happens.
    """
    deaths = job.worker_deaths + 1
    lost = Job.objects.filter(
        pk=job.pk,
        state__in=RUNNING,
        fencing_token=job.fencing_token,
        lease_expires_at=job.lease_expires_at,
    )
    if deaths <= job.max_attempts:
        return bool(
            lost.update(state=JobState.QUEUED, run_at=clock.now(), ready_at=None, worker_deaths=deaths, **_NO_LEASE)
        )
    reason = f"worker died {deaths} times"
    with transaction.atomic():
        failed = lost.update(
            state=JobState.FAILED, reason=reason, finished_at=clock.now(), worker_deaths=deaths, **_NO_LEASE
        )
        if failed:
            settle_followers([job.pk])
    return bool(failed)


def give_back(holder_family: str) -> int:
    """Running → Queued for what the ended processes of an orderly stop still held; that is no worker's death."""
    return (
        Job.objects.running()
        .filter(lease_holder__startswith=f"{holder_family}.")
        .update(state=JobState.QUEUED, run_at=clock.now(), ready_at=None, **_NO_LEASE)
    )


def abort(job_id: UUID, reason: str) -> bool:
    """Whatever has not ended → Aborted; a running function learns of it at its next checkpoint.

    Until then it keeps its lease: it is ended for everybody, but its turn is not given to another one yet.
    """
    with transaction.atomic():
        aborted = Job.objects.filter(pk=job_id, state__in=NON_TERMINAL).update(
            state=JobState.ABORTED, reason=reason, finished_at=clock.now()
        )
        if aborted:
            settle_followers([job_id])
    return bool(aborted)


def expire(job: Job) -> bool:
    """Holding or Queued → Aborted for a job whose time is over; followers are aborted too."""
    with transaction.atomic():
        waiting = Job.objects.filter(
            pk=job.pk, state__in=(JobState.HOLDING, JobState.QUEUED), expires_at=job.expires_at
        )
        expired = waiting.update(state=JobState.ABORTED, reason="expired before it started", finished_at=clock.now())
        if expired:
            settle_followers([job.pk])
    return bool(expired)


def let_go(job: Job) -> None:
    """Note that the function of an aborted job has returned."""
    Job.objects.filter(pk=job.pk, fencing_token=job.fencing_token, state=JobState.ABORTED).update(**_NO_LEASE)


def requeue_by_operator(job: Job, *, state: JobState) -> bool:
    """Failed or Aborted → `state` (Queued, or Holding behind an unfinished predecessor), with fresh attempts.

    Return False when it is in another state, or another live job took its unique key.
    """
    try:
        with transaction.atomic():
            return bool(
                Job.objects.filter(pk=job.pk, state__in=(JobState.FAILED, JobState.ABORTED)).update(
                    state=state,
                    reason="",
                    failures=0,
                    worker_deaths=0,
                    run_at=clock.now(),
                    ready_at=ready_if_due() if state == JobState.QUEUED else None,
                    expires_at=None,
                    finished_at=None,
                    fencing_token=F("fencing_token") + 1,
                    **_NO_LEASE,
                )
            )
    except IntegrityError:
        return False


def _relaxed() -> str:
    """Return a condition that always holds and lets the statement's commit not wait for the disk.

    For PostgreSQL, outside a transaction of the caller's. It is how a worker takes, starts and completes jobs: if the
    server itself crashes, the last half second of that may be forgotten, and those jobs run again, as they would if
    the crash had come a moment earlier; nothing is lost. What must outlive it (the adding of a job, the effects of an
    atomic one with its completion, errors, aborts) is committed as ever.
    https://www.postgresql.org/docs/current/wal-async-commit.html
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return ""
    return " AND set_config('synchronous_commit', 'off', true) IS NOT NULL"


def _stored(field: str, value: object) -> Any:
    """Return a value as the column of a field takes it."""
    column: Field[Any, Any] = _COLUMNS[field]
    return column.get_db_prep_save(value, connection)


def _held(job: Job, *states: JobState) -> Any:
    return Job.objects.filter(Q(pk=job.pk, fencing_token=job.fencing_token, state__in=states))
