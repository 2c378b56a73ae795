"""The pages of external services: what is registered, what was asked of it, what it called back."""

import uuid

from django import forms
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from callouts.external_services.console import listed_invocations, listed_receipts, receipt_status, status_of
from callouts.external_services.models import (
    CallbackReceipt,
    ExternalService,
    Invocation,
    InvocationState,
    Operation,
    ReceiptState,
)
from isthmus.console import timeline
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.paging import newest_first
from isthmus.console.references import as_uuid

__all__ = [
    "InvocationFilters",
    "ReceiptFilters",
    "invocation",
    "invocations",
    "receipt",
    "receipts",
    "service",
    "services",
]

OPEN = "open"
ATTENTION = "attention"
LATEST_SHOWN = 10


class InvocationFilters(FilterForm[Invocation]):
    """Filters of invocations."""

    moment = "submitted_at"

    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "Any state"), (OPEN, "Not finished"), *InvocationState.choices]
    )
    service = forms.CharField(label="Service", required=False, max_length=80)

    def narrow(self, rows: QuerySet[Invocation]) -> QuerySet[Invocation]:
        """Return the invocations that every valid filter lets through."""
        rows = super().narrow(rows)
        if state := self.given("state"):
            still_open = [InvocationState.SUBMITTED, InvocationState.WAITING]
            rows = rows.filter(state__in=still_open if state == OPEN else [state])
        if name := self.given("service"):
            rows = rows.filter(service__name__iexact=name)
        return rows

    def matching(self, rows: QuerySet[Invocation], text: str) -> QuerySet[Invocation]:
        """Return the invocations that are, are called, are about or belong to the text."""
        wanted = (
            Q(reference__icontains=text)
            | Q(operation__operation_id__icontains=text)
            | Q(record_id=text)
            | Q(correlation_id=text)
        )
        if given := as_uuid(text):
            wanted |= Q(pk=given)
        return rows.filter(wanted)


class ReceiptFilters(FilterForm[CallbackReceipt]):
    """Filters of received callbacks."""

    moment = "received_at"

    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "Any state"), (ATTENTION, "To look at"), *ReceiptState.choices]
    )

    def narrow(self, rows: QuerySet[CallbackReceipt]) -> QuerySet[CallbackReceipt]:
        """Return the callbacks that every valid filter lets through."""
        rows = super().narrow(rows)
        state = self.given("state")
        if state == ATTENTION:
            fine = [ReceiptState.RECEIVED, ReceiptState.PROCESSED, ReceiptState.REPEATED]
            return rows.exclude(state__in=fine)
        return rows.filter(state=state) if state else rows

    def matching(self, rows: QuerySet[CallbackReceipt], text: str) -> QuerySet[CallbackReceipt]:
        """Return the callbacks of that name, reference or id."""
        wanted = Q(callback_name__icontains=text) | Q(invocation__reference__icontains=text) | Q(correlation_id=text)
        if given := as_uuid(text):
            wanted |= Q(pk=given) | Q(invocation_id=given)
        return rows.filter(wanted)


@require_safe
@requires("view")
def services(request: HttpRequest) -> HttpResponse:
    """List the registered services."""
    found = ExternalService.objects.select_related("named_credential", "active_version").defer(
        "active_version__document"
    )
    counted = found.annotate(
        operation_count=Count("active_version__operations", distinct=True),
        is_waited_for=Exists(Invocation.objects.waiting().filter(service=OuterRef("pk"))),
    )
    return render(request, "external_services/list.html", {"services": counted, "tab": "services"})


@require_safe
@requires("view")
def service(request: HttpRequest, name: str) -> HttpResponse:
    """Show one service: where it is, what it can do, what could not be registered, what was asked of it last."""
    found = get_object_or_404(
        ExternalService.objects.select_related("named_credential", "active_version").defer("active_version__document"),
        name=name,
    )
    version = found.active_version
    operations = Operation.objects.filter(version=version).defer("definition").order_by("path", "method")
    last = [
        (row, status_of(row))
        for row in listed_invocations().filter(service=found).order_by("-submitted_at", "pk")[:LATEST_SHOWN]
    ]
    context = {
        "service": found,
        "version": version,
        "operations": operations,
        "problems": [problem_text(problem) for problem in version.problems or []] if version else [],
        "versions": found.versions.defer("document", "problems").select_related("registered_by").order_by("-number"),
        "last": last,
    }
    return render(request, "external_services/service.html", context)


def problem_text(problem: object) -> str:
    """Return one problem of a document as a line: what it concerns, where, and why."""
    if not isinstance(problem, dict):
        return str(problem)
    return " · ".join(str(value) for value in problem.values() if value)


@require_safe
@requires("view")
def invocations(request: HttpRequest) -> HttpResponse:
    """List invocations, newest first."""
    filters = InvocationFilters(request.GET)
    chosen = filters.narrow(listed_invocations())
    page = newest_first(chosen, moment="submitted_at", cursor=request.GET.get("cursor", ""))
    rows = [(row, status_of(row)) for row in page.rows]
    context = {"filters": filters, "page": page, "rows": rows, "tab": "invocations"}
    return render(request, "external_services/invocations.html", context)


@require_safe
@requires("view")
def invocation(request: HttpRequest, invocation_id: uuid.UUID) -> HttpResponse:
    """Show one invocation: what was asked, what came back, and everything that happened on the way."""
    found = get_object_or_404(
        Invocation.objects.select_related("service", "operation", "user").defer(
            "callback_token", "callback_token_digest", "operation__definition"
        ),
        pk=invocation_id,
    )
    context = {
        "invocation": found,
        "status": status_of(found),
        "receipts": [(row, receipt_status(row)) for row in listed_receipts().filter(invocation=found)],
        "entries": timeline.trace(found.correlation_id).entries,
    }
    return render(request, "external_services/invocation.html", context)


@require_safe
@requires("view")
def receipts(request: HttpRequest) -> HttpResponse:
    """List received callbacks, newest first; those that named no invocation are here too."""
    filters = ReceiptFilters(request.GET)
    chosen = filters.narrow(listed_receipts())
    page = newest_first(chosen, moment="received_at", cursor=request.GET.get("cursor", ""))
    rows = [(row, receipt_status(row)) for row in page.rows]
    context = {"filters": filters, "page": page, "rows": rows, "tab": "receipts"}
    return render(request, "external_services/receipts.html", context)


@require_safe
@requires("view")
def receipt(request: HttpRequest, receipt_id: uuid.UUID) -> HttpResponse:
    """Show one received callback."""
    found = get_object_or_404(
        CallbackReceipt.objects.select_related("invocation__service").defer("invocation__callback_token"), pk=receipt_id
    )
    return render(request, "external_services/receipt.html", {"receipt": found, "status": receipt_status(found)})
