"""What about credentials needs a person: certificates and tokens that end, principals and connections that failed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.urls import reverse

from credentials.conf import options
from credentials.models import Certificate, Principal, PrincipalStatus, StoredToken
from isthmus import clock
from isthmus.console import overview
from isthmus.console.overview import Need, Urgency

__all__ = ["register"]


def register() -> None:
    """Join the home page; called once, when the app is ready."""
    overview.register_needs(_needs)


def _needs() -> Iterator[Need]:
    now = clock.now()
    soon = now + timedelta(days=options.certificate_warning_days)
    for row in Certificate.objects.filter(not_after__lte=soon).order_by("not_after"):
        assert row.not_after is not None  # noqa: S101 - the filter saw to it
        yield _certificate_need(row, row.not_after, now)
    for principal in Principal.objects.filter(status=PrincipalStatus.FAILED).select_related("external_credential"):
        yield Need(
            title=f"{principal.target} cannot authenticate",
            urgency=Urgency.BROKEN,
            url=reverse("admin:credentials_principal_change", args=[principal.pk]),
            advice=principal.status_reason or "Replace its secrets.",
            since=principal.status_at,
        )
    yield from _token_needs(now)


def _certificate_need(row: Certificate, not_after: datetime, now: datetime) -> Need:
    is_over = not_after <= now
    return Need(
        title=f"The certificate {row.name} {'has expired' if is_over else f'ends on {not_after:%Y-%m-%d}'}",
        urgency=Urgency.BROKEN if is_over else Urgency.SOON,
        url=reverse("admin:credentials_certificate_change", args=[row.pk]),
        advice="Replace it; what it signs or proves is refused after its end.",
        since=not_after,
    )


def _token_needs(now: datetime) -> Iterator[Need]:
    """Yield the grants of people that no refresh token renews."""
    consented = StoredToken.objects.filter(connected_at__isnull=False, refresh_token__isnull=True)
    day = timedelta(days=1)
    for title, urgency, rows in (
        ("ended", Urgency.BROKEN, consented.filter(expires_at__lte=now)),
        ("end within a day", Urgency.SOON, consented.filter(expires_at__gt=now, expires_at__lte=now + day)),
    ):
        found = rows.aggregate(number=Count("pk"), oldest=Min("expires_at"))
        if number := found["number"]:
            yield Need(
                title=f"{number:,} consent{'s' if number > 1 else ''} {title} and cannot be renewed",
                urgency=urgency,
                url=reverse("admin:credentials_principal_changelist"),
                advice="Whoever gave it has to connect again, under *My connections* or at the principal.",
                since=found["oldest"],
            )
