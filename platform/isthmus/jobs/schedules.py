"""Runs functions at set times: the sweeper of every worker looks, one of them enqueues.

A schedule names its times by a cron expression in a time zone, by an interval, or is one moment. Runs of a schedule
never overlap. What becomes of runs whose time passed while no worker ran is its choice (`Schedule.Missed`):

- *skip*: the latest time runs if it is younger than `ISTHMUS_JOBS_MISSED_SECONDS`, no other does;
- *once*: one run for all of them;
- *all*: each has its run, in their order, each one after the one before has ended. The next is enqueued by the first
  sweep after that; the place is kept in `next_run_at`, so that nothing is lost however long it takes.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice, takewhile

from django.db import transaction
from django.db.models import Q

from isthmus import clock, correlation
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.access.registry import ALL_TARGETS
from isthmus.jobs import cron as crons
from isthmus.jobs import registry
from isthmus.jobs.actions import enqueue_function
from isthmus.jobs.conf import options
from isthmus.jobs.errors import JobRefused, ScheduleRunning
from isthmus.jobs.models import Job, Schedule
from isthmus.jobs.registry import Declared
from isthmus.logs import get_logger

__all__ = [
    "TIMINGS",
    "ensure_declared_schedules",
    "ensure_schedule",
    "fire_due",
    "first_time",
    "register_schedule",
    "run_now",
    "upcoming",
]

log = get_logger(__name__)

TIMINGS = ("cron", "time_zone", "interval_seconds", "once_at")
"""The fields of a schedule that say when."""
_POSTPONED = timedelta(hours=1)


def ensure_schedule(
    name: str,
    function: Declared,
    *,
    cron: str = "",
    time_zone: str = "UTC",
    interval: timedelta | None = None,
    once_at: datetime | None = None,
    missed: str = Schedule.Missed.ONCE,
    arguments: Mapping[str, object] | None = None,
) -> Schedule:
    """Return the schedule of this name, adding it if there is none: what an operator changed stays as it is.

    Give `cron` (five fields, in `time_zone`, an IANA name), `interval` (whole seconds) or `once_at` (a moment).
    `missed`: "skip", "once" or "all". Raises `ValidationError` for anything else.
    """
    found = Schedule.objects.filter(name=name).first()
    if found:
        return found
    schedule = Schedule(
        name=name,
        function=function.declaration.name,
        arguments=function.declaration.accept(arguments or {}, secrets=False),
        cron=cron,
        time_zone=time_zone,
        interval_seconds=int(interval.total_seconds()) if interval else None,
        once_at=once_at,
        missed=missed,
    )
    schedule.full_clean(validate_unique=False)
    Schedule.objects.bulk_create([schedule], ignore_conflicts=True)
    return Schedule.objects.get(name=name)


_declared: dict[str, tuple[Declared, str]] = {}


def register_schedule(name: str, function: Declared, *, cron: str) -> None:
    """Let every worker see to it that this schedule is there. Raises `ValueError` when its name is taken."""
    if name in _declared:
        raise ValueError(f"A schedule named {name!r} is registered already.")
    _declared[name] = (function, cron)


def ensure_declared_schedules() -> None:
    """Add the registered schedules that are not there; what an operator changed stays as it is."""
    for name, (function, cron) in _declared.items():
        ensure_schedule(name, function, cron=cron)


def upcoming(schedule: Schedule, number: int = 5) -> list[datetime]:
    """Return the next times at which it is due, in UTC; fewer where it ends, none while it is off."""
    if not schedule.enabled:
        return []
    now = clock.now()
    first = schedule.next_run_at
    if first is None:
        first = first_time(schedule)
    if first is None:
        return []
    later = _times(schedule, max(first, now) if schedule.missed != Schedule.Missed.ALL else first)
    return [first, *islice(later, number - 1)]


def first_time(schedule: Schedule) -> datetime | None:
    """Return when a schedule is due first from now on; `None` when its one moment is over. Raises `ValueError`."""
    now = clock.now()
    if schedule.once_at is not None:
        is_over = schedule.last_run_at is not None and schedule.last_run_at >= schedule.once_at
        return None if is_over else schedule.once_at
    interval = schedule.interval
    return now + interval if interval else next(_times(schedule, now), None)


def run_now(schedule: Schedule, user: AnyUser = None) -> Job:
    """Enqueue a run beside the set times, which stay as they are. `user` is who asks, `None` the platform.

    Raises `PermissionRefused` for a user who may not operate the console, and `ScheduleRunning` while a run has not
    ended.
    """
    if user is not None:
        policy.require(user, "console", "operate", ALL_TARGETS)
    with transaction.atomic(), correlation.bind():
        if _is_running(schedule):
            raise ScheduleRunning
        job = _enqueue(schedule, None)
        Schedule.objects.filter(pk=schedule.pk).update(last_run_at=clock.now(), last_job=job, last_error="")
    log.info("schedule.run_now", schedule=schedule.name, job_id=str(job.pk), by=str(user or ""))
    return job


def fire_due() -> int:
    """Enqueue what is due; return how many."""
    fired = 0
    due = Schedule.objects.filter(Q(next_run_at=None) | Q(next_run_at__lte=clock.now()), enabled=True)
    for schedule in due.select_related("user"):
        # Asked outside a transaction: a long run must not have every sweep wait for its turn to write.
        if schedule.missed == Schedule.Missed.ALL and _is_running(schedule):
            continue
        try:
            fired += _fire(schedule)
        except (JobRefused, ValueError, KeyError) as error:
            _postpone(schedule, error)
    return fired


def _fire(schedule: Schedule) -> bool:
    """Move the schedule on and enqueue its job, both or neither; False when nothing is to run, or another worker was
    first.
    """
    now, due_at = clock.now(), schedule.next_run_at
    with transaction.atomic(), correlation.bind():
        unchanged = Schedule.objects.filter(pk=schedule.pk, next_run_at=due_at, enabled=True)
        if due_at is None:
            _begin(schedule)
            return False
        run_at, following = _chosen(schedule, due_at, now)
        moved = {"next_run_at": following, "enabled": following is not None}
        if run_at is None:
            unchanged.update(**moved, last_error=f"Missed the run of {due_at:%Y-%m-%d %H:%M} UTC.")
            return False
        if not unchanged.update(**moved, last_run_at=now, last_error=""):
            return False
        job = _enqueue(schedule, run_at)
        if schedule.missed == Schedule.Missed.ALL and job.scheduled_for != run_at:
            # A run was started by hand meanwhile: this one waits.
            transaction.set_rollback(True)
            return False
        Schedule.objects.filter(pk=schedule.pk).update(last_job=job)
    return True


def _begin(schedule: Schedule) -> None:
    """Work out the first time, or say that there is none."""
    first = first_time(schedule)
    changes: dict[str, object] = {"next_run_at": first}
    if first is None:
        changes |= {"enabled": False, "last_error": "Its moment is over."}
    Schedule.objects.filter(pk=schedule.pk, next_run_at=None, enabled=True).update(**changes)


def _chosen(schedule: Schedule, due_at: datetime, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return which time is to be run now, if any, and which one comes next, if any."""
    if schedule.missed == Schedule.Missed.ALL:
        return due_at, next(_times(schedule, due_at), None)
    following = next(_times(schedule, now), None)
    if schedule.missed == Schedule.Missed.ONCE:
        return due_at, following
    latest = _latest_time(schedule, due_at, now)
    is_missed = latest < now - timedelta(seconds=options.missed_seconds)
    return (None if is_missed else latest), following


