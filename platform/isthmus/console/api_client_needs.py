"""What about API clients needs a person: the end of their time."""

from collections.abc import Iterator
from datetime import timedelta

from django.urls import reverse

from isthmus import clock
from isthmus.access.models import ApiClient
from isthmus.console.overview import Need, Urgency

__all__ = ["client_needs"]

_SOON = timedelta(days=14)
_LONG_OVER = timedelta(days=30)


def client_needs() -> Iterator[Need]:
    """Yield the clients whose time is over, or will be soon; those that ended long ago are meant to be over."""
    now = clock.now()
    for client in ApiClient.objects.filter(expires_at__gt=now - _LONG_OVER, expires_at__lte=now + _SOON):
        assert client.expires_at is not None  # noqa: S101 - the filter saw to it
        is_over = client.is_expired
        yield Need(
            title=f"The API client {client.name} "
            + ("has expired" if is_over else f"expires on {client.expires_at:%Y-%m-%d}"),
            urgency=Urgency.BROKEN if is_over else Urgency.SOON,
            url=reverse("admin:access_apiclient_change", args=[client.pk]),
            advice="Give it a new end, or leave it be if that was meant.",
            since=client.expires_at,
        )
