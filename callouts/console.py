"""What callouts add to the console: the integration log's page, metrics, time line entries, what is found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count, Max, Q, QuerySet
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from callouts import integration_log
from callouts.conf import options
from callouts.models import BreakerState, Destination, Direction, IntegrationLogEntry, Outcome
from credentials.models import NamedCredential
from isthmus import clock
from isthmus.access.policy import AnyUser
from isthmus.console import timeline
from isthmus.console.bundles import register_masker
from isthmus.console.finding import MOST_FOUND, Match, register_finder, time_line_or
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import any_of, as_uuid, ids_of_kind, is_known
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone

__all__ = ["breaker_status", "entries_of", "metrics", "register", "status_of", "title_of"]

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
    timeline.register_source(entries_of, finds=correlations_of, recent=latest, details=details_of)
    register_finder("Exchanges of the integration log by id, record id or idempotency key", found_exchanges)
    register_finder("Named credentials by name, and external credentials through them", found_credentials)
    register_masker(integration_log.masked_value)


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


def breaker_status(destination: Destination) -> Status:
    """Return where a circuit breaker stands, as a chip shows it."""
    if destination.is_dry_run:
        return Status("Dry run", Tone.WARNING, "pause")
    if destination.held_since is not None:
        return Status("Held", Tone.WARNING, "lock")
    if destination.breaker == BreakerState.OPEN:
        return Status("Breaker open", Tone.BAD, "ban")
    if destination.breaker == BreakerState.HALF_OPEN:
        return Status("Breaker half-open", Tone.WAITING, "hourglass")
    return Status("Breaker closed", Tone.GOOD)


def entries_of(correlation_ids: Sequence[str], limit: int) -> Iterable[timeline.Entry]:
    """Return what was sent and what came in under these correlation ids."""
    return map(_entry, listed().filter(correlation_id__in=correlation_ids).order_by("started_at", "pk")[:limit])


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation ids of the exchange of this id, or of those about the record of this id."""
    given = as_uuid(reference)
    wanted = [is_known(record_id=reference), *([Q(pk=given)] if given else [])]
    found = any_of(IntegrationLogEntry.objects.all(), *wanted).order_by("-started_at")
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
        id=_entry_id(entry),
        ended_at=entry.started_at + timedelta(milliseconds=entry.duration_ms) if entry.duration_ms else None,
        lane=_lane_of(entry),
        causes=_causes_of(entry),
    )


def _lane_of(entry: IntegrationLogEntry) -> timeline.Lane:
    if entry.direction == Direction.OUTBOUND:
        return timeline.Lane.CALLOUTS
    if entry.direction == Direction.INBOUND:
        return timeline.Lane.CALLBACKS if entry.invocation_id else timeline.Lane.CALLS
    return timeline.Lane.OTHER


def _causes_of(entry: IntegrationLogEntry) -> tuple[str, ...]:
    """Return what the exchange came from: the nearest thing that is known."""
    if entry.direction != Direction.OUTBOUND:
        # What comes in runs its job, not the other way round.
        return (f"invocation:{entry.invocation_id}",) if entry.invocation_id else ()
    if entry.queued_callout_id:
        return (f"queued:{entry.queued_callout_id}",)
    if entry.invocation_id:
        return (f"invocation:{entry.invocation_id}",)
    if entry.cause:
        return (entry.cause,)
    return (f"operation:{entry.job_id}",) if entry.job_id else ()


def found_exchanges(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the exchange of this id, and those of this idempotency key."""
    given = as_uuid(text)
    wanted = [is_known(idempotency_key=text), *([Q(pk=given)] if given else [])]
    for entry in any_of(listed(), *wanted).order_by("-started_at")[: MOST_FOUND + 1]:
        page = reverse("callouts:entry", args=[entry.pk])
        reference = str(entry.pk) if entry.pk == given else entry.correlation_id
        yield Match(
            kind="Exchange",
            icon="exchange",
            title=title_of(entry),
            url=time_line_or(page, reference=reference, correlation_id=entry.correlation_id),
            detail=f"{entry.started_at:%Y-%m-%d %H:%M:%S} UTC",
        )


def found_credentials(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the named credential of this name, and those of the external credential of this name."""
    rows = NamedCredential.objects.select_related("external_credential")
    for row in rows.filter(Q(name=text) | Q(external_credential__name=text)).order_by("name")[: MOST_FOUND + 1]:
        yield Match(
            kind="Named credential",
            icon="lock",
            title=row.label or row.name,
            url=reverse("named_credentials:detail", args=[row.name]),
            detail=row.name if row.name == text else f"Authenticates with {row.external_credential.name}",
        )


def details_of(entry_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return what the pages of these exchanges tell: both sides, as they were masked on their way into the log."""
    wanted = [*ids_of_kind("exchange", entry_ids), *ids_of_kind("call", entry_ids)]
    keys = [key for key in map(as_uuid, wanted) if key is not None]
    rows = IntegrationLogEntry.objects.filter(pk__in=keys).select_related("user", "resolved_by")
    return {_entry_id(entry): _told(entry) for entry in rows}


def _told(entry: IntegrationLogEntry) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "direction": entry.direction,
        "operation": entry.operation,
        # Not by the name of its column, which sounds like a secret.
        "destination": entry.named_credential,
        "principal": entry.principal,
        "user": entry.user.get_username() if entry.user else None,
        "record_id": entry.record_id,
        "correlation_id": entry.correlation_id,
        "cause": entry.cause,
        "idempotency_key": entry.idempotency_key,
        "job": entry.job_id,
        "invocation": entry.invocation_id,
        "queued_callout": entry.queued_callout_id,
        "attempt": entry.attempt,
        "started_at": entry.started_at,
        "duration_ms": entry.duration_ms,
        "timing": {
            "dns_ms": entry.dns_ms,
            "connect_ms": entry.connect_ms,
            "tls_ms": entry.tls_ms,
            "first_byte_ms": entry.first_byte_ms,
        },
        "outcome": entry.outcome,
        "error_code": entry.error_code,
        "error_message": entry.error_message,
        "request": {
            "method": entry.method,
            "url": entry.url,
            "headers": entry.request_headers,
            "body": entry.request_body,
        },
        "response": {
            "status_code": entry.status_code,
            "headers": entry.response_headers,
            "body": entry.response_body,
        },
        "resolution": entry.resolution,
        "resolution_note": entry.resolution_note,
        "resolved_by": entry.resolved_by.get_username() if entry.resolved_by else None,
    }


def _entry_id(entry: IntegrationLogEntry) -> str:
    return f"{'call' if entry.direction == Direction.INBOUND else 'exchange'}:{entry.pk}"
