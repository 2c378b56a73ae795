"""What background operations add to the console: their page, metrics and time line entries."""

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from isthmus.console import timeline
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import as_uuid
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone
from isthmus.jobs.models import BatchRun, Job, JobLogLine, ProcessHeartbeat, Schedule
from isthmus.jobs.states import JobState

__all__ = ["batch_of", "entries_of", "listed", "metrics", "register", "spoken_rate", "status_of"]

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
    timeline.register_source(entries_of, finds=correlations_of, recent=latest)


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
    return map(_entry, listed().filter(correlation_id__in=correlation_ids).order_by("created_at", "pk")[:limit])


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation ids of the job of this id, or of the jobs about the thing of this id."""
    wanted = Q(subject_id=reference)
    if given := as_uuid(reference):
        wanted |= Q(pk=given)
    found = Job.objects.filter(wanted).order_by("-created_at")
    return found.values_list("correlation_id", flat=True)[: timeline.ENTRIES_SHOWN]


def latest(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest jobs."""
    return map(_entry, listed().order_by("-created_at", "-pk")[:limit])


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
    )
