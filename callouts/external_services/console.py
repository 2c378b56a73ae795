"""What external services add to the console: their pages, metrics, time line entries, what is found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.urls import reverse
from prometheus_client.core import GaugeMetricFamily, Metric

from callouts.external_services.models import (
    CallbackReceipt,
    ExternalService,
    Invocation,
    InvocationState,
    ReceiptState,
)
from isthmus.access.policy import AnyUser
from isthmus.console import timeline
from isthmus.console.finding import MOST_FOUND, Match, register_finder, time_line_or
from isthmus.console.live import few, newest, register_live
from isthmus.console.references import any_of, as_uuid, ids_of_kind, is_known
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
    timeline.register_source(
        invocation_entries,
        finds=correlations_of_invocation,
        recent=latest_invocations,
        details=details_of_invocations,
    )
    timeline.register_source(
        receipt_entries, finds=correlations_of_receipt, recent=latest_receipts, details=details_of_receipts
    )
    register_finder("Invocations by id, reference, record id or idempotency key", found_invocations)
    register_finder("Callbacks by id", found_receipts)
    register_finder("External services by name", found_services)


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
        "cause",
        "attempts",
        "job_id",
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
        "job_id",
        "finished_at",
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
        yield replace(
            _invocation_entry(invocation, invocation.submitted_at, "submitted", Status("Submitted", Tone.GOOD)),
            id=f"invocation:{invocation.pk}",
            ended_at=invocation.finished_at,
            causes=_causes_of(invocation),
        )
        if invocation.finished_at:
            yield replace(
                _invocation_entry(invocation, invocation.finished_at, "ended", status_of(invocation)),
                id=f"invocation-end:{invocation.pk}",
                lane=timeline.Lane.CALLBACKS,
                causes=(f"invocation:{invocation.pk}",),
            )


def _causes_of(invocation: Invocation) -> tuple[str, ...]:
    """Return what it was submitted in."""
    if invocation.cause:
        return (invocation.cause,)
    return (f"operation:{invocation.job_id}",) if invocation.job_id else ()


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
        lane=timeline.Lane.CALLOUTS,
    )


def correlations_of_invocation(reference: str) -> Iterable[str]:
    """Return the correlation ids of the invocations that are, are called, or are about `reference`."""
    given = as_uuid(reference)
    wanted = [is_known(reference=reference), is_known(record_id=reference), *([Q(pk=given)] if given else [])]
    found = any_of(Invocation.objects.all(), *wanted).order_by("-submitted_at")
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
        id=f"callback:{receipt.pk}",
        ended_at=receipt.finished_at,
        lane=timeline.Lane.CALLBACKS,
        causes=(f"invocation:{receipt.invocation_id}",) if receipt.invocation_id else (),
    )


def found_invocations(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the invocation of this id or idempotency key, and those of this reference."""
    given = as_uuid(text)
    wanted = [is_known(reference=text), Q(idempotency_key=text), *([Q(pk=given)] if given else [])]
    for invocation in any_of(listed_invocations(), *wanted).order_by("-submitted_at")[: MOST_FOUND + 1]:
        page = reverse("external_services:invocation", args=[invocation.pk])
        yield Match(
            kind="Invocation",
            icon="plug",
            title=str(invocation),
            url=time_line_or(page, reference=str(invocation.pk), correlation_id=invocation.correlation_id),
            detail=f"{invocation.service} · {invocation.operation.operation_id}, {status_of(invocation).label.lower()}",
        )


def found_receipts(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the callback of this id."""
    if given := as_uuid(text):
        for receipt in listed_receipts().filter(pk=given):
            page = reverse("external_services:receipt", args=[receipt.pk])
            yield Match(
                kind="Callback",
                icon="callback",
                title=receipt.callback_name or "Callback",
                url=time_line_or(page, reference=str(receipt.pk), correlation_id=receipt.correlation_id),
                detail=receipt_status(receipt).label,
            )


def found_services(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the service of this name."""
    for service in ExternalService.objects.filter(name=text).only("name", "label"):
        yield Match(
            kind="External service",
            icon="plug",
            title=str(service),
            url=reverse("external_services:service", args=[service.name]),
            detail=service.name,
        )


def details_of_invocations(entry_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return what the pages of these invocations tell; the token of the callback address is never read."""
    keys = [key for key in map(as_uuid, ids_of_kind("invocation", entry_ids)) if key is not None]
    rows = Invocation.objects.filter(pk__in=keys).select_related("service", "operation", "user")
    shown = rows.defer("callback_token", "callback_token_digest", "operation__definition", "operation__callbacks")
    return {f"invocation:{row.pk}": _invocation_told(row) for row in shown}


def _invocation_told(row: Invocation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "service": row.service.name,
        "operation": row.operation.operation_id,
        "reference": row.reference,
        "idempotency_key": row.idempotency_key,
        "handler": row.handler,
        "state": row.state,
        "reason": row.reason,
        "record_id": row.record_id,
        "attempts": row.attempts,
        "submitted_at": row.submitted_at,
        "answered_at": row.answered_at,
        "expires_at": row.expires_at,
        "ended_at": row.finished_at,
        "user": row.user.get_username() if row.user else None,
        "job": row.job_id,
        "correlation_id": row.correlation_id,
        "cause": row.cause,
        "asked": row.request,
        "first_answer": {"status_code": row.response_status, "body": row.shown_response},
    }


def details_of_receipts(entry_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return what the pages of these callbacks tell."""
    keys = [key for key in map(as_uuid, ids_of_kind("callback", entry_ids)) if key is not None]
    rows = CallbackReceipt.objects.filter(pk__in=keys).select_related("routed_by", "simulated_by")
    return {f"callback:{row.pk}": _receipt_told(row) for row in rows}


def _receipt_told(row: CallbackReceipt) -> dict[str, Any]:
    return {
        "id": row.pk,
        "invocation": row.invocation_id,
        "callback": row.callback_name,
        "method": row.method,
        "headers": row.headers,
        "query": row.query,
        "body": row.shown_body,
        "body_digest": row.body_digest,
        "received_at": row.received_at,
        "ended_at": row.finished_at,
        "state": row.state,
        "reason": row.reason,
        "job": row.job_id,
        "routed_by": row.routed_by.get_username() if row.routed_by else None,
        "simulated_by": row.simulated_by.get_username() if row.simulated_by else None,
        "correlation_id": row.correlation_id,
    }
