"""Finds what no bell told of: due jobs, free turns, jobs of dead workers, schedules, followers left behind.

Every worker sweeps; each step is a compare-and-set, so that several at once do no harm and none has to lead.
"""

from datetime import timedelta

from isthmus import clock
from isthmus.jobs import bells, dependencies, process_locks, processes, readiness, schedules, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.models import Job
from isthmus.jobs.states import JobState
from isthmus.logs import get_logger

__all__ = ["Sweeper", "abort_expired", "ready_due", "revive_lost"]

log = get_logger(__name__)

_MOST_AT_ONCE = 200
_HOUSEKEEPING_SECONDS = 600
_FORGET_SILENT = timedelta(days=1)


class Sweeper:
    """One worker's rounds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next_beat = self._next_housekeeping = float("-inf")

    def sweep(self) -> None:
        """Make one round. Raises `DatabaseError` when the database is away: the next round does what this one left."""
        self._beat()
        revive_lost()
        dependencies.settle_stranded()
        schedules.fire_due()
        abort_expired()
        ready_due()
        self._keep_house()

    def _beat(self) -> None:
        if clock.monotonic_seconds() >= self._next_beat:
            processes.beat("worker", self._name)
            self._next_beat = clock.monotonic_seconds() + options.heartbeat_seconds

    def _keep_house(self) -> None:
        if clock.monotonic_seconds() >= self._next_housekeeping:
            process_locks.forget_dead()
            processes.forget_silent(_FORGET_SILENT)
            self._next_housekeeping = clock.monotonic_seconds() + _HOUSEKEEPING_SECONDS


def revive_lost() -> int:
    """Queue again, or fail, the jobs whose worker died or fell silent; return how many.

    Aborted ones whose function was still running then have left their places.
    """
    revived = 0
    for job in _without_holder():
        if job.state == JobState.ABORTED:
            transitions.let_go(job)
        elif transitions.revive(job):
            revived += 1
            log.warning("job.revived", job_id=str(job.pk), function=job.function, worker_deaths=job.worker_deaths + 1)
    return revived


def ready_due() -> int:
    """Let workers take what has come due or whose turn has come, and wake them; return how many."""
    readied = readiness.make_due_ready() + readiness.admit_everywhere()
    if readied:
        bells.current().ring()
    return readied


def abort_expired() -> int:
    """Abort what has not started in its time; return how many."""
    aborted = 0
    for job in readiness.expired():
        aborted += transitions.expire(job)
    return aborted


def _without_holder() -> list[Job]:
    """Return the jobs whose lease ran out, or whose holder is known to be dead."""
    leased = Job.objects.filter(lease_expires_at__isnull=False)
    found = list(leased.filter(lease_expires_at__lte=clock.now())[:_MOST_AT_ONCE])
    if process_locks.waits_for_writers():
        holders = leased.order_by().values_list("lease_holder", flat=True).distinct()
        dead = [holder for holder in holders if process_locks.is_dead(holder)]
        seen = {job.pk for job in found}
        found += [job for job in leased.filter(lease_holder__in=dead)[:_MOST_AT_ONCE] if job.pk not in seen]
    return found
