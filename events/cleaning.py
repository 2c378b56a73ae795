"""Removes what is no longer asked for beside the log itself, which `retention` trims."""

from datetime import timedelta

from events.conf import options
from events.models import EventUsage, ParkedEvent, ParkedState
from isthmus import clock
from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal

__all__ = ["remove_old_notes"]


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_old_notes() -> dict[str, object]:
    """Remove parked events that somebody decided about long ago, and hourly counts of long ago."""
    now, removal = clock.now(), Removal()
    decided = ParkedEvent.objects.exclude(state=ParkedState.PARKED)
    before = now - timedelta(days=options.keep_decided_days)
    removal.remove("parked", decided.filter(resolved_at__lt=before), order="pk")
    removal.remove(
        "usage", EventUsage.objects.filter(start_date__lt=now - timedelta(days=options.usage_keep_days)), order="pk"
    )
    return {"removed": removal.counts}
