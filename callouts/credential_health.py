"""How the system behind a named credential has been doing lately, in figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from callouts.models import BreakerState, Destination, IntegrationLogEntry, Outcome
from callouts.querysets import IntegrationLogQuerySet
from isthmus import clock
from isthmus.console.tones import Status, Tone

__all__ = ["CredentialHealth", "breaker_status", "health_of", "success_rates"]

SPAN = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class CredentialHealth:
    """Figures of the last 24 hours, and where the destination stands now."""

    calls: int
    success_rate: float | None
    """Share of the callouts that were answered well, of those that left; `None` when none left."""
    p50_ms: int | None
    """Half of the answered callouts took no longer."""
    p95_ms: int | None
    last_error: IntegrationLogEntry | None
    destination: Destination
    """Its row, or an unsaved one with the defaults."""


def health_of(name: str) -> CredentialHealth:
    """Return the figures of one named credential."""
    now = clock.now()
    sent = _sent(now).filter(named_credential=name)
    counts = sent.aggregate(calls=Count("pk"), succeeded=Count("pk", filter=Q(outcome=Outcome.SUCCEEDED)))
    answered = sent.filter(status_code__isnull=False, duration_ms__isnull=False).order_by("duration_ms")
    number = answered.count()
    failed = Q(outcome__in=(Outcome.FAILED, Outcome.IN_DOUBT)) & ~Q(duration_ms=None)
    return CredentialHealth(
        calls=counts["calls"],
        success_rate=counts["succeeded"] / counts["calls"] if counts["calls"] else None,
        p50_ms=_took(answered, number, 0.5),
        p95_ms=_took(answered, number, 0.95),
        last_error=sent.filter(failed).order_by("-started_at").first(),
        destination=Destination.objects.filter(named_credential__name=name).first() or Destination(),
    )


def success_rates(names: Iterable[str]) -> dict[str, float]:
    """Return the success rates of those named credentials through which anything left in the last 24 hours."""
    rows = (
        _sent(clock.now())
        .filter(named_credential__in=list(names))
        .order_by()
        .values("named_credential")
        .annotate(calls=Count("pk"), succeeded=Count("pk", filter=Q(outcome=Outcome.SUCCEEDED)))
    )
    return {row["named_credential"]: row["succeeded"] / row["calls"] for row in rows}


def breaker_status(destination: Destination) -> Status:
    """Return where a circuit breaker stands, as a chip shows it."""
    if destination.is_dry_run:
        return Status("Dry run", Tone.WARNING, "pause")
    if destination.held_since is not None:
        return Status("Held", Tone.WARNING, "lock")
    if destination.breaker == BreakerState.OPEN:
        return Status("Breaker open", Tone.BAD, "ban")
    if destination.breaker == BreakerState.HALF_OPEN:
        return Status("Breaker half-open", Tone.WAITING, "hourglass")
    return Status("Breaker closed", Tone.GOOD)


def _sent(now: datetime) -> IntegrationLogQuerySet:
    return IntegrationLogEntry.objects.outbound().since(now - SPAN).exclude(outcome=Outcome.REFUSED)


def _took(ordered: IntegrationLogQuerySet, number: int, share: float) -> int | None:
    """Return the duration that this share of the ordered entries does not exceed."""
    if not number:
        return None
    place = min(number - 1, int(number * share))
    return ordered.values_list("duration_ms", flat=True)[place]
