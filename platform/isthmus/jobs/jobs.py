"""What background operations do for themselves."""

from datetime import timedelta

from django.db.models import Exists, OuterRef

from isthmus import clock
from isthmus.console import connections
from isthmus.console.rollups import rolling
from isthmus.jobs.conf import options
from isthmus.jobs.handle import current_job_or_none
from isthmus.jobs.models import NON_TERMINAL, BatchRun, Job
from isthmus.jobs.queueables import queueable

__all__ = ["purge_ended_jobs", "roll_up_figures"]

_BATCH = 500


@queueable(max_attempts=3, time_limit_seconds=3_600)
def purge_ended_jobs() -> dict[str, int]:
    """Delete jobs that ended longer ago than `ISTHMUS_JOBS_RETENTION_DAYS`, with their log lines."""
    before = clock.now() - timedelta(days=options.retention_days)
    # A retry of what failed in a batch reads from the batch which items those are.
    read = BatchRun.objects.filter(retry_of=OuterRef("pk"), job__state__in=NON_TERMINAL)
    old = Job.objects.ended().filter(~Exists(read), finished_at__lt=before).order_by("finished_at")
    handle, purged = current_job_or_none(), 0
    while batch := list(old.values_list("pk", flat=True)[:_BATCH]):
        Job.objects.filter(pk__in=batch).delete()
        purged += len(batch)
        if handle:
            handle.progress(purged)
            handle.checkpoint()
    return {"purged": purged}


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
