"""The integration log's pages: what went out, what came in, both sides."""

import uuid

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from callouts import integration_log
from callouts.console import listed, status_of, title_of
from callouts.curl import as_curl
from callouts.figures import charts_of_log
from callouts.models import Direction, IntegrationLogEntry, Outcome, Resolution
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.listing_views import exportable
from isthmus.console.references import as_uuid
from isthmus.console.rollups import spans

__all__ = ["LogFilters", "entry", "log", "resolve"]

UNRESOLVED = "unresolved"


class LogFilters(FilterForm[IntegrationLogEntry]):
    """Filters of the integration log."""

    moment = "started_at"

    outcome = forms.ChoiceField(
        label="Outcome", required=False, choices=[("", "Any outcome"), *Outcome.choices, (UNRESOLVED, "Unresolved")]
    )
    direction = forms.ChoiceField(
        label="Direction", required=False, choices=[("", "Both directions"), *Direction.choices]
    )
    credential = forms.CharField(label="Named credential", required=False, max_length=80)

    def narrow(self, rows: QuerySet[IntegrationLogEntry]) -> QuerySet[IntegrationLogEntry]:
        """Return the entries that every valid filter lets through."""
        rows = super().narrow(rows)
        outcome = self.given("outcome")
        if outcome == UNRESOLVED:
            rows = rows.filter(outcome=Outcome.IN_DOUBT, resolution="")
        elif outcome:
            rows = rows.filter(outcome=outcome)
        for name, field in (("direction", "direction"), ("credential", "named_credential")):
            if chosen := self.given(name):
                rows = rows.filter(**{field: chosen})
        return rows

    def naming(self, text: str) -> Q:
        """Return what is true of the entry of this id, and of those of this correlation, record, job or invocation."""
        wanted = Q(correlation_id=text) | Q(record_id=text)
        if given := as_uuid(text):
            wanted |= Q(pk=given) | Q(job_id=given) | Q(invocation_id=given)
        return wanted

    def matching(self, rows: QuerySet[IntegrationLogEntry], text: str) -> QuerySet[IntegrationLogEntry]:
        """Return the entries whose operation, address or error has the text, or that carry the id."""
        wanted = Q(operation__icontains=text) | Q(url__icontains=text) | Q(error_code__iexact=text)
        return rows.filter(wanted | self.naming(text))


@require_safe
@requires("view")
@exportable("integration-log")
def log(request: HttpRequest) -> HttpResponse:
    """List the exchanges, newest first."""
    filters = LogFilters(request.GET)
    page = filters.page(listed(), moment="started_at", cursor=request.GET.get("cursor", ""))
    rows = [(entry, title_of(entry), status_of(entry)) for entry in page.rows]
    span = spans.chosen(request.GET)
    # Charts tell of everything: beside rows that were filtered or turned over they would mislead.
    shown = [] if filters.is_narrowing or page.newer else charts_of_log(span)
    context = {"filters": filters, "page": page, "rows": rows, "charts": shown, "span": span}
    return render(request, "callouts/log.html", context)


@require_safe
@requires("view")
def entry(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    """Show one exchange with both sides."""
    found = get_object_or_404(IntegrationLogEntry.objects.select_related("user", "resolved_by"), pk=entry_id)
    status = status_of(found)
    context = {
        "entry": found,
        "title": title_of(found),
        "status": status,
        "timing": _timing(found),
        "curl": as_curl(found) if found.direction == Direction.OUTBOUND else "",
        # One that may still be under way has an end of its own to come.
        "can_resolve": found.is_unresolved and status.label != "Under way",
    }
    return render(request, "callouts/entry.html", context)


@require_POST
@requires("operate")
def resolve(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    """Note what an operator found out about an exchange in doubt."""
    found = get_object_or_404(IntegrationLogEntry, pk=entry_id)
    given, note = request.POST.get("resolution", ""), request.POST.get("note", "").strip()[:500]
    assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
    is_decided_elsewhere = found.queued_callout_id is not None
    if given not in Resolution.values or is_decided_elsewhere:
        messages.error(request, "That cannot be decided here.")
    elif integration_log.resolve(found, Resolution(given), note=note, actor=request.user):
        messages.success(request, "Noted; the exchange no longer counts as in doubt.")
    else:
        messages.error(request, "It is not in doubt any more.")
    return redirect("callouts:entry", entry_id=entry_id)


def _timing(found: IntegrationLogEntry) -> list[tuple[str, float]]:
    parts = (
        ("DNS", found.dns_ms),
        ("connect", found.connect_ms),
        ("TLS", found.tls_ms),
        ("first byte", found.first_byte_ms),
        ("total", found.duration_ms),
    )
    known = [(name, float(milliseconds)) for name, milliseconds in parts if milliseconds is not None]
    return known if len(known) > 1 else []
