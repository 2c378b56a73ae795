"""Removes what the integration log no longer needs to keep."""

from datetime import timedelta

from callouts.conf import options
from callouts.models import IntegrationLogEntry, Outcome
from isthmus import clock
from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal

__all__ = ["remove_old_entries"]


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_old_entries() -> dict[str, object]:
    """Remove entries that are older than their outcome is kept, in chunks; never what is in doubt and unresolved."""
    now = clock.now()
    log = IntegrationLogEntry.objects
    removal = Removal()
    for outcome, days in (
        (Outcome.SUCCEEDED, options.keep_succeeded_days),
        (Outcome.FAILED, options.keep_failed_days),
        (Outcome.REFUSED, options.keep_refused_days),
    ):
        old = log.filter(outcome=outcome, started_at__lt=now - timedelta(days=days))
        removal.remove(str(outcome), old, order="started_at")
    resolved = log.in_doubt().exclude(resolution="")
    before = now - timedelta(days=options.keep_in_doubt_days)
    removal.remove(str(Outcome.IN_DOUBT), resolved.filter(resolved_at__lt=before), order="started_at")
    return {"removed": removal.counts}
