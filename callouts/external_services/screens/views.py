"""The pages of external services: what is registered, what was asked of it, what it called back."""

import uuid

from django import forms
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from callouts.callbacks.operating import ROUTABLE
from callouts.external_services.console import listed_invocations, listed_receipts, receipt_status, status_of
from callouts.external_services.description.proposals import proposals, servers
from callouts.external_services.models import (
    CallbackReceipt,
    ExternalService,
    ExternalServiceVersion,
    Invocation,
    InvocationState,
    Operation,
    ReceiptState,
)
from callouts.external_services.screens import usage
from callouts.external_services.screens.trying import sample_for_callback
from isthmus.access import policy
from isthmus.console import timeline
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.listing_views import exportable
from isthmus.console.references import as_uuid

__all__ = [
    "InvocationFilters",
    "OperationFilters",
    "ReceiptFilters",
    "invocation",
    "invocations",
    "listed_services",
    "receipt",
    "receipts",
    "service",
    "services",
]

OPERATIONS_A_PAGE = 25
PROBLEMS_SHOWN = 100
OPEN = "open"
ATTENTION = "attention"
LATEST_SHOWN = 10


class OperationFilters(FilterForm[Operation]):
    """Filters of operations."""

    q = forms.CharField(label="Name, path or tag", required=False, max_length=200)
    since = None  # type: ignore[assignment]  # how a form drops a field; operations have no time

    def narrow(self, rows: QuerySet[Operation]) -> QuerySet[Operation]:
        """Return the operations that every valid filter lets through."""
        text = self.given("q")
        return self.matching(rows, text) if text else rows

    def matching(self, rows: QuerySet[Operation], text: str) -> QuerySet[Operation]:
        """Return the operations with the text in their name, path, tag or summary."""
        return rows.filter(
            Q(name__icontains=text)
            | Q(operation_id__icontains=text)
            | Q(path__icontains=text)
            | Q(tag__icontains=text)
            | Q(summary__icontains=text)
        )


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

    def naming(self, text: str) -> Q:
        """Return what is true of the invocation of this id, and of those of this reference, record or correlation."""
        wanted = Q(reference=text) | Q(record_id=text) | Q(correlation_id=text)
        if given := as_uuid(text):
            wanted |= Q(pk=given)
        return wanted

    def matching(self, rows: QuerySet[Invocation], text: str) -> QuerySet[Invocation]:
        """Return the invocations that are, are called, are about or belong to the text."""
        wanted = Q(reference__icontains=text) | Q(operation__operation_id__icontains=text)
        return rows.filter(wanted | self.naming(text))


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

    def naming(self, text: str) -> Q:
        """Return what is true of the callback of this id, and of those of this correlation or invocation."""
        wanted = Q(correlation_id=text)
        if given := as_uuid(text):
            wanted |= Q(pk=given) | Q(invocation_id=given)
        return wanted

    def matching(self, rows: QuerySet[CallbackReceipt], text: str) -> QuerySet[CallbackReceipt]:
        """Return the callbacks of that name, reference or id."""
        wanted = Q(callback_name__icontains=text) | Q(invocation__reference__icontains=text)
        return rows.filter(wanted | self.naming(text))


def listed_services() -> QuerySet[ExternalService]:
    """Return every registered service with what lists show."""
    found = ExternalService.objects.select_related("named_credential", "active_version").defer(
        "active_version__page_starts", "active_version__anchors", "active_version__changes"
    )
    return found.annotate(
        operation_count=Count("active_version__operations", distinct=True),
        is_waited_for=Exists(Invocation.objects.waiting().filter(service=OuterRef("pk"))),
    )


@require_safe
@requires("view")
@exportable("external-services", "service-operations")
def services(request: HttpRequest) -> HttpResponse:
    """List the registered services."""
    counted = listed_services()
    used = usage.of_services(counted.values_list("name", flat=True))
    rows = [(service, used.get(service.name)) for service in counted]
    return render(request, "external_services/list.html", {"services": rows, "tab": "services"})


