"""What background operations add to the console: their page, metrics and time line entries."""

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from isthmus.console import timeline
from isthmus.console.references import as_uuid
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone
from isthmus.jobs.models import Job
from isthmus.jobs.states import JobState

__all__ = ["entries_of", "listed", "metrics", "register", "status_of"]

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
_NOT_LISTED = ("arguments", "result", "error_trace")


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Background operations", "jobs:list", "operations", 10))
    register_metrics(metrics)
    timeline.register_source(entries_of, finds=correlations_of, recent=latest)


def status_of(job: Job) -> Status:
    """Return where a job stands, as a chip shows it."""
    return _STATUSES[JobState(job.state)]


def listed() -> QuerySet[Job]:
    """Return every job with what lists show, and nothing large."""
    return Job.objects.defer(*_NOT_LISTED).select_related("user")


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
