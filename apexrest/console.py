"""What endpoints add to the console: their pages and figures."""

from collections.abc import Iterable
from datetime import timedelta

from django.urls import reverse

from apexrest.querysets import usage_by_target
from isthmus.console.registry import Figure, Page, register_figures, register_page
from isthmus.console.tones import Tone

__all__ = ["figures", "register"]


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("API endpoints", "apexrest_pages:endpoints", "arrow-in", 35))
    register_page(Page("API documentation", "apexrest_pages:documentation", "timeline", 90, permission_action=""))
    register_figures(figures)


def figures() -> Iterable[Figure]:
    """Yield how many calls endpoints answered in the last 24 hours, and how many failed."""
    usage = usage_by_target(timedelta(hours=24)).values()
    calls, failed = sum(one.requests for one in usage), sum(one.failed for one in usage)
    tone, hint = (Tone.WARNING, f"{failed:,} failed") if failed else (Tone.NEUTRAL, "")
    yield Figure("Endpoint calls", f"{calls:,}", reverse("apexrest_pages:endpoints"), tone, hint)
