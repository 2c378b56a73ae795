"""What callouts add to the console: the integration log's page, metrics and time line entries."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from django.db.models import Count, Max, Q, QuerySet
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from callouts.conf import options
from callouts.models import Direction, IntegrationLogEntry, Outcome
from isthmus import clock
from isthmus.console import timeline
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import as_uuid
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone

__all__ = ["entries_of", "metrics", "register", "status_of", "title_of"]

_STATUSES = {
    Outcome.SUCCEEDED: Status("Succeeded", Tone.GOOD),
    Outcome.FAILED: Status("Failed", Tone.BAD),
    Outcome.IN_DOUBT: Status("In doubt", Tone.WARNING, "question"),
    Outcome.REFUSED: Status("Refused", Tone.NEUTRAL, "ban"),
}
_UNDER_WAY = Status("Under way", Tone.BUSY)
# Bodies and headers are large; a time line and a table show neither.
_NOT_LISTED = ("request_headers", "request_body", "response_headers", "response_body")


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Integration log", "callouts:log", "exchange", 20))
    register_page(Page("Named credentials", "named_credentials:list", "lock", 45))
    register_metrics(metrics)
    register_live("exchanges", live_mark)
    timeline.register_source(entries_of, finds=correlations_of, recent=latest)


def live_mark() -> object:
    """Return another value when an exchange has begun, ended, or was decided about."""
    return (
        newest(IntegrationLogEntry.objects.all(), "started_at"),
        few(IntegrationLogEntry.objects.in_doubt()).aggregate(Count("pk"), Count("duration_ms"), Max("resolved_at")),
    )


def status_of(entry: IntegrationLogEntry) -> Status:
    """Return how an exchange ended, as a chip shows it.

    One without an end is under way only as long as a callout may take; after that its process must have died.
    """
    is_recent = clock.now() - entry.started_at < _longest()
    if entry.outcome == Outcome.IN_DOUBT and entry.is_under_way and is_recent:
        return _UNDER_WAY
    return _STATUSES[Outcome(entry.outcome)]


def _longest() -> timedelta:
    return timedelta(seconds=options.max_timeout_seconds)


def title_of(entry: IntegrationLogEntry) -> str:
    """Return what an exchange is called where there is room for one line."""
    return entry.operation or f"{entry.method} {_path_of(entry.url)}".strip()


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path or url
    except ValueError:
        return url  # What was refused for its malformed address is kept as it was given.


def listed() -> QuerySet[IntegrationLogEntry]:
    """Return every entry with what lists show, and nothing large."""
    return IntegrationLogEntry.objects.defer(*_NOT_LISTED)


def metrics() -> Iterator[Metric]:
    """Yield the kept entries by direction and outcome."""
    kept = GaugeMetricFamily(
        "isthmus_integration_log_entries", "Kept exchanges by outcome.", labels=["direction", "outcome"]
    )
    counts = dict.fromkeys(((direction, outcome) for direction in Direction.values for outcome in Outcome.values), 0)
    rows = IntegrationLogEntry.objects.order_by().values_list("direction", "outcome").annotate(number=Count("pk"))
    counts.update({(direction, outcome): number for direction, outcome, number in rows})
    for labels, number in counts.items():
        kept.add_metric(list(labels), number)
    yield kept


def entries_of(correlation_ids: Sequence[str], limit: int) -> Iterable[timeline.Entry]:
    """Return what was sent and what came in under these correlation ids."""
    return map(_entry, listed().filter(correlation_id__in=correlation_ids).order_by("started_at", "pk")[:limit])


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation ids of the exchange of this id, or of those about the record of this id."""
    wanted = Q(record_id=reference)
    if given := as_uuid(reference):
        wanted |= Q(pk=given)
    found = IntegrationLogEntry.objects.filter(wanted).order_by("-started_at")
    return found.values_list("correlation_id", flat=True)[: timeline.ENTRIES_SHOWN]


def latest(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest exchanges."""
    return map(_entry, listed().order_by("-started_at", "-pk")[:limit])


def _entry(entry: IntegrationLogEntry) -> timeline.Entry:
    kinds = {Direction.INBOUND: "Call from outside", Direction.OUTBOUND: "Callout", Direction.NOTED: "Noted"}
    icons = {Direction.INBOUND: "arrow-in", Direction.OUTBOUND: "arrow-out", Direction.NOTED: "record"}
    direction = Direction(entry.direction)
    answer = f"HTTP {entry.status_code}" if entry.status_code else entry.error_code
    parts = [answer, f"{entry.duration_ms} ms" if entry.duration_ms is not None else "", entry.named_credential]
    return timeline.Entry(
        at=entry.started_at,
        kind=kinds[direction],
        icon=icons[direction],
        title=title_of(entry),
        status=status_of(entry),
        url=reverse("callouts:entry", args=[entry.pk]),
        detail=" · ".join(filter(None, parts)),
        correlation_id=entry.correlation_id,
    )
