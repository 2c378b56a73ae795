"""Runs functions at set times: the sweeper of every worker looks, one of them enqueues."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from isthmus import clock, correlation
from isthmus.jobs import cron as crons
from isthmus.jobs import registry
from isthmus.jobs.actions import enqueue_function
from isthmus.jobs.errors import JobRefused
from isthmus.jobs.models import Schedule
from isthmus.jobs.registry import Declared
from isthmus.logs import get_logger

__all__ = ["ensure_declared_schedules", "ensure_schedule", "fire_due", "register_schedule"]

log = get_logger(__name__)


def ensure_schedule(
    name: str,
    function: Declared,
    *,
    cron: str = "",
    interval: timedelta | None = None,
    arguments: Mapping[str, object] | None = None,
) -> Schedule:
    """Return the schedule of this name, adding it if there is none: what an operator changed stays as it is.

    Give `cron` (five fields, UTC) or `interval` (whole seconds). Raises `ValidationError` for anything else.
    """
    found = Schedule.objects.filter(name=name).first()
    if found:
        return found
    schedule = Schedule(
        name=name,
        function=function.declaration.name,
        arguments=function.declaration.accept(arguments or {}),
        cron=cron,
        interval_seconds=int(interval.total_seconds()) if interval else None,
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


def fire_due() -> int:
    """Enqueue what is due; return how many. Runs missed meanwhile are not caught up, runs never overlap."""
    fired = 0
    for schedule in Schedule.objects.filter(Q(next_run_at=None) | Q(next_run_at__lte=clock.now()), enabled=True):
        try:
            fired += _fire(schedule)
        except (JobRefused, ValueError) as error:
            _postpone(schedule, error)
    return fired


def _fire(schedule: Schedule) -> bool:
    """Move the schedule on and enqueue its job, both or neither; False when another worker did."""
    now, due_at = clock.now(), schedule.next_run_at
    with transaction.atomic(), correlation.bind():
        unchanged = Schedule.objects.filter(pk=schedule.pk, next_run_at=due_at, enabled=True)
        following = _next_run(schedule, now)
        if due_at is None:
            unchanged.update(next_run_at=following)
            return False
        if not unchanged.update(next_run_at=following, last_run_at=now, last_error=""):
            return False
        enqueue_function(
            registry.find(schedule.function),
            schedule.arguments,
            kind="Scheduled",
            unique_key=f"schedule:{schedule.pk}",
            user=schedule.user,
            subject=("Schedule", str(schedule.pk)),
        )
    return True


def _next_run(schedule: Schedule, now: datetime) -> datetime:
    interval = schedule.interval
    if interval is None:
        return crons.next_after(schedule.cron, now)
    if schedule.next_run_at is None:
        return now + interval
    # Keep the beat: the next multiple of the interval that is still ahead.
    missed = (now - schedule.next_run_at) // interval
    return schedule.next_run_at + (missed + 1) * interval


def _postpone(schedule: Schedule, error: Exception) -> None:
    """Say why it does not run, and look again in an hour: an operator or a deployment must cure it."""
    log.error("schedule.refused", schedule=schedule.name, error=str(error))
    Schedule.objects.filter(pk=schedule.pk, next_run_at=schedule.next_run_at).update(
        last_error=str(error), next_run_at=clock.now() + timedelta(hours=1)
    )
