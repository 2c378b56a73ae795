"""What background operations add to the console: their page, metrics, time line entries, what is found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from isthmus.access.policy import AnyUser
from isthmus.console import timeline
from isthmus.console.finding import MOST_FOUND, Match, register_finder, time_line_or
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import any_of, as_uuid, ids_of_kind
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone
from isthmus.jobs.models import BatchRun, Job, JobLogLine, ProcessHeartbeat, Schedule
from isthmus.jobs.states import JobState

__all__ = [
    "LOG_LINES_SHOWN",
    "batch_of",
    "entries_of",
    "listed",
    "metrics",
    "register",
    "spoken_rate",
    "status_of",
]

LOG_LINES_SHOWN = 200

_STATUSES = {
    JobState.HOLDING: Status("Holding", Tone.WAITING, "hourglass"),
    JobState.QUEUED: Status("Queued", Tone.WAITING),
    JobState.PREPARING: Status("Preparing", Tone.BUSY),
    JobState.PROCESSING: Status("Processing", Tone.BUSY),
    JobState.COMPLETED: Status("Completed", Tone.GOOD),
    JobState.FAILED: Status("Failed", Tone.BAD),
    JobState.ABORTED: Status("Aborted", Tone.NEUTRAL, "ban"),
}
# They may be large; no list shows them.
_NOT_LISTED = (
    "arguments", "sealed_arguments", "result", "error_trace", "batch__state", "batch__position", "batch__last_key",
)  # fmt: skip


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Background operations", "jobs:list", "operations", 10))
    register_metrics(metrics)
    register_live("jobs", live_mark)
    register_live("schedules", live_mark_of_schedules)
    timeline.register_source(entries_of, finds=correlations_of, recent=latest, details=details_of)
    register_finder("Background operations by id, by the id of what they are about, or by idempotency key", found_jobs)
    register_finder("Schedules by name", found_schedules)


def live_mark() -> object:
    """Return another value when jobs have changed: what was added, what ended, what runs and how far it is."""
    waiting = Job.objects.filter(state__in=[JobState.HOLDING, JobState.QUEUED])
    return (
        newest(Job.objects.all(), "created_at"),
        newest(Job.objects.ended(), "finished_at"),
        few(Job.objects.running()).aggregate(
            Count("pk"), Sum("fencing_token"), Sum("progress_done"), Max("heartbeat_at"), started=Count("started_at")
        ),
        few(waiting).aggregate(Count("pk"), Sum("failures"), Max("run_at")),
        newest(JobLogLine.objects.all(), "pk"),
    )


def live_mark_of_schedules() -> object:
    """Return another value when schedules have changed, or a process gave a sign of life."""
    return (
        list(Schedule.objects.values_list("pk", "enabled", "next_run_at", "last_run_at", "last_error")),
        list(ProcessHeartbeat.objects.values_list("pk", "beat_at")),
    )


def status_of(job: Job) -> Status:
    """Return where a job stands, as a chip shows it. Select `batch` with it."""
    run = batch_of(job)
    if run is not None and run.failed and job.state == JobState.COMPLETED:
        return Status(f"Completed, {run.failed:,} failed", Tone.WARNING)
    return _STATUSES[JobState(job.state)]


def batch_of(job: Job) -> BatchRun | None:
    """Return where the batch stands that the job runs; `None` for other jobs, and before its first attempt."""
    run: BatchRun | None = getattr(job, "batch", None)
    return run


def spoken_rate(rate: float | None) -> str:
    """Return a rate as people say it; "" for none."""
    if not rate:
        return ""
    for unit, seconds in (("second", 1), ("minute", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:,.0f} a {unit}" if rate * seconds >= 10 else f"{rate * seconds:.1f} a {unit}"
    return f"{rate * 3_600:.1f} an hour"


def listed() -> QuerySet[Job]:
    """Return every job with what lists show, and nothing large."""
    return Job.objects.defer(*_NOT_LISTED).select_related("user", "batch")


def metrics() -> Iterator[Metric]:
    """Yield the kept jobs by state."""
    kept = GaugeMetricFamily("isthmus_jobs", "Kept background operations by state.", labels=["state"])
    found = dict(Job.objects.order_by().values_list("state").annotate(number=Count("pk")))
    for state in JobState.values:
        kept.add_metric([state], found.get(state, 0))
    yield kept


def entries_of(correlation_ids: Sequence[str], limit: int) -> Iterable[timeline.Entry]:
    """Return the jobs under these correlation ids."""
    return map(
        _entry, _with_predecessors().filter(correlation_id__in=correlation_ids).order_by("created_at", "pk")[:limit]
    )


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation ids of the job of this id, or of the jobs about the thing of this id."""
    given = as_uuid(reference)
    wanted = [Q(subject_id=reference), *([Q(pk=given)] if given else [])]
    found = any_of(Job.objects.all(), *wanted).order_by("-created_at")
    return found.values_list("correlation_id", flat=True)[: timeline.ENTRIES_SHOWN]


