"""What background operations do for themselves, and for the floors below that have none."""

from datetime import timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from oauth2_provider.models import clear_expired

from isthmus import clock
from isthmus.access import api_use
from isthmus.console import connections
from isthmus.console.rollups import rolling
from isthmus.jobs.conf import options
from isthmus.jobs.handle import current_job_or_none
from isthmus.jobs.models import NON_TERMINAL, BatchRun, Job
from isthmus.jobs.queueables import queueable
from isthmus.jobs.removal import Removal

__all__ = ["purge_ended_jobs", "remove_old_access", "roll_up_figures"]

_BATCH = 500


@queueable(max_attempts=3, time_limit_seconds=3_600)
def purge_ended_jobs() -> dict[str, int]:
    """Delete jobs that ended longer ago than `ISTHMUS_JOBS_RETENTION_DAYS`, with their log lines."""
    before = clock.now() - timedelta(days=options.retention_days)
    # A retry of what failed in a batch reads from the batch which items those are.
    read = BatchRun.objects.filter(retry_of=OuterRef("pk"), job__state__in=NON_TERMINAL)
    old = Job.objects.ended().filter(~Exists(read), finished_at__lt=before)
    removal = Removal()
    removal.remove("jobs", old, order="finished_at", size=_BATCH)
    return {"purged": removal.total}


@queueable(max_attempts=1, kind="Maintenance", time_limit_seconds=3_600)
def roll_up_figures() -> dict[str, int]:
    """Roll the raw rows of every series up into periods, ask the brokers, and remove periods that are too old."""
    handle, steps = current_job_or_none(), 0
    connections.ask_brokers()
    for _ in rolling.roll_up_everything():
        steps += 1
        if handle:
            handle.checkpoint()
    return {"steps": steps, "removed": rolling.remove_old()}


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_old_access() -> dict[str, object]:
    """Remove sessions and tokens that are over, the set-up's history and counts of API requests that are old."""
    now, removal = clock.now(), Removal()
    removal.remove("sessions", Session.objects.filter(expire_date__lt=now), order="expire_date")
    old = LogEntry.objects.filter(action_time__lt=now - timedelta(days=options.admin_history_days))
    removal.remove("admin_history", old, order="action_time")
    removal.remove("api_use", api_use.old(), order="hour")
    # The toolkit knows which revoked tokens it needs to recognise a stolen one by; it goes in batches of its own.
    clear_expired()
    return {"removed": removal.counts}
