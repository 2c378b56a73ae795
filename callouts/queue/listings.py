"""The lists of queued callouts and of batches."""

from collections.abc import Sequence

from callouts import redaction
from callouts.queue import batches
from callouts.queue.batches import BatchProgress
from callouts.queue.console import batch_status, listed, status_of
from callouts.queue.models import CalloutBatch, QueuedCallout
from callouts.queue.states import QueueState
from callouts.queue.views import QueueFilters
from isthmus.console.listings import Column, QueryListing, register_listing

__all__ = ["BATCHES", "QUEUED_CALLOUTS", "register"]

_WITH_NEXT = (QueueState.WAITING, QueueState.HELD)


def _with_progress(found: Sequence[CalloutBatch]) -> list[tuple[CalloutBatch, BatchProgress]]:
    progress = batches.progress_of_each(found)
    return [(batch, progress[batch.pk]) for batch in found]


QUEUED_CALLOUTS: QueryListing[QueuedCallout, QueuedCallout] = QueryListing(
    name="queued-callouts",
    label="Queued callouts",
    url_name="callout_queue:list",
    rows=listed,
    filters=QueueFilters,
    moment="created_at",
    columns=(
        Column("id", "Number", lambda row: row.pk),
        Column("operation", "Callout", lambda row: row.operation),
        Column("method", "Method", lambda row: row.method),
        Column("url", "Address", lambda row: redaction.url(row.url)),
        Column("state", "State", status_of),
        Column("reason", "Reason", lambda row: row.reason),
        Column("named_credential", "Named credential", lambda row: row.named_credential),
        Column("attempts", "Attempts", lambda row: row.attempts),
        Column("status_code", "Status", lambda row: row.status_code),
        Column("next_at", "Next", lambda row: row.due_at if row.state in _WITH_NEXT else None),
        Column("record_id", "Record", lambda row: row.record_id),
        Column("correlation_id", "Correlation", lambda row: row.correlation_id),
        Column("asked_at", "Asked for", lambda row: row.created_at),
        Column("ended_at", "Ended", lambda row: row.ended_at),
    ),
)
BATCHES: QueryListing[CalloutBatch, tuple[CalloutBatch, BatchProgress]] = QueryListing(
    name="callout-batches",
    label="Callout batches",
    url_name="callout_queue:batches",
    rows=CalloutBatch.objects.all,
    moment="created_at",
    prepare=_with_progress,
    columns=(
        Column("id", "Number", lambda row: row[0].pk),
        Column("operation", "Batch", lambda row: row[0].operation),
        Column("function", "Function", lambda row: row[0].function),
        Column("state", "State", lambda row: batch_status(row[0])),
        Column("done", "Done", lambda row: row[1].done),
        Column("total", "Of", lambda row: row[1].total),
        Column("failed", "Failed", lambda row: row[1].failed),
        Column("started_at", "Started", lambda row: row[0].created_at),
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(QUEUED_CALLOUTS, BATCHES)
