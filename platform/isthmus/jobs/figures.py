"""What background operations count, what of them waits, and what of them needs a person."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Min
from django.db.models.functions import Substr
from django.urls import reverse

from isthmus import clock
from isthmus.access.limits import Limit, register_limits
from isthmus.console import charts, overview
from isthmus.console.charts import Chart
from isthmus.console.connections import Broker, register_broker
from isthmus.console.overview import Need, Today, Urgency, Waiting
from isthmus.console.rollups.series import Kind, Sample, Series, register_series
from isthmus.console.rollups.spans import Span
from isthmus.jobs import bells, processes
from isthmus.jobs.conf import options
from isthmus.jobs.jobs import roll_up_figures
from isthmus.jobs.models import Job, Schedule
from isthmus.jobs.schedules import register_schedule
from isthmus.jobs.states import TERMINAL, JobState

__all__ = ["cause_of", "charts_of", "register"]

ENDED, FAILURES, WAITS = "jobs.ended", "jobs.failures", "jobs.waits"
_AT_ONCE = 2_000
_RECENT = timedelta(days=7)
_CLASS = re.compile(r"(?:[\w.]*\.)?(\w+)(?::|$)")
_DIED = re.compile(r"worker died")


def register() -> None:
    """Join the roll-up, the home page, *Limits* and *Connections*; called once, when the app is ready."""
    kinds = (
        Kind(name=JobState.COMPLETED, label="completed", tone="good"),
        Kind(name=JobState.FAILED, label="failed", tone="bad"),
        Kind(name=JobState.ABORTED, label="aborted", tone="neutral"),
    )
    for series in (
        Series(name=ENDED, subject="Operations that ended", kinds=kinds, measure=_ended, first_since=_first_end_since),
        Series(name=FAILURES, subject="Operations that failed", measure=_failures, first_since=_first_end_since),
        Series(name=WAITS, subject="Operations that began", measure=_waits, first_since=_first_start_since),
    ):
        register_series(series)
    for today in (
        Today(
            label="Operations completed",
            series=ENDED,
            kinds=(JobState.COMPLETED,),
            url_name="jobs:list",
            query="state=Completed&since=24h",
        ),
        Today(
            label="Operations failed",
            series=ENDED,
            kinds=(JobState.FAILED,),
            url_name="jobs:list",
            query="state=Failed&since=24h",
            wanted="less",
        ),
    ):
        overview.register_today(today)
    overview.register_needs(_needs)
    overview.register_waiting(_waiting)
    overview.register_home_chart(_throughput)
    register_limits(_limits)
    register_schedule("Roll up figures", roll_up_figures, cron="*/5 * * * *")
    register_broker(
        Broker(name="jobs", label="Job broker", url_name="jobs:schedules", detail=_broker_kind, ask=_ask_broker)
    )


def charts_of(span: Span) -> list[Chart]:
    """Return the charts of the page of background operations."""
    return [
        _throughput(span),
        charts.durations("waits", WAITS, span, title="Wait from due to start", what="operations waited"),
        charts.durations("took", ENDED, span, title="Time from start to end", what="operations took"),
        charts.counts("causes", FAILURES, span, title="Failures by cause"),
    ]


def cause_of(error: str, reason: str) -> str:
    """Return why a job failed, in a word that other jobs share: the class of its error, without what it said."""
    if not error:
        return "worker died" if _DIED.match(reason) else (reason[:60] or "unknown")
    found = _CLASS.match(error)
    return found[1] if found else "unknown"


def _throughput(span: Span) -> Chart:
    return charts.counts("throughput", ENDED, span, title="Operations ended")


def _ended(begin: datetime, end: datetime) -> Iterator[Sample]:
    for ended_at, state, started_at in _ended_in(begin, end).values_list("finished_at", "state", "started_at"):
        yield Sample(at=ended_at, kind=state, milliseconds=_milliseconds(started_at, ended_at))


def _failures(begin: datetime, end: datetime) -> Iterator[Sample]:
    failed = _ended_in(begin, end).filter(state=JobState.FAILED).annotate(error_start=Substr("error", 1, 200))
    for ended_at, error, reason in failed.values_list("finished_at", "error_start", "reason"):
        yield Sample(at=ended_at, kind=cause_of(error, reason))


def _waits(begin: datetime, end: datetime) -> Iterator[Sample]:
    """Yield how long jobs waited for a worker since they might be taken; only a first attempt still knows."""
    begun: Any = Job.objects.filter(started_at__gte=begin, started_at__lt=end, attempts=1, ready_at__isnull=False)
    for started_at, ready_at in begun.order_by().values_list("started_at", "ready_at"):
        yield Sample(at=started_at, kind="begun", milliseconds=_milliseconds(ready_at, started_at))


def _ended_in(begin: datetime, end: datetime) -> Any:
    return Job.objects.filter(state__in=TERMINAL, finished_at__gte=begin, finished_at__lt=end).order_by()


def _milliseconds(begin: datetime | None, end: datetime) -> float | None:
    return None if begin is None else max(0.0, (end - begin) / timedelta(milliseconds=1))


def _first_end() -> datetime | None:
    ended = Job.objects.filter(state__in=TERMINAL, finished_at__isnull=False).order_by("finished_at")
    return ended.values_list("finished_at", flat=True).first()


def _first_end_since(moment: datetime) -> datetime | None:
    ended = Job.objects.filter(state__in=TERMINAL, finished_at__gte=moment).order_by("finished_at")
    return ended.values_list("finished_at", flat=True).first()


def _first_start_since(moment: datetime) -> datetime | None:
    begun = Job.objects.filter(started_at__gte=moment).order_by("started_at")
    return begun.values_list("started_at", flat=True).first()


def _needs() -> Iterator[Need]:
    yield from _worker_needs()
    failed = Job.objects.filter(state=JobState.FAILED, finished_at__gte=clock.now() - _RECENT)
    found = failed.aggregate(number=Count("pk"), oldest=Min("finished_at"))
    if number := found["number"]:
        yield Need(
            title=f"{number:,} background operation{'s' if number > 1 else ''} failed within 7 days",
            urgency=Urgency.BROKEN,
            url=f"{reverse('jobs:list')}?state=Failed&since=7d",
            advice="See what each one says, mend it, and retry it.",
            since=found["oldest"],
        )
    if refused := Schedule.objects.filter(enabled=True).exclude(last_error="").count():
        yield Need(
            title=f"{refused:,} schedule{'s' if refused > 1 else ''} cannot run",
            urgency=Urgency.BROKEN,
            url=reverse("jobs:schedules"),
            advice="Correct the function or its arguments, or switch it off.",
        )


def _worker_needs() -> Iterator[Need]:
    beat = processes.last_beat("worker")
    if beat is not None and (clock.now() - beat.beat_at).total_seconds() <= options.silent_seconds:
        return
    yield Need(
        title="No worker runs",
        urgency=Urgency.NOW,
        url=reverse("jobs:schedules"),
        advice="Start `manage.py worker`: operations, queued callouts and schedules wait until one runs.",
        since=beat.beat_at if beat else None,
    )


def _waiting() -> Iterator[Waiting]:
    due = Job.objects.filter(state=JobState.QUEUED, run_at__lte=clock.now())
    found = due.aggregate(number=Count("pk"), oldest=Min("run_at"))
    yield Waiting(
        label="Background operations",
        number=found["number"],
        since=found["oldest"],
        url=f"{reverse('jobs:list')}?state=Queued",
        late_after_seconds=options.waiting_seconds,
        hint="due, and not taken by a worker",
    )


def _limits() -> Iterator[Limit]:
    yield Limit(
        group="Background operations",
        label="Arguments or result of an operation",
        maximum=options.argument_bytes,
        used=None,
        per="one operation",
        unit="bytes",
        setting="ISTHMUS_JOBS_ARGUMENT_BYTES",
        when_reached="Larger arguments are refused at once; an operation with a larger result fails.",
    )
    yield Limit(
        group="Background operations",
        label="Log lines",
        maximum=options.log_lines,
        used=None,
        per="one attempt",
        setting="ISTHMUS_JOBS_LOG_LINES",
        when_reached="Further lines are left out.",
    )
    yield Limit(
        group="Storage",
        label="Ended operations",
        maximum=options.retention_days,
        used=_age_in_days(_first_end()),
        per="the oldest one",
        unit="days",
        setting="ISTHMUS_JOBS_RETENTION_DAYS",
        when_reached="A daily operation removes them, with their log lines.",
    )


def _age_in_days(moment: datetime | None) -> float:
    return 0.0 if moment is None else (clock.now() - moment) / timedelta(days=1)


def _broker_kind() -> str:
    return "Redis" if "redis" in settings.Q_CLUSTER else "notices of the database"


def _ask_broker() -> None:
    bells.current().ask()
