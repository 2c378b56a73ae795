"""Removes queued callouts that are over and decided."""

from datetime import timedelta

from django.db import transaction

from callouts.queue.conf import options
from callouts.queue.models import BatchState, CalloutBatch, QueuedCallout
from callouts.queue.states import ENDED
from isthmus import clock
from isthmus.jobs import current_job_or_none, queueable

__all__ = ["remove_ended"]

_CHUNK = 1_000


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_ended() -> dict[str, object]:
    """Remove what ended long ago: in chunks, never what failed or is in doubt and nobody has decided about."""
    before = clock.now() - timedelta(days=options.keep_ended_days)
    removed = 0
    ended = QueuedCallout.objects.filter(state__in=ENDED, ended_at__lt=before, chunk=None)
    while keys := list(ended.order_by("ended_at").values_list("pk", flat=True)[:_CHUNK]):
        handle = current_job_or_none()
        if handle is not None:
            handle.checkpoint()
        with transaction.atomic():
            removed += QueuedCallout.objects.filter(pk__in=keys, state__in=ENDED).delete()[0]
    batches = CalloutBatch.objects.filter(ended_at__lt=before, state__in=(BatchState.COMPLETED, BatchState.CANCELLED))
    for batch in batches.order_by("pk").iterator(chunk_size=100):
        with transaction.atomic():
            batch.delete()
    return {"removed": removed}
