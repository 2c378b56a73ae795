"""How the bus is."""

from events.conf import options
from events.models import OutboxEvent
from isthmus import clock, health
from isthmus.health import Health, Probe
from isthmus.jobs import processes
from isthmus.objects.models import RawChange

__all__ = ["register"]


def register() -> None:
    """Register the probes of this app."""
    health.register(Probe(name="bus", label="Event bus", ask=_bus))
    # Not required: what waits is safe, and an instance that takes no more would not make it leave faster.
    health.register(Probe(name="relay", label="Event relay", ask=_relay, required=False))


def _bus() -> Health:
    beat = processes.last_beat("bus")
    if beat is None:
        return Health(ok=False, summary="No bus runs. Start one: `manage.py bus`.")
    age = (clock.now() - beat.beat_at).total_seconds()
    if age > options.silent_seconds:
        return Health(
            ok=False, summary=f"The last bus fell silent {age:.0f} s ago. Start `manage.py bus`.", age_seconds=age
        )
    return Health(ok=True, summary="A bus runs.", age_seconds=age)


def _relay() -> Health:
    # By id, which has an index; rows are written in about the order of their ids.
    waiting = [
        OutboxEvent.objects.order_by("id").values_list("created_at", flat=True).first(),
        RawChange.objects.order_by("id").values_list("created_at", flat=True).first(),
    ]
    oldest = min((moment for moment in waiting if moment is not None), default=None)
    if oldest is None:
        return Health(ok=True, summary="No event waits.", age_seconds=0)
    age = (clock.now() - oldest).total_seconds()
    if age > options.relay_alarm_seconds:
        return Health(
            ok=False,
            summary=f"An event has waited for {age:.0f} s. Look at the log of `manage.py bus`.",
            age_seconds=age,
        )
    return Health(ok=True, summary=f"The oldest event has waited for {age:.0f} s.", age_seconds=age)
