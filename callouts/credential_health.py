"""How the system behind a named credential has been doing lately, in figures that are rolled up."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from callouts.figures import CALLOUTS
from callouts.models import Destination, IntegrationLogEntry, Outcome
from isthmus import clock
from isthmus.console.rollups import reading
from isthmus.console.rollups.reading import Lately

__all__ = ["CredentialHealth", "health_of", "success_rates"]

SPAN = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class CredentialHealth:
    """Figures of the last 24 hours, and where the destination stands now."""

    calls: int
    success_rate: float | None
    """Share of the callouts that were answered well, of those that left; `None` when none left."""
    p50_ms: float | None
    """Half of the answered callouts took no longer."""
    p95_ms: float | None
    last_error: IntegrationLogEntry | None
    destination: Destination
    """Its row, or an unsaved one with the defaults."""


def health_of(name: str) -> CredentialHealth:
    """Return the figures of one named credential."""
    lately = reading.of_scopes(CALLOUTS, scopes=[name]).get(name, Lately.nothing())
    entries = IntegrationLogEntry.objects.outbound().went_wrong().filter(named_credential=name)
    return CredentialHealth(
        calls=_sent(lately),
        success_rate=_success_rate(lately),
        p50_ms=lately.durations.percentile(50),
        p95_ms=lately.durations.percentile(95),
        last_error=entries.since(clock.now() - SPAN).order_by("-started_at").first(),
        destination=Destination.objects.filter(named_credential__name=name).first() or Destination(),
    )


def success_rates(names: Iterable[str]) -> dict[str, float]:
    """Return the success rates of those named credentials through which anything left in the last 24 hours."""
    found = reading.of_scopes(CALLOUTS, scopes=names)
    rates = {name: _success_rate(lately) for name, lately in found.items()}
    return {name: rate for name, rate in rates.items() if rate is not None}


def _sent(lately: Lately) -> int:
    return lately.number - lately.numbers.get(Outcome.REFUSED, 0)


def _success_rate(lately: Lately) -> float | None:
    sent = _sent(lately)
    return lately.numbers.get(Outcome.SUCCEEDED, 0) / sent if sent else None