@require_safe
@requires("view")
def service(request: HttpRequest, name: str) -> HttpResponse:
    """Show one service: where it is, what it can do, what could not be registered, what was asked of it last."""
    found = get_object_or_404(
        ExternalService.objects.select_related("named_credential", "active_version").defer(
            "active_version__page_starts", "active_version__anchors"
        ),
        name=name,
    )
    version = found.active_version
    filters = OperationFilters(request.GET)
    listed = (
        Operation.objects.filter(version=version).defer("definition", "callbacks").order_by("tag", "path", "method")
    )
    page = Paginator(filters.narrow(listed), OPERATIONS_A_PAGE).get_page(request.GET.get("page"))
    used = usage.of_operations(found, [operation.operation_id for operation in page.object_list])
    last = [
        (row, status_of(row))
        for row in listed_invocations().filter(service=found).order_by("-submitted_at", "pk")[:LATEST_SHOWN]
    ]
    context = {
        "service": found,
        "version": version,
        "filters": filters,
        "page": page,
        "rows": [(operation, used.get(operation.operation_id)) for operation in page.object_list],
        "problems": (version.problems or [])[:PROBLEMS_SHOWN] if version else [],
        "number_of_problems": len(version.problems or []) if version else 0,
        "versions": found.versions.defer("page_starts", "anchors", "problems", "changes")
        .select_related("registered_by")
        .order_by("-number"),
        "newer": _newest(found),
        "proposals": list(proposals(version)) if version and not found.named_credential else [],
        "server": next(iter(servers(version)), "") if version and not found.named_credential else "",
        "may_operate": policy.is_granted(request.user, "console", "operate", "*"),
        "last": last,
    }
    return render(request, "external_services/service.html", context)


def _newest(service: ExternalService) -> ExternalServiceVersion | None:
    return service.versions.order_by("-number").only("number", "service").first()


@require_safe
@requires("view")
@exportable("invocations")
def invocations(request: HttpRequest) -> HttpResponse:
    """List invocations, newest first."""
    filters = InvocationFilters(request.GET)
    page = filters.page(listed_invocations(), moment="submitted_at", cursor=request.GET.get("cursor", ""))
    rows = [(row, status_of(row)) for row in page.rows]
    context = {"filters": filters, "page": page, "rows": rows, "tab": "invocations"}
    return render(request, "external_services/invocations.html", context)


@require_safe
@requires("view")
def invocation(request: HttpRequest, invocation_id: uuid.UUID) -> HttpResponse:
    """Show one invocation: what was asked, what came back, and everything that happened on the way."""
    found = get_object_or_404(
        Invocation.objects.select_related("service", "operation__version", "user").defer(
            "callback_token",
            "callback_token_digest",
            "operation__definition",
            "operation__version__problems",
            "operation__version__changes",
            "operation__version__page_starts",
            "operation__version__anchors",
        ),
        pk=invocation_id,
    )
    names = list(dict.fromkeys(one.name for one in found.operation.callback_contracts))
    chosen = request.GET.get("simulate", "") or next(iter(names), "")
    body, content_type = sample_for_callback(found.operation, chosen)
    context = {
        "invocation": found,
        "status": status_of(found),
        "callback_names": names,
        "chosen": chosen,
        "sample": body,
        "content_type": content_type,
        "may_operate": policy.is_granted(request.user, "console", "operate", "*"),
        "receipts": [(row, receipt_status(row)) for row in listed_receipts().filter(invocation=found)],
        "entries": timeline.trace(found.correlation_id).entries,
    }
    return render(request, "external_services/invocation.html", context)


@require_safe
@requires("view")
@exportable("callbacks")
def receipts(request: HttpRequest) -> HttpResponse:
    """List received callbacks, newest first; those that named no invocation are here too."""
    filters = ReceiptFilters(request.GET)
    page = filters.page(listed_receipts(), moment="received_at", cursor=request.GET.get("cursor", ""))
    rows = [(row, receipt_status(row)) for row in page.rows]
    context = {"filters": filters, "page": page, "rows": rows, "tab": "receipts"}
    return render(request, "external_services/receipts.html", context)


@require_safe
@requires("view")
def receipt(request: HttpRequest, receipt_id: uuid.UUID) -> HttpResponse:
    """Show one received callback."""
    found = get_object_or_404(
        CallbackReceipt.objects.select_related(
            "invocation__service", "invocation__operation", "routed_by", "simulated_by"
        ).defer("invocation__callback_token", "invocation__operation__definition"),
        pk=receipt_id,
    )
    names = [one.name for one in found.invocation.operation.callback_contracts] if found.invocation else []
    context = {
        "receipt": found,
        "status": receipt_status(found),
        "callback_names": list(dict.fromkeys(names)),
        "can_route": found.state in ROUTABLE,
        "may_operate": policy.is_granted(request.user, "console", "operate", "*"),
    }
    return render(request, "external_services/receipt.html", context)
