"""How the callouts are, for `/readyz` and the console."""

from datetime import timedelta

from callouts.conf import options
from callouts.models import IntegrationLogEntry
from isthmus import clock
from isthmus.health import Health, Probe

__all__ = ["IN_DOUBT"]

_LOOK_BACK = timedelta(hours=24)


def _in_doubt() -> Health:
    """Report callouts of the last day whose answer is lost; those that may still be under way do not count."""
    now = clock.now()
    over = now - timedelta(seconds=options.max_timeout_seconds)
    found = IntegrationLogEntry.objects.outbound().unresolved().since(now - _LOOK_BACK)
    found = found.filter(duration_ms__isnull=False) | found.filter(started_at__lt=over)
    oldest = found.order_by("started_at").values_list("started_at", flat=True).first()
    if oldest is None:
        return Health(ok=True, summary="No callout of the last 24 hours is in doubt.")
    return Health(
        ok=False,
        summary=f"Callouts in doubt in 24 hours: {found.count()}. Ask the other side whether it acted, then decide.",
        age_seconds=(now - oldest).total_seconds(),
    )


# Not required: that an answer was lost does not keep this instance from working.
IN_DOUBT = Probe(name="callouts_in_doubt", label="Callouts in doubt", ask=_in_doubt, required=False)
