"""How background operations are."""

from isthmus import clock, health
from isthmus.health import Health, Probe
from isthmus.jobs import processes
from isthmus.jobs.conf import options
from isthmus.jobs.models import Job

__all__ = ["register"]


def register() -> None:
    """Register the probes of this app."""
    health.register(Probe(name="worker", label="Worker", ask=_worker))
    health.register(Probe(name="queue", label="Queue of operations", ask=_queue, required=False))


def _worker() -> Health:
    beat = processes.last_beat("worker")
    if beat is None:
        return Health(ok=False, summary="No worker runs. Start one: `manage.py worker`.")
    age = (clock.now() - beat.beat_at).total_seconds()
    if age > options.silent_seconds:
        return Health(
            ok=False, summary=f"The last worker fell silent {age:.0f} s ago. Start `manage.py worker`.", age_seconds=age
        )
    return Health(ok=True, summary="A worker runs.", age_seconds=age)


def _queue() -> Health:
    now = clock.now()
    oldest = Job.objects.due(now).values_list("run_at", flat=True).first()
    if oldest is None:
        return Health(ok=True, summary="No operation waits.", age_seconds=0)
    age = (now - oldest).total_seconds()
    if age > options.waiting_seconds:
        return Health(ok=False, summary=f"An operation has waited for {age:.0f} s. Add workers.", age_seconds=age)
    return Health(ok=True, summary=f"The oldest operation has waited for {age:.0f} s.", age_seconds=age)
