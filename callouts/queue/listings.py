"""The lists of queued callouts and of batches."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db.models import Q

from callouts import redaction
from callouts.queue import batches, decisions
from callouts.queue.batches import BatchProgress
from callouts.queue.console import batch_status, listed, status_of
from callouts.queue.models import BatchState, CalloutBatch, QueuedCallout
from callouts.queue.states import AWAITS_DECISION, QueueState
from callouts.queue.views import QueueFilters
from isthmus.console.bulk import BulkAct, register_acts
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


def _resend(row: QueuedCallout, user: User) -> str:
    decisions.resend(row, user)
    return ""


def _cancel(row: QueuedCallout, user: User) -> str:
    decisions.cancel(row, user, "in bulk")
    return ""


def _acted(row: QueuedCallout, user: User) -> str:
    decisions.did_act(row, user, "decided in bulk")
    return ""


def _did_not_act(row: QueuedCallout, user: User) -> str:
    decisions.did_not_act(row, user, "decided in bulk")
    return ""


def _restart(batch: CalloutBatch, user: User) -> str:
    batches.restart(batch, user)
    return ""


def _cancel_batch(batch: CalloutBatch, user: User) -> str:
    batches.cancel(batch, user)
    return ""


_ACTS: tuple[BulkAct[QueuedCallout], ...] = (
    BulkAct(
        name="resend",
        label="Resend",
        icon="retry",
        told="Each callout that failed, was stopped, is held or was a dry run leaves again, as it is.",
        suits=lambda: Q(state__in=(QueueState.FAILED, QueueState.STOPPED, QueueState.HELD, QueueState.DRY_RUN)),
        perform=_resend,
    ),
    BulkAct(
        name="acted",
        label="It acted",
        icon="check",
        told="Each callout in doubt counts as succeeded: you have found out that the other side acted.",
        suits=lambda: Q(state=QueueState.IN_DOUBT),
        perform=_acted,
        is_grave=True,
    ),
    BulkAct(
        name="not-acted",
        label="It did not act",
        icon="retry",
        told="Each callout in doubt leaves again: you have found out that the other side did not act.",
        suits=lambda: Q(state=QueueState.IN_DOUBT),
        perform=_did_not_act,
        is_grave=True,
    ),
    BulkAct(
        name="cancel",
        label="Cancel",
        icon="stop",
        told="Each callout that is not under way is given up and never leaves.",
        suits=lambda: Q(state__in=(QueueState.WAITING, QueueState.HELD, *AWAITS_DECISION)),
        perform=_cancel,
        is_grave=True,
    ),
)
_BATCH_ACTS: tuple[BulkAct[CalloutBatch], ...] = (
    BulkAct(
        name="restart",
        label="Restart",
        icon="retry",
        told="What failed of each batch leaves again.",
        suits=lambda: Q(state=BatchState.PARTLY_FAILED),
        perform=_restart,
    ),
    BulkAct(
        name="cancel",
        label="Cancel",
        icon="stop",
        told="What has not left of each running batch is given up.",
        suits=lambda: Q(state=BatchState.RUNNING),
        perform=_cancel_batch,
        is_grave=True,
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(QUEUED_CALLOUTS, BATCHES)
    register_acts(QUEUED_CALLOUTS.name, *_ACTS)
    register_acts(BATCHES.name, *_BATCH_ACTS)
