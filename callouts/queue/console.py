"""What queued callouts add to the console: their pages, metrics, time line entries, what is found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from callouts import redaction
from callouts.queue.models import BatchState, CalloutBatch, QueuedCallout
from callouts.queue.states import QueueState
from isthmus import clock, health
from isthmus.access.policy import AnyUser
from isthmus.console import timeline
from isthmus.console.finding import MOST_FOUND, Match, register_finder, time_line_or
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import any_of, as_number, ids_of_kind, is_known
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone
from isthmus.health import Health, Probe

__all__ = ["batch_status", "listed", "register", "shown_body", "status_of"]

_STATUSES = {
    QueueState.WAITING: Status("Waiting", Tone.WAITING),
    QueueState.SENDING: Status("Sending", Tone.BUSY),
    QueueState.HELD: Status("Held", Tone.WARNING, "lock"),
    QueueState.SUCCEEDED: Status("Succeeded", Tone.GOOD),
    QueueState.FAILED: Status("Failed", Tone.BAD),
    QueueState.STOPPED: Status("Stopped", Tone.BAD, "ban"),
    QueueState.IN_DOUBT: Status("In doubt", Tone.WARNING, "question"),
    QueueState.CANCELLED: Status("Cancelled", Tone.NEUTRAL, "ban"),
    QueueState.DRY_RUN: Status("Dry run", Tone.NEUTRAL, "pause"),
}
_BATCH_STATUSES = {
    BatchState.RUNNING: Status("Running", Tone.BUSY),
    BatchState.COMPLETED: Status("Completed", Tone.GOOD),
    BatchState.PARTLY_FAILED: Status("Partly failed", Tone.BAD),
    BatchState.CANCELLED: Status("Cancelled", Tone.NEUTRAL, "ban"),
}
_SHOWN_BYTES = 64 * 1024
_LATE = timedelta(minutes=5)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Queued callouts", "callout_queue:list", "inbox", 25))
    register_metrics(metrics)
    register_live("queued-callouts", live_mark)
    health.register(Probe(name="callout_queue", label="Queued callouts", ask=_ask, required=False))
    timeline.register_source(entries_of, finds=correlations_of, recent=latest, details=details_of)
    register_finder("Queued callouts by number, record id or idempotency key", found_callouts)


def live_mark() -> object:
    """Return another value when callouts were queued, taken, or ended, or a batch has changed."""
    sending = Count("pk", filter=Q(state=QueueState.SENDING))
    return (
        newest(QueuedCallout.objects.all(), "created_at"),
        newest(QueuedCallout.objects.all(), "ended_at"),
        few(QueuedCallout.objects.not_ended()).aggregate(
            Count("pk"), Sum("attempts"), Sum("fencing_token"), Max("due_at"), sending=sending
        ),
        few(CalloutBatch.objects.filter(state=BatchState.RUNNING)).aggregate(Count("pk"), Max("created_at")),
    )


def status_of(row: QueuedCallout) -> Status:
    """Return where a queued callout is, as a chip shows it."""
    return _STATUSES[QueueState(row.state)]


def batch_status(batch: CalloutBatch) -> Status:
    """Return where a batch is, as a chip shows it."""
    return _BATCH_STATUSES[BatchState(batch.state)]


def listed() -> QuerySet[QueuedCallout]:
    """Return every queued callout with what lists show, and nothing large."""
    return QueuedCallout.objects.defer("headers", "body", "context", "answer_headers", "answer_body")


def metrics() -> Iterator[Metric]:
    """Yield the queued callouts by state."""
    family = GaugeMetricFamily("isthmus_queued_callouts", "Queued callouts by state.", labels=["state"])
    found = dict(QueuedCallout.objects.order_by().values_list("state").annotate(number=Count("pk")))
    for state in QueueState.values:
        family.add_metric([state], found.get(state, 0))
    yield family


def entries_of(correlation_ids: Sequence[str], limit: int) -> Iterable[timeline.Entry]:
    """Return what was queued under these correlation ids."""
    return map(_entry, listed().filter(correlation_id__in=correlation_ids).order_by("created_at", "pk")[:limit])


def correlations_of(reference: str) -> Iterable[str]:
    """Return the correlation ids of the callouts about the record of this id."""
    found = any_of(QueuedCallout.objects.all(), is_known(record_id=reference)).order_by("-created_at")
    return found.values_list("correlation_id", flat=True)[: timeline.ENTRIES_SHOWN]


def latest(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest queued callouts."""
    return map(_entry, listed().order_by("-created_at", "-pk")[:limit])


