"""What external services add to the console: their pages, metrics and time line entries."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from callouts.external_services.models import CallbackReceipt, Invocation, InvocationState, ReceiptState
from isthmus.console import timeline
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import as_uuid
from isthmus.console.registry import Page, register_metrics, register_page
from isthmus.console.tones import Status, Tone

__all__ = [
    "listed_invocations",
    "listed_receipts",
    "metrics",
    "receipt_status",
    "register",
    "status_of",
]

_STATUSES = {
    InvocationState.SUBMITTED: Status("Submitted", Tone.BUSY),
    InvocationState.WAITING: Status("Waiting", Tone.WAITING),
    InvocationState.COMPLETED: Status("Completed", Tone.GOOD),
    InvocationState.TIMED_OUT: Status("Timed out", Tone.BAD, "hourglass"),
    InvocationState.FAILED: Status("Failed", Tone.BAD),
    InvocationState.CANCELLED: Status("Cancelled", Tone.NEUTRAL, "ban"),
}
_RECEIPT_STATUSES = {
    ReceiptState.RECEIVED: Status("Received", Tone.BUSY),
    ReceiptState.PROCESSED: Status("Processed", Tone.GOOD),
    ReceiptState.FAILED: Status("Failed", Tone.BAD),
    ReceiptState.LATE: Status("Late", Tone.WARNING, "clock"),
    ReceiptState.REPEATED: Status("Repeated", Tone.NEUTRAL, "copy"),
    ReceiptState.UNKNOWN: Status("Unknown", Tone.WARNING, "question"),
    ReceiptState.UNHANDLED: Status("Unhandled", Tone.WARNING),
    ReceiptState.INVALID: Status("Invalid", Tone.BAD, "ban"),
}


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("External services", "external_services:list", "plug", 30))
    register_metrics(metrics)
    register_live("invocations", live_mark)
    register_live("callbacks", live_mark_of_callbacks)
    timeline.register_source(invocation_entries, finds=correlations_of_invocation, recent=latest_invocations)
    timeline.register_source(receipt_entries, finds=correlations_of_receipt, recent=latest_receipts)


def live_mark() -> object:
    """Return another value when an invocation was submitted, answered, or has ended."""
    return (
        newest(Invocation.objects.all(), "submitted_at"),
        few(Invocation.objects.waiting()).aggregate(
            Count("pk"), Sum("attempts"), Max("expires_at"), answered=Count("answered_at")
        ),
    )


def live_mark_of_callbacks() -> object:
    """Return another value when a callback has come, or something came of one."""
    return (
        [newest(CallbackReceipt.objects.filter(state=state), "received_at") for state in ReceiptState.values],
        few(CallbackReceipt.objects.filter(state=ReceiptState.RECEIVED)).aggregate(Count("pk"), Max("routed_at")),
    )


def status_of(invocation: Invocation) -> Status:
    """Return how far an invocation is, as a chip shows it."""
    return _STATUSES[InvocationState(invocation.state)]


def receipt_status(receipt: CallbackReceipt) -> Status:
    """Return what became of a callback, as a chip shows it."""
    return _RECEIPT_STATUSES[ReceiptState(receipt.state)]


def listed_invocations() -> QuerySet[Invocation]:
    """Return every invocation with what lists show, and nothing large or secret."""
    return Invocation.objects.select_related("service", "operation").only(
        "reference",
        "state",
        "reason",
        "record_id",
        "response_status",
        "submitted_at",
        "expires_at",
        "finished_at",
        "correlation_id",
        "attempts",
        "service__name",
        "service__label",
        "operation__operation_id",
    )


def listed_receipts() -> QuerySet[CallbackReceipt]:
    """Return every received callback with what lists show, and nothing large."""
    return CallbackReceipt.objects.select_related("invocation__service").only(
        "callback_name",
        "method",
        "received_at",
        "state",
        "reason",
        "correlation_id",
        "invocation__reference",
        "invocation__service__name",
        "invocation__service__label",
    )


def metrics() -> Iterator[Metric]:
    """Yield invocations and received callbacks by state."""
    yield _by_state("isthmus_invocations", "Invocations by state.", InvocationState.values, Invocation.objects.all())
    yield _by_state(
        "isthmus_callback_receipts", "Received callbacks by state.", ReceiptState.values, CallbackReceipt.objects.all()
    )


def _by_state(
    name: str, text: str, states: Sequence[str], rows: "QuerySet[Invocation] | QuerySet[CallbackReceipt]"
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["state"])
    found = dict(rows.order_by().values_list("state").annotate(number=Count("pk")))
    for state in states:
        family.add_metric([state], found.get(state, 0))
    return family


def invocation_entries(correlation_ids: Sequence[str], limit: int) -> Iterator[timeline.Entry]:
    """Yield the beginning and, where there is one, the end of each invocation."""
    rows = listed_invocations().filter(correlation_id__in=correlation_ids).order_by("submitted_at", "pk")
    for invocation in rows[:limit]:
        yield _invocation_entry(invocation, invocation.submitted_at, "submitted", Status("Submitted", Tone.GOOD))
        if invocation.finished_at:
            yield _invocation_entry(invocation, invocation.finished_at, "ended", status_of(invocation))


def latest_invocations(limit: int) -> Iterator[timeline.Entry]:
    """Yield the latest invocations."""
    for invocation in listed_invocations().order_by("-submitted_at", "pk")[:limit]:
        yield _invocation_entry(invocation, invocation.submitted_at, "", status_of(invocation))


def _invocation_entry(invocation: Invocation, at: datetime, what: str, status: Status) -> timeline.Entry:
    return timeline.Entry(
        at=at,
        kind=f"Invocation {what}".strip(),
        icon="plug",
        title=f"{invocation.service} · {invocation.operation.operation_id}",
        status=status,
        url=reverse("external_services:invocation", args=[invocation.pk]),
        detail=" · ".join(filter(None, [invocation.reference, invocation.reason])),
        correlation_id=invocation.correlation_id,
    )


def correlations_of_invocation(reference: str) -> Iterable[str]:
    """Return the correlation ids of the invocations that are, are called, or are about `reference`."""
    wanted = Q(reference=reference) | Q(record_id=reference)
    if given := as_uuid(reference):
        wanted |= Q(pk=given)
    found = Invocation.objects.filter(wanted).order_by("-submitted_at")
    return found.values_list("correlation_id", flat=True)[: timeline.ENTRIES_SHOWN]


def receipt_entries(correlation_ids: Sequence[str], limit: int) -> Iterable[timeline.Entry]:
    """Return the callbacks under these correlation ids."""
    rows = listed_receipts().filter(correlation_id__in=correlation_ids).order_by("received_at", "pk")
    return map(_receipt_entry, rows[:limit])


def latest_receipts(limit: int) -> Iterable[timeline.Entry]:
    """Return the latest callbacks."""
    return map(_receipt_entry, listed_receipts().order_by("-received_at", "pk")[:limit])


def correlations_of_receipt(reference: str) -> Iterable[str]:
    """Return the correlation id of the callback of this id."""
    given = as_uuid(reference)
    if given is None:
        return []
    return CallbackReceipt.objects.filter(pk=given).values_list("correlation_id", flat=True)


def _receipt_entry(receipt: CallbackReceipt) -> timeline.Entry:
    service = str(receipt.invocation.service) if receipt.invocation else ""
    return timeline.Entry(
        at=receipt.received_at,
        kind="Callback",
        icon="callback",
        title=" · ".join(filter(None, [service, receipt.callback_name])) or "Callback to an unknown address",
        status=receipt_status(receipt),
        url=reverse("external_services:receipt", args=[receipt.pk]),
        detail=receipt.reason,
        correlation_id=receipt.correlation_id,
    )
