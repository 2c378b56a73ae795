"""The lists of external services, of invocations, and of received callbacks."""

from collections.abc import Sequence

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from callouts.callbacks import operating
from callouts.external_services.actions import cancel
from callouts.external_services.console import listed_invocations, listed_receipts, receipt_status, status_of
from callouts.external_services.models import CallbackReceipt, ExternalService, Invocation, InvocationState, Operation
from callouts.external_services.screens import usage
from callouts.external_services.screens.usage import Usage
from callouts.external_services.screens.views import (
    InvocationFilters,
    OperationFilters,
    ReceiptFilters,
    listed_services,
)
from isthmus.console.bulk import BulkAct, register_acts
from isthmus.console.listings import Column, QueryListing, register_listing

__all__ = ["CALLBACKS", "INVOCATIONS", "OPERATIONS", "SERVICES", "register"]


def _with_usage(services: Sequence[ExternalService]) -> list[tuple[ExternalService, Usage | None]]:
    used = usage.of_services([service.name for service in services])
    return [(service, used.get(service.name)) for service in services]


SERVICES: QueryListing[ExternalService, tuple[ExternalService, Usage | None]] = QueryListing(
    name="external-services",
    label="External services",
    url_name="external_services:list",
    rows=listed_services,
    moment=None,
    prepare=_with_usage,
    columns=(
        Column("name", "Name", lambda row: row[0].name),
        Column("label", "Service", lambda row: str(row[0])),
        Column("operations", "Operations", lambda row: row[0].operation_count),  # type: ignore[attr-defined]  # annotated
        Column("version", "Version", lambda row: row[0].active_version.number if row[0].active_version else None),
        Column(
            "openapi", "OpenAPI", lambda row: row[0].active_version.openapi_version if row[0].active_version else ""
        ),
        Column(
            "named_credential",
            "Named credential",
            lambda row: row[0].named_credential.name if row[0].named_credential else "",
        ),
        Column("calls", "Calls, 24 h", lambda row: row[1].calls if row[1] else 0),
        Column("failed", "Failed, 24 h", lambda row: row[1].failed if row[1] else 0),
    ),
)


class ServiceOperationFilters(OperationFilters):
    """Filters of the operations of all services."""

    service = forms.CharField(label="Service", required=False, max_length=80)

    def narrow(self, rows: QuerySet[Operation]) -> QuerySet[Operation]:
        """Return the operations that every valid filter lets through."""
        rows = super().narrow(rows)
        name = self.given("service")
        return rows.filter(version__service__name__iexact=name) if name else rows


def _listed_operations() -> QuerySet[Operation]:
    """Return the operations of every service's active version, and nothing large."""
    return (
        Operation.objects.filter(version__in=ExternalService.objects.values("active_version"))
        .select_related("version__service")
        .only(
            "operation_id", "name", "method", "path", "tag", "summary", "is_deprecated", "is_asynchronous",
            "version__number", "version__service__name", "version__service__label",
        )
    )  # fmt: skip


OPERATIONS: QueryListing[Operation, Operation] = QueryListing(
    name="service-operations",
    label="Operations of external services",
    url_name="external_services:list",
    rows=_listed_operations,
    filters=ServiceOperationFilters,
    moment=None,
    columns=(
        Column("service", "Service", lambda row: row.version.service.name),
        Column("version", "Version", lambda row: row.version.number),
        Column("operation", "Operation", lambda row: row.operation_id),
        Column("name", "In Python", lambda row: row.name),
        Column("method", "Method", lambda row: row.method.upper()),
        Column("path", "Path", lambda row: row.path),
        Column("tag", "Tag", lambda row: row.tag),
        Column("summary", "Summary", lambda row: row.summary),
        Column("is_deprecated", "Deprecated", lambda row: row.is_deprecated),
        Column("is_asynchronous", "Answers by callback", lambda row: row.is_asynchronous),
    ),
)
INVOCATIONS: QueryListing[Invocation, Invocation] = QueryListing(
    name="invocations",
    label="Invocations",
    url_name="external_services:invocations",
    rows=listed_invocations,
    filters=InvocationFilters,
    moment="submitted_at",
    columns=(
        Column("id", "Id", lambda row: row.pk),
        Column("service", "Service", lambda row: row.service.name),
        Column("operation", "Operation", lambda row: row.operation.operation_id),
        Column("reference", "Reference", lambda row: row.reference),
        Column("state", "State", status_of),
        Column("reason", "Reason", lambda row: row.reason),
        Column("status_code", "First answer", lambda row: row.response_status),
        Column("record_id", "Record", lambda row: row.record_id),
        Column("correlation_id", "Correlation", lambda row: row.correlation_id),
        Column("submitted_at", "Submitted", lambda row: row.submitted_at),
        Column("expires_at", "Expires", lambda row: row.expires_at),
        Column("ended_at", "Ended", lambda row: row.finished_at),
    ),
)
CALLBACKS: QueryListing[CallbackReceipt, CallbackReceipt] = QueryListing(
    name="callbacks",
    label="Callbacks",
    url_name="external_services:receipts",
    rows=listed_receipts,
    filters=ReceiptFilters,
    moment="received_at",
    columns=(
        Column("id", "Id", lambda row: row.pk),
        Column("callback", "Callback", lambda row: row.callback_name),
        Column("method", "Method", lambda row: row.method),
        Column("service", "Service", lambda row: row.invocation.service.name if row.invocation else ""),
        Column("invocation", "Invocation", lambda row: row.invocation_id),
        Column("reference", "Reference", lambda row: row.invocation.reference if row.invocation else ""),
        Column("state", "State", receipt_status),
        Column("reason", "Reason", lambda row: row.reason),
        Column("correlation_id", "Correlation", lambda row: row.correlation_id),
        Column("received_at", "Received", lambda row: row.received_at),
    ),
)


def _cancel(invocation: Invocation, user: User) -> str:
    cancel(invocation, user, "in bulk")
    return ""


def _route(receipt: CallbackReceipt, user: User) -> str:
    operating.route(receipt, user)
    return ""


CANCEL: BulkAct[Invocation] = BulkAct(
    name="cancel",
    label="Cancel",
    icon="stop",
    told="Each invocation that still waits ends here: callbacks that come now are late. The other side is not told.",
    suits=lambda: Q(state__in=(InvocationState.SUBMITTED, InvocationState.WAITING)),
    perform=_cancel,
    is_grave=True,
)
ROUTE: BulkAct[CallbackReceipt] = BulkAct(
    name="route",
    label="Route",
    icon="callback",
    told="The handler of each callback that had been refused, and that belongs to an invocation, runs now.",
    suits=lambda: Q(state__in=operating.ROUTABLE, invocation__isnull=False),
    perform=_route,
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(SERVICES, OPERATIONS, INVOCATIONS, CALLBACKS)
    register_acts(INVOCATIONS.name, CANCEL)
    register_acts(CALLBACKS.name, ROUTE)
