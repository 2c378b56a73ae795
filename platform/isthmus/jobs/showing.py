"""What the pages show of dependencies, of a batch's failures and of schedules."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from isthmus import clock
from isthmus.console.tones import Status
from isthmus.jobs.console import batch_of, status_of
from isthmus.jobs.models import BatchFailure, Job, JobDependency, JobState, Schedule
from isthmus.jobs.schedules import upcoming

__all__ = [
    "FailuresShown",
    "Link",
    "ScheduleShown",
    "can_retry_failed",
    "chain_of",
    "failures_shown",
    "local_times",
    "scheduled",
    "spoken_times",
    "why_it_waits",
]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_LINKS_SHOWN = 50
_CHUNKS_SHOWN = 20
_ITEMS_SHOWN = 25


@dataclass(frozen=True)
class Link:
    """A job before or after another one."""

    word: str
    job: Job
    status: Status
    is_before: bool


@dataclass(frozen=True)
class FailedChunk:
    """One chunk in which something failed."""

    failure: BatchFailure
    items: list[tuple[str, str]]
    """Key and error of the first ones; an empty error: the chunk's."""
    more: int


@dataclass(frozen=True)
class FailuresShown:
    """The first chunks in which something failed."""

    chunks: list[FailedChunk]
    more: bool


@dataclass(frozen=True)
class ScheduleShown:
    """A schedule with its next times."""

    schedule: Schedule
    times: str
    next_times: list[str]
    last_status: Status | None


def chain_of(job: Job) -> list[Link]:
    """Return what the job waits or waited for, then what waits for it."""
    return [*_links(job, is_before=True), *_links(job, is_before=False)]


def failures_shown(job: Job) -> FailuresShown:
    """Return what failed in a batch, as far as a page shows it."""
    found = list(BatchFailure.objects.filter(job=job).order_by("chunk")[: _CHUNKS_SHOWN + 1])
    chunks = [
        FailedChunk(
            failure,
            [(key, error) for _, key, error in failure.items[:_ITEMS_SHOWN]],
            max(len(failure.items) - _ITEMS_SHOWN, 0),
        )
        for failure in found[:_CHUNKS_SHOWN]
    ]
    return FailuresShown(chunks, more=len(found) > _CHUNKS_SHOWN)


def can_retry_failed(job: Job) -> bool:
    """Return whether what failed in it can be tried again by itself. Select `retry_of_failed` with it."""
    run = batch_of(job)
    is_retried = getattr(job, "retry_of_failed", None) is not None
    return run is not None and run.failed > 0 and job.state == JobState.COMPLETED and not is_retried


def scheduled(schedule: Schedule) -> ScheduleShown:
    """Return what the page shows of a schedule. Select `last_job__batch` with it."""
    last = status_of(schedule.last_job) if schedule.last_job else None
    return ScheduleShown(schedule, spoken_times(schedule), local_times(schedule), last)


def spoken_times(schedule: Schedule) -> str:
    """Return when a schedule that is no cron expression runs."""
    if schedule.once_at is not None:
        return f"once, {schedule.once_at:%Y-%m-%d %H:%M} UTC"
    seconds = schedule.interval_seconds
    if not seconds:
        return ""
    unit, name = next(((size, name) for size, name in _UNITS if seconds % size == 0), (1, "s"))
    return f"every {seconds // unit:,} {name}"


def local_times(schedule: Schedule) -> list[str]:
    """Return the next five times as its zone's clocks show them; none where its times cannot be read."""
    try:
        zone = None if schedule.time_zone == "UTC" else ZoneInfo(schedule.time_zone)
        return [_local(time, zone) for time in upcoming(schedule)]
    except (ValueError, KeyError):
        return []


def _local(time: datetime, zone: ZoneInfo | None) -> str:
    return f"{time:%a %Y-%m-%d %H:%M} UTC" if zone is None else f"{time.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"


def _links(job: Job, *, is_before: bool) -> list[Link]:
    name = "predecessor" if is_before else "job"
    waits = job.dependencies if is_before else job.dependents
    found = (
        waits.select_related(f"{name}__batch")
        .order_by("pk")
        .defer(*(f"{name}__{each}" for each in ("arguments", "sealed_arguments", "result", "error_trace")))
    )
    return [
        Link(_word(each, is_before=is_before), other := getattr(each, name), status_of(other), is_before)
        for each in found[:_LINKS_SHOWN]
    ]


def _word(wait: JobDependency, *, is_before: bool) -> str:
    if wait.condition == JobDependency.Condition.ENDED:
        return "After the end of" if is_before else "Finally"
    return "After" if is_before else "Then"


def why_it_waits(job: Job) -> str:
    """Return what a queued job waits for, as a sentence; "" for one that does not wait."""
    if job.state != JobState.QUEUED:
        return ""
    if job.run_at > clock.now():
        return "Waits for its time."
    if job.ready_at is not None or not job.is_gated:
        return "Waits for a worker that is free."
    if job.concurrency_key:
        return "Waits for its turn: one at a time runs of this key."
    return "Waits for its turn: as many of its function or kind run as may run at a time."
