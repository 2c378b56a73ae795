"""The pages of bulk actions: what would happen, and how far it is."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_safe

from isthmus import clock
from isthmus.console import bulk
from isthmus.console.access import requires
from isthmus.console.bulk import Selection
from isthmus.console.errors import BulkActUnknown, BulkChanged, ConsoleError, ListingUnknown
from isthmus.console.listings import Column, Listing, QueryListing, find_listing
from isthmus.console.models import BulkOperation
from isthmus.console.paging import newest_first
from isthmus.console.tones import Status, Tone

__all__ = ["operation", "preview"]

_SHOWN = 8
_SHOWN_COLUMNS = 5
_ALL = "all"
_OURS = {"act", "scope", "key", "asked_at", "expected", "csrfmiddlewaretoken", "cursor", "format"}
_UNKNOWN = Status("Not known any more", Tone.NEUTRAL)
_DONE = Status("Done", Tone.GOOD)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("operate")
def preview(request: HttpRequest, name: str) -> HttpResponse:
    """Show what an action would do with which rows; a POST begins it."""
    listing = _listing(name)
    given = request.POST if request.method == "POST" else request.GET
    filters = {key: str(given[key]) for key in given if key not in _OURS and given[key]}
    try:
        selection = Selection(
            listing=listing,
            act=bulk.find_act(name, given.get("act", "")),
            filters=filters,
            keys=None if given.get("scope") == _ALL else given.getlist("key"),
            asked_at=_asked_at(given.get("asked_at", "")),
        )
        if selection.keys is not None and not selection.keys:
            messages.info(request, "Choose rows first, or all that match.")
            return _back(listing, filters)
        if request.method == "POST":
            expected = given.get("expected", "")
            assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
            begun = bulk.start(selection, request.user, expected=int(expected) if expected.isdecimal() else 0)
            return redirect("console:bulk-operation", operation_id=begun.pk)
        return render(request, "console/bulk_preview.html", _context(selection))
    except BulkActUnknown as unknown:
        raise Http404 from unknown
    except BulkChanged as changed:
        messages.error(request, changed.message)
        return redirect(f"{reverse('console:bulk', args=[name])}?{_query(given)}")
    except ConsoleError as refused:
        messages.error(request, refused.message)
        return _back(listing, filters)


def _listing(name: str) -> QueryListing[Any, Any]:
    try:
        listing = find_listing(name)
    except ListingUnknown as unknown:
        raise Http404 from unknown
    if not isinstance(listing, QueryListing) or not bulk.acts_of(name):
        raise Http404
    return listing


def _asked_at(text: str) -> datetime:
    try:
        given = parse_datetime(text)
    except ValueError:
        given = None
    now = clock.now()
    return min(given, now) if given is not None and given.tzinfo is not None else now


def _query(given: Any) -> str:
    """Return what was asked, as of now."""
    query = given.copy()
    for name in ("asked_at", "expected", "csrfmiddlewaretoken"):
        query.pop(name, None)
    return str(query.urlencode())


def _back(listing: Listing[Any], filters: Mapping[str, str]) -> HttpResponse:
    query = urlencode(filters)
    return redirect(f"{reverse(listing.url_name)}{'?' if query else ''}{query}")


def _context(selection: Selection) -> dict[str, object]:
    listing, suited = selection.listing, selection.suited()
    columns = _shown_columns(listing)
    first = list(suited.order_by("pk")[:_SHOWN])
    rows = listing.prepare(first) if listing.prepare is not None else first
    chosen, number = selection.rows().count(), suited.count()
    return {
        "listing": listing,
        "back": reverse(listing.url_name),
        "act": selection.act,
        "words": selection.form.in_words(),
        "filters": selection.filters,
        "keys": selection.keys or (),
        "is_all": selection.keys is None,
        "asked_at": selection.asked_at.isoformat(),
        "chosen": chosen,
        "number": number,
        "left_alone": chosen - number,
        "more": number - len(first),
        "columns": columns,
        "rows": [[(column.label, column.value(row)) for column in columns] for row in rows],
    }


def _shown_columns(listing: QueryListing[Any, Any]) -> list[Column[Any]]:
    return [column for column in listing.columns if column.name != "id"][:_SHOWN_COLUMNS]


@require_safe
@requires("view")
def operation(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """Show how far a bulk action is, and which rows were refused."""
    found = get_object_or_404(BulkOperation.objects.select_related("user"), pk=operation_id)
    try:
        selection = bulk.selection_of(found)
        words = selection.form.in_words()
        status = _DONE if found.finished_at else bulk.current_runner().status_of(found) or _UNKNOWN
    except ConsoleError as gone:
        # The code that runs now has no such list, action or filter any more.
        raise Http404 from gone
    page = newest_first(found.refusals.all(), moment=None, cursor=request.GET.get("cursor", ""))
    return render(
        request,
        "console/bulk_operation.html",
        {
            "operation": found,
            "act": selection.act,
            "listing": selection.listing,
            "back": reverse(selection.listing.url_name),
            "words": words,
            "status": status,
            "looked_at": found.done + found.refused,
            "page": page,
            "is_live": status.tone in {Tone.WAITING, Tone.BUSY},
        },
    )
