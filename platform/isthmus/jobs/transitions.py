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
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from isthmus import clock
from isthmus.jobs.dependencies import settle_followers
from isthmus.jobs.models import Job
from isthmus.jobs.states import NON_TERMINAL, RUNNING, JobState

__all__ = [
    "abort",
    "beat",
    "claim",
    "complete",
    "fail",
    "give_back",
    "mark_rung",
    "requeue_after_error",
    "requeue_by_operator",
    "revive",
    "start",
]

Progress = dict[str, int | float | None]
"""The columns that progress changes."""

_NO_LEASE: dict[str, Any] = {"lease_holder": "", "lease_expires_at": None, "heartbeat_at": None}


def claim(job: Job, *, holder: str, lease: timedelta) -> bool:
    """Queued → Preparing for `holder`. Return False when somebody else was first or its time has not come."""
    now = clock.now()
    taken = {
        "state": JobState.PREPARING,
        "lease_holder": holder,
        "lease_expires_at": now + lease,
        "heartbeat_at": now,
        "fencing_token": job.fencing_token + 1,
    }
    waiting = Job.objects.filter(
        pk=job.pk, state=JobState.QUEUED, run_at__lte=now, fencing_token=job.fencing_token, attempts=job.attempts
    )
    if not waiting.update(**taken, attempts=F("attempts") + 1):
        return False
    for name, value in taken.items():
        setattr(job, name, value)
    job.attempts += 1
    return True


def start(job: Job) -> bool:
    """Preparing → Processing: the function is entered now."""
    now = clock.now()
    if not _held(job, JobState.PREPARING).update(
        state=JobState.PROCESSING, started_at=Coalesce(F("started_at"), Value(now))
    ):
        return False
    job.state = JobState.PROCESSING
    job.started_at = job.started_at or now
    return True


def beat(job_id: UUID, fencing_token: int, *, lease: timedelta | None, progress: Progress) -> bool:
    """Renew the lease (`None`: leave it) and show progress. Return False when the lease is lost."""
    now = clock.now()
    changes: dict[str, Any] = {"heartbeat_at": now, **progress}
    if lease is not None:
        changes["lease_expires_at"] = now + lease
    return bool(Job.objects.filter(pk=job_id, fencing_token=fencing_token, state__in=RUNNING).update(**changes))


def complete(job: Job, result: object, progress: Progress) -> bool:
    """Processing → Completed, and let the followers go. Return False when the lease is lost."""
    changes: dict[str, Any] = {"state": JobState.COMPLETED, "result": result, "finished_at": clock.now(), "reason": ""}
    with transaction.atomic():
        if not _held(job, JobState.PROCESSING).update(**changes, **progress, **_NO_LEASE):
            return False
        settle_followers([job.pk])
    return True


def requeue_after_error(job: Job, *, error: str, trace: str, delay: timedelta, progress: Progress) -> bool:
    """Running → Queued: an attempt ended with an error and another one follows after `delay`."""
    return bool(
        _held(job, *RUNNING).update(
            state=JobState.QUEUED,
            failures=F("failures") + 1,
            run_at=clock.now() + delay,
            rung_at=None,
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
            lost.update(state=JobState.QUEUED, run_at=clock.now(), rung_at=None, worker_deaths=deaths, **_NO_LEASE)
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
        .update(state=JobState.QUEUED, run_at=clock.now(), rung_at=None, **_NO_LEASE)
    )


def abort(job_id: UUID, reason: str) -> bool:
    """Whatever has not ended → Aborted; a running function learns of it at its next checkpoint."""
    with transaction.atomic():
        aborted = Job.objects.filter(pk=job_id, state__in=NON_TERMINAL).update(
            state=JobState.ABORTED, reason=reason, finished_at=clock.now(), **_NO_LEASE
        )
        if aborted:
            settle_followers([job_id])
    return bool(aborted)


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
                    rung_at=None,
                    finished_at=None,
                    fencing_token=F("fencing_token") + 1,
                )
            )
    except IntegrityError:
        return False


def mark_rung(jobs: Sequence[Job]) -> list[UUID]:
    """Note that workers are woken for these jobs; return those that nobody else is waking."""
    now, rung = clock.now(), []
    for job in jobs:
        unrung = Job.objects.filter(pk=job.pk, state=JobState.QUEUED, run_at=job.run_at, rung_at=job.rung_at)
        if unrung.update(rung_at=now):
            rung.append(job.pk)
    return rung


def _held(job: Job, *states: JobState) -> Any:
    return Job.objects.filter(Q(pk=job.pk, fencing_token=job.fencing_token, state__in=states))