def latest(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest jobs."""
    return map(_entry, _with_predecessors().order_by("-created_at", "-pk")[:limit])


def _with_predecessors() -> QuerySet[Job]:
    return listed().prefetch_related("dependencies")


def _entry(job: Job) -> timeline.Entry:
    return timeline.Entry(
        at=job.created_at,
        kind="Operation",
        icon="operations",
        title=job.function,
        status=status_of(job),
        url=reverse("jobs:detail", args=[job.pk]),
        detail=job.error.split("\n", 1)[0] if job.error and job.state != JobState.COMPLETED else job.reason,
        correlation_id=job.correlation_id,
        id=f"operation:{job.pk}",
        ended_at=job.finished_at,
        lane=timeline.Lane.OPERATIONS,
        causes=tuple(
            filter(None, [job.cause, *(f"operation:{wait.predecessor_id}" for wait in job.dependencies.all())])
        ),
    )


def found_jobs(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the job of this id or idempotency key, and those about the thing of this id."""
    given = as_uuid(text.removeprefix("job-"))
    wanted = [Q(subject_id=text), *([Q(pk=given)] if given else [])]
    for job in any_of(listed(), *wanted).order_by("-created_at")[: MOST_FOUND + 1]:
        is_asked_for = job.pk == given
        page = reverse("jobs:detail", args=[job.pk])
        yield Match(
            kind="Background operation",
            icon="operations",
            title=job.function,
            url=time_line_or(page, reference=str(job.pk) if is_asked_for else text, correlation_id=job.correlation_id),
            detail=f"{status_of(job).label}, {job.created_at:%Y-%m-%d %H:%M} UTC",
        )


def found_schedules(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the schedule of this name."""
    for schedule in Schedule.objects.filter(name=text):
        yield Match(
            kind="Schedule",
            icon="calendar",
            title=schedule.name,
            url=reverse("jobs:schedules"),
            detail=schedule.function,
        )


def details_of(entry_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return what the pages of these jobs tell, their log included."""
    keys = [key for key in map(as_uuid, ids_of_kind("operation", entry_ids)) if key is not None]
    lines: dict[Any, list[dict[str, Any]]] = {}
    numbered = Window(RowNumber(), partition_by="job_id", order_by="-pk")
    kept = JobLogLine.objects.filter(job__in=keys).annotate(place=numbered).filter(place__lte=LOG_LINES_SHOWN)
    for line in kept.order_by("pk"):
        told = {"at": line.created_at, "attempt": line.attempt, "message": line.message, "fields": line.fields}
        lines.setdefault(line.job_id, []).append(told)
    jobs = Job.objects.filter(pk__in=keys).select_related("user").prefetch_related("dependencies")
    return {f"operation:{job.pk}": {**_told(job), "log": lines.get(job.pk, [])} for job in jobs}


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "function": job.function,
        "kind": job.kind,
        "state": job.state,
        "reason": job.reason,
        "added_at": job.created_at,
        "due_at": job.run_at,
        "started_at": job.started_at,
        "ended_at": job.finished_at,
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "progress_done": job.progress_done,
        "progress_total": job.progress_total,
        "user": job.user.get_username() if job.user else None,
        "about": {"type": job.subject_type, "id": job.subject_id},
        "cause": job.cause,
        "after": [wait.predecessor_id for wait in job.dependencies.all()],
        "correlation_id": job.correlation_id,
        "arguments": job.arguments,
        "result": job.result,
        "error": job.error,
        "error_trace": job.error_trace,
    }
