"""The page of limits: what there is, how much of it is used, and what happens at the end."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from isthmus.access.limits import Limit, all_limits
from isthmus.console.access import requires
from isthmus.console.listing_views import exportable
from isthmus.console.tones import Tone

__all__ = ["limits", "tone_of"]

_NEARLY, _ALMOST_ALL = 75, 95
_AGES = {"days", "hours"}


@require_safe
@requires("view")
@exportable("limits")
def limits(request: HttpRequest) -> HttpResponseBase:
    """Show every limit with its use."""
    groups: dict[str, list[tuple[Limit, Tone]]] = {}
    for limit in all_limits():
        groups.setdefault(limit.group, []).append((limit, tone_of(limit)))
    nearly = [limit for rows in groups.values() for limit, tone in rows if tone in {Tone.BAD, Tone.WARNING}]
    return render(request, "console/limits.html", {"groups": groups, "nearly": nearly})


def tone_of(limit: Limit) -> Tone:
    """Return how near the end is. What is kept is meant to reach the age at which it goes."""
    if limit.percent is None or limit.unit in _AGES:
        return Tone.NEUTRAL
    if limit.percent >= _ALMOST_ALL:
        return Tone.BAD
    return Tone.WARNING if limit.percent >= _NEARLY else Tone.GOOD
