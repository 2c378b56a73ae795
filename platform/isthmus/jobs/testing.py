"""Runs background operations inside a test: no worker, no waiting.

def test_the_lead_is_submitted(db, jobs):
    submit.enqueue(lead_id=5)
    [job] = jobs.run_all()
    assert job.state == "Completed"
"""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.db import transaction

from isthmus import clock
from isthmus.jobs import bells, dependencies, execution, schedules, sweeper
from isthmus.jobs.bells import SilentBell
from isthmus.jobs.models import Job
from isthmus.jobs.reporting import DirectReporter, ThreadReporter
from isthmus.jobs.states import JobState

__all__ = ["JobRunner", "jobs", "run_all", "run_due_schedules"]

_MOST_RUNS = 10_000


def run_all(*, ignore_delays: bool = False) -> list[Job]:
    """Run every due job in this process, and those they enqueue, until none is due; return them as they ended.

    A job that failed and waits for its next attempt is due when the clock has moved, or with `ignore_delays`. Jobs run
    under the same claims, fences and state changes as in a worker. Raises `RuntimeError` if they never end.
    """
    ran: dict[UUID, None] = {}
    for _ in range(_MOST_RUNS):
        dependencies.settle_stranded()
        sweeper.abort_expired()
        job = _next(ignore_delays=ignore_delays)
        if job is None:
            return [Job.objects.get(pk=job_id) for job_id in ran]
        with DirectReporter() if transaction.get_connection().in_atomic_block else ThreadReporter() as reporter:
            execution.run(job.pk, reporter)
        ran[job.pk] = None
    raise RuntimeError(f"After {_MOST_RUNS} runs jobs are still due.")


def _next(*, ignore_delays: bool) -> Job | None:
    sweeper.ready_due()
    ready = Job.objects.ready(clock.now()).first()
    if ready or not ignore_delays:
        return ready
    delayed = Job.objects.filter(state=JobState.QUEUED, run_at__gt=clock.now()).order_by("run_at").first()
    if delayed is None:
        return None
    Job.objects.filter(pk=delayed.pk).update(run_at=clock.now())
    return _next(ignore_delays=False)


def run_due_schedules(*, ignore_delays: bool = False) -> list[Job]:
    """Run what schedules are due for, with all that follows, until none is due; return the jobs as they ended.

    Of a schedule that is new only its first time is worked out: move the clock, then call this again.
    """
    ran: dict[UUID, Job] = {}
    for _ in range(_MOST_RUNS):
        fired, ended = schedules.fire_due(), run_all(ignore_delays=ignore_delays)
        ran |= {job.pk: job for job in ended}
        if not fired and not ended:
            return list(ran.values())
    raise RuntimeError(f"After {_MOST_RUNS} sweeps schedules are still due.")


class JobRunner:
    """What the fixture `jobs` gives."""

    def __init__(self, bell: SilentBell) -> None:
        self._bell = bell

    @property
    def rings(self) -> int:
        """How often workers would have been woken."""
        return self._bell.rings

    def run_all(self, *, ignore_delays: bool = False) -> list[Job]:
        """See `run_all`."""
        return run_all(ignore_delays=ignore_delays)

    def run_due_schedules(self, *, ignore_delays: bool = False) -> list[Job]:
        """See `run_due_schedules`."""
        return run_due_schedules(ignore_delays=ignore_delays)


@pytest.fixture
def jobs() -> Iterator[JobRunner]:
    """Runs jobs in the test's process; no broker is touched."""
    bell = SilentBell()
    with bells.use(bell):
        yield JobRunner(bell)