def _entry(row: QueuedCallout) -> timeline.Entry:
    attempts = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}" if row.attempts else "not tried yet"
    return timeline.Entry(
        at=row.created_at,
        kind="Queued callout",
        icon="inbox",
        title=row.operation,
        status=status_of(row),
        url=reverse("callout_queue:detail", args=[row.pk]),
        detail=" · ".join(filter(None, [row.named_credential, attempts, row.reason])),
        correlation_id=row.correlation_id,
        id=f"queued:{row.pk}",
        ended_at=row.ended_at,
        lane=timeline.Lane.CALLOUTS,
        causes=_causes_of(row),
    )


def _causes_of(row: QueuedCallout) -> tuple[str, ...]:
    before = f"queued:{row.edited_from_id}" if row.edited_from_id else ""
    invocation = f"invocation:{row.invocation_id}" if row.invocation_id else ""
    return tuple(filter(None, [before or row.cause, invocation]))


def found_callouts(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the queued callout of this number, and those of this idempotency key."""
    given = as_number(text)
    wanted = [is_known(idempotency_key=text), *([Q(pk=given)] if given is not None else [])]
    for row in any_of(listed(), *wanted).order_by("-created_at")[: MOST_FOUND + 1]:
        page = reverse("callout_queue:detail", args=[row.pk])
        yield Match(
            kind="Queued callout",
            icon="inbox",
            title=f"{row.operation} #{row.pk}",
            # A number alone is no reference that its time line could be found by.
            url=time_line_or(page, reference=row.correlation_id, correlation_id=row.correlation_id),
            detail=f"{status_of(row).label}, {row.created_at:%Y-%m-%d %H:%M} UTC",
        )


def details_of(entry_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return what the pages of these queued callouts tell, masked as they mask it."""
    keys = [key for key in map(as_number, ids_of_kind("queued", entry_ids)) if key is not None]
    rows = QueuedCallout.objects.filter(pk__in=keys).defer("answer_headers", "answer_body")
    return {f"queued:{row.pk}": _told(row) for row in rows}


def shown_body(row: QueuedCallout) -> str:
    """Return the body as its page shows it: masked, and cut where it is long."""
    content_type = next((value for name, value in row.headers.items() if name.lower() == "content-type"), "")
    return redaction.body(bytes(row.body), content_type, at_most_bytes=_SHOWN_BYTES)


def _told(row: QueuedCallout) -> dict[str, Any]:
    return {
        "number": row.pk,
        "operation": row.operation,
        "destination": row.named_credential,
        "state": row.state,
        "reason": row.reason,
        "asked_for_at": row.created_at,
        "due_at": row.due_at,
        "ended_at": row.ended_at,
        "attempts": row.attempts,
        "status_code": row.status_code,
        "user": row.user_name,
        "record_id": row.record_id,
        "idempotency_key": row.idempotency_key,
        "invocation": row.invocation_id,
        "edited_from": row.edited_from_id,
        "cause": row.cause,
        "correlation_id": row.correlation_id,
        "context": row.context,
        "request": {
            "method": row.method,
            "url": redaction.url(row.url),
            "headers": redaction.headers(row.headers),
            "body": shown_body(row),
        },
    }


def _ask() -> Health:
    """Report due callouts that no worker takes, and dead letters."""
    now = clock.now()
    late = QueuedCallout.objects.due(now - _LATE).values_list("due_at", flat=True).first()
    dead = QueuedCallout.objects.dead_letters().count()
    if late is not None:
        # A breaker or a rate limit may be the reason; then its page tells.
        return Health(
            ok=False,
            summary="Queued callouts have been due for minutes. Is a worker running, or a destination closed?",
            age_seconds=(now - late).total_seconds(),
        )
    if dead:
        return Health(ok=False, summary=f"Callouts that wait for a decision: {dead}.")
    return Health(ok=True, summary="Queued callouts leave in time; none waits for a decision.")