def _latest_time(schedule: Schedule, due_at: datetime, now: datetime) -> datetime:
    """Return the last time up to now, or some time that is too old."""
    latest = due_at
    young = max(due_at, now - timedelta(seconds=options.missed_seconds, microseconds=1))
    for time in takewhile(lambda time: time <= now, _times(schedule, young)):
        latest = time
    return latest


def _times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Yield the times after a moment; an interval keeps the beat that `next_run_at` gives it."""
    interval = schedule.interval
    if schedule.once_at is not None:
        return
    if interval is None:
        yield from crons.times_after(schedule.cron, after, schedule.time_zone)
        return
    beat = schedule.next_run_at or after
    following = beat + ((after - beat) // interval + 1) * interval
    while True:
        yield following
        following += interval


def _is_running(schedule: Schedule) -> bool:
    return Job.objects.live().filter(unique_key=_key_of(schedule)).exists()


def _key_of(schedule: Schedule) -> str:
    return f"schedule:{schedule.pk}"


def _enqueue(schedule: Schedule, scheduled_for: datetime | None) -> Job:
    return enqueue_function(
        registry.find(schedule.function),
        schedule.arguments,
        kind="Scheduled",
        unique_key=_key_of(schedule),
        user=schedule.user,
        subject=("Schedule", str(schedule.pk)),
        scheduled_for=scheduled_for,
    )


def _postpone(schedule: Schedule, error: Exception) -> None:
    """Say why it does not run, and look again in an hour: an operator or a deployment must cure it.

    Where no run may be lost the place is kept, and every sweep looks again.
    """
    changes: dict[str, object] = {"last_error": str(error)}
    if schedule.missed != Schedule.Missed.ALL:
        changes["next_run_at"] = clock.now() + _POSTPONED
    elif schedule.last_error == str(error):
        return
    log.error("schedule.refused", schedule=schedule.name, error=str(error))
    Schedule.objects.filter(pk=schedule.pk, next_run_at=schedule.next_run_at).update(**changes)
