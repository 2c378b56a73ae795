"""The page of everything that is connected, one line each."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from isthmus.console.access import requires
from isthmus.console.connections import all_connections
from isthmus.console.listing_views import exportable
from isthmus.console.tones import Tone

__all__ = ["connections"]

_UNWELL = {Tone.BAD, Tone.WARNING}


@require_safe
@requires("view")
@exportable("connections")
def connections(request: HttpRequest) -> HttpResponseBase:
    """Show every connection with its state, its last success and failure, and how long it takes."""
    found = all_connections()
    groups = [
        (kind, lines, sum(line.status.tone in _UNWELL for line in lines)) for kind, lines in found.items() if lines
    ]
    unwell = sum(number for _, _, number in groups)
    context = {"groups": groups, "unwell": unwell, "total": sum(len(lines) for _, lines, _ in groups)}
    return render(request, "console/connections.html", context)
