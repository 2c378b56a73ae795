"""What endpoints add to the console: their pages, and what is found."""

from collections.abc import Iterator

from django.urls import reverse

from apexrest.idempotency import delivery_key
from apexrest.models import RecordedAnswer
from apexrest.registry import all_resources
from isthmus.access.policy import AnyUser
from isthmus.console.finding import MOST_FOUND, Match, register_finder, time_line_or
from isthmus.console.registry import Page, register_page

__all__ = ["register"]


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("API endpoints", "apexrest_pages:endpoints", "arrow-in", 35))
    register_page(Page("API documentation", "apexrest_pages:documentation", "timeline", 90, permission_action=""))
    register_finder("Answers that are kept for an idempotency key or the id of a webhook's delivery", found_answers)


def found_answers(_user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the answers that are recorded for this key or delivery; each caller, and each webhook, has its own."""
    deliveries = [delivery_key(resource.mapping, text) for resource in all_resources() if resource.webhook]
    rows = (
        RecordedAnswer.objects.filter(key__in=[text, *deliveries]).defer("content", "headers").order_by("-created_at")
    )
    for row in rows[: MOST_FOUND + 1]:
        yield Match(
            kind="Recorded answer",
            icon="arrow-in",
            title=f"{row.method} {row.path}",
            url=time_line_or(
                reverse("apexrest_pages:endpoints"), reference=row.correlation_id, correlation_id=row.correlation_id
            ),
            detail=f"HTTP {row.status}, {row.created_at:%Y-%m-%d %H:%M} UTC",
        )
