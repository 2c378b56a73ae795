"""Removes queued callouts that are over and decided."""

from datetime import timedelta

from callouts.queue.conf import options
from callouts.queue.models import BatchChunk, BatchState, CalloutBatch, QueuedCallout
from callouts.queue.states import ENDED
from isthmus import clock
from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal

__all__ = ["remove_ended"]


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_ended() -> dict[str, object]:
    """Remove what ended long ago: in chunks, never what failed or is in doubt and nobody has decided about."""
    before = clock.now() - timedelta(days=options.keep_ended_days)
    removal = Removal()
    ended = QueuedCallout.objects.filter(state__in=ENDED, ended_at__lt=before)
    removal.remove("callouts", ended.filter(chunk=None), order="ended_at")
    batches = CalloutBatch.objects.filter(ended_at__lt=before, state__in=(BatchState.COMPLETED, BatchState.CANCELLED))
    # From the inside out: a batch of a million records is never one transaction.
    removal.remove("callouts", QueuedCallout.objects.filter(chunk__batch__in=batches), order="pk")
    removal.remove("chunks", BatchChunk.objects.filter(batch__in=batches), order="pk")
    removal.remove("batches", batches, order="pk")
    return {"removed": removal.counts["callouts"]}
