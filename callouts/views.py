"""The integration log's pages: what went out, what came in, both sides."""

import uuid

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from callouts.console import listed, status_of, title_of
from callouts.models import Direction, IntegrationLogEntry, Outcome
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.paging import newest_first
from isthmus.console.references import as_uuid

__all__ = ["LogFilters", "entry", "log"]


class LogFilters(FilterForm[IntegrationLogEntry]):
    """Filters of the integration log."""

    moment = "started_at"

    outcome = forms.ChoiceField(label="Outcome", required=False, choices=[("", "Any outcome"), *Outcome.choices])
    direction = forms.ChoiceField(
        label="Direction", required=False, choices=[("", "Both directions"), *Direction.choices]
    )
    credential = forms.CharField(label="Named credential", required=False, max_length=80)

    def narrow(self, rows: QuerySet[IntegrationLogEntry]) -> QuerySet[IntegrationLogEntry]:
        """Return the entries that every valid filter lets through."""
        rows = super().narrow(rows)
        for name, field in (("outcome", "outcome"), ("direction", "direction"), ("credential", "named_credential")):
            if chosen := self.given(name):
                rows = rows.filter(**{field: chosen})
        return rows

    def matching(self, rows: QuerySet[IntegrationLogEntry], text: str) -> QuerySet[IntegrationLogEntry]:
        """Return the entries whose operation, address or error has the text, or that carry the id."""
        wanted = (
            Q(operation__icontains=text)
            | Q(url__icontains=text)
            | Q(error_code__iexact=text)
            | Q(correlation_id=text)
            | Q(record_id=text)
        )
        if given := as_uuid(text):
            wanted |= Q(pk=given) | Q(job_id=given) | Q(invocation_id=given)
        return rows.filter(wanted)


@require_safe
@requires("view")
def log(request: HttpRequest) -> HttpResponse:
    """List the exchanges, newest first."""
    filters = LogFilters(request.GET)
    page = newest_first(filters.narrow(listed()), moment="started_at", cursor=request.GET.get("cursor", ""))
    rows = [(entry, title_of(entry), status_of(entry)) for entry in page.rows]
    return render(request, "callouts/log.html", {"filters": filters, "page": page, "rows": rows})


@require_safe
@requires("view")
def entry(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    """Show one exchange with both sides."""
    found = get_object_or_404(IntegrationLogEntry.objects.select_related("user"), pk=entry_id)
    return render(
        request, "callouts/entry.html", {"entry": found, "title": title_of(found), "status": status_of(found)}
    )
