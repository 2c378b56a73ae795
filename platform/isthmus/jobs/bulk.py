"""Bulk actions of the console, done by background operations."""

from datetime import timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.urls import reverse

from isthmus import clock
from isthmus.console import bulk
from isthmus.console.models import BulkOperation
from isthmus.console.tones import Status
from isthmus.jobs.conf import options
from isthmus.jobs.console import status_of
from isthmus.jobs.errors import JobStopped
from isthmus.jobs.handle import current_job
from isthmus.jobs.models import Job
from isthmus.jobs.queueables import queueable

__all__ = ["SUBJECT", "BulkRunner", "perform_bulk", "remove_old_bulk_actions"]

SUBJECT = "bulk operation"
_DAY_SECONDS = 86_400
_REMOVED_AT_ONCE = 500


class BulkRunner:
    """Does each bulk action in a background operation of its own."""

    def start(self, operation: BulkOperation, user: User) -> str:
        """Enqueue it in the caller's transaction."""
        subject = (SUBJECT, str(operation.pk))
        job = perform_bulk.enqueue(operation_id=str(operation.pk), user=user, subject=subject)
        return reverse("jobs:detail", args=[job.pk])

    def status_of(self, operation: BulkOperation) -> Status | None:
        """Return where its job stands."""
        job = Job.objects.about(SUBJECT, str(operation.pk)).order_by("-created_at").first()
        return status_of(job) if job is not None else None


@queueable(max_attempts=10, kind="Bulk", time_limit_seconds=_DAY_SECONDS)
def perform_bulk(operation_id: str) -> dict[str, object]:
    """Act on every row of a bulk operation that was not looked at yet, until it is done or aborted."""
    job, key = current_job(), UUID(operation_id)
    total = BulkOperation.objects.values_list("total", flat=True).get(pk=key)
    for step in bulk.steps(key, stops=(JobStopped,)):
        if step.reason:
            job.log(f"Left as it is: {step.title}: {step.reason}", row=step.key)
        # Rows may have come to match since: what is done is never more than all of it.
        job.progress(step.number, max(total, step.number))
        job.checkpoint()
    figures = bulk.finish(key)
    job.log(f"Done: {figures['done']}, left as they are: {figures['refused']}.")
    return {**figures, "page": reverse("console:bulk-operation", args=[key])}


@queueable(max_attempts=3, time_limit_seconds=3_600)
def remove_old_bulk_actions() -> dict[str, int]:
    """Delete bulk actions older than `ISTHMUS_JOBS_RETENTION_DAYS`, with their refusals, unless one still runs."""
    old = BulkOperation.objects.filter(created_at__lt=clock.now() - timedelta(days=options.retention_days))
    removed, after = 0, None
    while True:
        rows = old.filter(pk__gt=after) if after is not None else old
        keys = list(rows.order_by("pk").values_list("pk", flat=True)[:_REMOVED_AT_ONCE])
        if not keys:
            return {"removed": removed}
        after = keys[-1]
        live = Job.objects.live().filter(subject_type=SUBJECT, subject_id__in=[str(key) for key in keys])
        kept = {UUID(key) for key in live.values_list("subject_id", flat=True)}
        gone = [key for key in keys if key not in kept]
        BulkOperation.objects.filter(pk__in=gone).delete()
        removed += len(gone)
