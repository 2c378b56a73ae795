"""Finds what no bell told of: due jobs, lost wake-ups, jobs of dead workers, schedules, followers left behind.

Every worker sweeps; each step is a compare-and-set, so that several at once do no harm and none has to lead.
"""

from datetime import timedelta

from django.db.models import F, Q

from isthmus import clock
from isthmus.jobs import bells, dependencies, process_locks, processes, schedules, transitions
from isthmus.jobs.conf import options
from isthmus.jobs.models import Job
from isthmus.logs import get_logger

__all__ = ["Sweeper", "revive_lost", "ring_due"]

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
        ring_due()
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
    """Queue again, or fail, the jobs whose worker died or fell silent; return how many."""
    revived = 0
    for job in _lost():
        if transitions.revive(job):
            revived += 1
            log.warning("job.revived", job_id=str(job.pk), function=job.function, worker_deaths=job.worker_deaths + 1)
    return revived


def ring_due() -> int:
    """Wake workers for due jobs that were never rung for, or whose wake-up seems lost; return how many."""
    now = clock.now()
    due = Job.objects.due(now)
    jobs = list(due.filter(Q(rung_at=None) | Q(rung_at__lt=F("run_at")))[:_MOST_AT_ONCE])
    unheard = due.filter(rung_at__lt=now - timedelta(seconds=options.ring_again_seconds), rung_at__gte=F("run_at"))
    if unheard.exists():
        # Behind a long queue a wake-up is late, not lost: repeating it would only make the queue longer.
        room = options.rings_waiting - bells.current().waiting()
        jobs += list(unheard[: max(room, 0)])
    rung = transitions.mark_rung(jobs)
    if rung:
        bells.current().ring(rung)
    return len(rung)


def _lost() -> list[Job]:
    running = Job.objects.running()
    lost = list(running.filter(lease_expires_at__lte=clock.now())[:_MOST_AT_ONCE])
    if process_locks.waits_for_writers():
        holders = running.order_by().values_list("lease_holder", flat=True).distinct()
        dead = [holder for holder in holders if process_locks.is_dead(holder)]
        seen = {job.pk for job in lost}
        lost += [job for job in running.filter(lease_holder__in=dead)[:_MOST_AT_ONCE] if job.pk not in seen]
    return lost
