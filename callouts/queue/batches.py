"""Many records, sent in chunks: one callout for each chunk, built, sent and looked at on its own.

    @queueable()
    def prices(records: list[str], context: object) -> http.Request:
        found = Product.objects.filter(pk__in=records)
        return http.Request(method="POST", url="callout:Shop/prices", json=[as_price(one) for one in found])

    callouts.send_batch("Publish prices", prices, Product.objects.filter(is_live=True), chunk_size=200)

A chunk is built once, in one transaction with the callout it becomes; so a batch that was cut off goes on where it
stopped.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import Max, Q, Sum

from callouts.client import running_user
from callouts.errors import CalloutRefused
from callouts.queue import decisions
from callouts.queue.enqueueing import context_of, enqueue
from callouts.queue.errors import BatchRefused
from callouts.queue.follow_ups import outcome_of
from callouts.queue.models import BatchChunk, BatchState, CalloutBatch, QueuedCallout
from callouts.queue.states import AWAITS_DECISION, NOT_ENDED, QueueState
from isthmus import clock, correlation
from isthmus.audit import actions as audit
from isthmus.jobs import current_job, queueable, registry
from isthmus.jobs.registry import Declared
from isthmus.logs import get_logger

__all__ = [
    "BatchProgress",
    "build",
    "cancel",
    "look_at_chunk",
    "progress_of",
    "progress_of_each",
    "restart",
    "send_batch",
]

log = get_logger(__name__)

_LARGEST_CHUNK = 10_000
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class BatchProgress:
    """How far a batch is, in records."""

    total: int
    succeeded: int
    failed: int
    in_doubt: int
    """Sent, the answer lost: somebody has to decide."""
    cancelled: int

    @property
    def open(self) -> int:
        """Records of which it is not known yet what becomes of them."""
        return max(0, self.total - self.succeeded - self.failed - self.in_doubt - self.cancelled)

    @property
    def done(self) -> int:
        """Records that are over, one way or the other."""
        return self.total - self.open


def send_batch(
    operation: str,
    function: Declared,
    records: Iterable[Any],
    *,
    chunk_size: int = 200,
    read: Declared | None = None,
    idempotent: bool = False,
    context: Any = None,
    user: AbstractUser | None = None,
) -> CalloutBatch:
    """Send many records in chunks of `chunk_size`, in the caller's transaction; return the batch.

    `function`, declared with `@queueable`, is called in a job with `records` (the ids of a chunk, as text) and
    `context` (JSON); it returns the request that carries them. `records`: a queryset, or ids. `read`, declared
    likewise, is called with `outcome` for every chunk that was answered well, and returns a mapping of the records
    that the other side refused all the same, with reasons. `idempotent`: every chunk carries a key of its own, which
    makes repeating it safe where the other side honours that. `user` as in `callouts.enqueue`.

    Raises `BatchRefused` and `InvalidCallout`.
    """
    if not 1 <= chunk_size <= _LARGEST_CHUNK:
        raise BatchRefused(f"A chunk has 1 to {_LARGEST_CHUNK} records.")
    user = running_user(user)
    with transaction.atomic():
        batch = CalloutBatch.objects.create(
            operation=operation[:255],
            function=_name_of(function, records=[], context=None),
            read_function=_name_of(read, outcome=None) if read is not None else "",
            context=context_of(context),
            is_idempotent=idempotent,
            total=0,
            chunk_size=chunk_size,
            user_id=user.pk if user is not None else None,
            user_name=user.get_username() if user is not None else "",
            correlation_id=correlation.current_or_new()[:128],
        )
        batch.total = _add_chunks(batch, _ids(records), first_number=1)
        if not batch.total:
            raise BatchRefused("There are no records to send.")
        batch.save(update_fields=["total"])
        audit.record("callouts.batch_started", target=str(batch), details={"records": batch.total}, actor=user)
        _build_later(batch)
    return batch


def progress_of(batch: CalloutBatch) -> BatchProgress:
    """Return how far a batch is."""
    return progress_of_each([batch])[batch.pk]


def progress_of_each(batches: Iterable[CalloutBatch]) -> dict[int, BatchProgress]:
    """Return how far each of some batches is, by its key; three queries for all of them."""
    found = {batch.pk: batch for batch in batches}
    by_state: dict[int, dict[str, int]] = {pk: dict.fromkeys(QueueState.values, 0) for pk in found}
    rows = QueuedCallout.objects.filter(chunk__batch__in=found).order_by().values_list("chunk__batch", "state")
    for pk, state, size in rows.annotate(size=Sum("chunk__size")):
        by_state[pk][state] = size or 0
    chunks = BatchChunk.objects.filter(batch__in=found).order_by()
    refused = dict(chunks.values_list("batch").annotate(failed=Sum("failed")))
    unbuilt = dict(chunks.filter(is_built=True, callouts=None).values_list("batch").annotate(size=Sum("size")))
    return {
        pk: _progress(batch.total, by_state[pk], refused=refused.get(pk) or 0, unbuilt=unbuilt.get(pk) or 0)
        for pk, batch in found.items()
    }


def _progress(total: int, by_state: Mapping[str, int], *, refused: int, unbuilt: int) -> BatchProgress:
    succeeded = by_state[QueueState.SUCCEEDED] + by_state[QueueState.DRY_RUN]
    return BatchProgress(
        total=total,
        succeeded=max(0, succeeded - refused),
        failed=by_state[QueueState.FAILED] + by_state[QueueState.STOPPED] + refused + unbuilt,
        in_doubt=by_state[QueueState.IN_DOUBT],
        cancelled=by_state[QueueState.CANCELLED],
    )


def restart(batch: CalloutBatch, actor: AbstractUser | None = None) -> int:
    """Send again what failed: whole chunks as they are, single records in new chunks. Return how many chunks.

    What is in doubt stays so until somebody decides. Raises `BatchRefused` when there is nothing to restart.
    """
    with transaction.atomic():
        locked = CalloutBatch.objects.select_for_update().get(pk=batch.pk)
        failed = QueuedCallout.objects.filter(chunk__batch=locked, state__in=(QueueState.FAILED, QueueState.STOPPED))
        restarted = 0
        for row in failed.defer("body", "answer_body"):
            decisions.resend(row, actor)
            restarted += 1
        unbuilt = locked.chunks.filter(callouts=None)
        restarted += unbuilt.count()
        unbuilt.update(is_built=False, error="")
        restarted += _failed_records_anew(locked)
        if not restarted:
            raise BatchRefused("Nothing of it failed, or what failed is in doubt and has to be decided.")
        CalloutBatch.objects.filter(pk=locked.pk).update(state=BatchState.RUNNING, ended_at=None)
        audit.record("callouts.batch_restarted", target=str(batch), details={"chunks": restarted}, actor=actor)
        _build_later(locked)
    return restarted


def cancel(batch: CalloutBatch, actor: AbstractUser | None = None) -> int:
    """Give up what has not left yet; return how many chunks. Raises `BatchRefused` when it has ended."""
    with transaction.atomic():
        running = CalloutBatch.objects.filter(pk=batch.pk).exclude(state=BatchState.CANCELLED)
        if not running.update(state=BatchState.CANCELLED, ended_at=clock.now()):
            raise BatchRefused("It is cancelled already.")
        waiting = QueuedCallout.objects.filter(chunk__batch=batch, state__in=(QueueState.WAITING, QueueState.HELD))
        cancelled = decisions.cancel_many(waiting, actor, "its batch was cancelled")
        audit.record("callouts.batch_cancelled", target=str(batch), details={"chunks": cancelled}, actor=actor)
    return cancelled


@queueable(max_attempts=5, retry_delays=(1, 10, 60), kind="Callout batch", time_limit_seconds=3_600)
def build(batch: int) -> dict[str, object]:
    """Build the chunks that are not built yet, each in one transaction with its callout."""
    handle = current_job()
    built = 0
    total = BatchChunk.objects.filter(batch=batch).count()
    with correlation.bind(CalloutBatch.objects.values_list("correlation_id", flat=True).get(pk=batch)):
        while chunk := _next_unbuilt(batch):
            handle.checkpoint()
            _build_chunk(chunk)
            built += 1
            handle.progress(built, total)
    _end_if_over(CalloutBatch.objects.get(pk=batch))
    return {"built": built}


@queueable(max_attempts=5, retry_delays=(1, 10, 60, 300), atomic=True, kind="Callout batch")
def look_at_chunk(queued_callout: int, state: str) -> dict[str, object]:
    """Find out which single records of an answered chunk were refused, and whether the batch is over."""
    row = QueuedCallout.objects.select_related("chunk__batch").get(pk=queued_callout)
    chunk = row.chunk
    if chunk is None:
        return {}
    if state == QueueState.SUCCEEDED and not chunk.is_read:
        failures = _refused_records(row, chunk)
        BatchChunk.objects.filter(pk=chunk.pk).update(failures=failures, failed=len(failures), is_read=True)
        if not row.on_success:
            QueuedCallout.objects.filter(pk=row.pk).update(answer_body=b"")
    _end_if_over(chunk.batch)
    return {"batch": chunk.batch_id, "chunk": chunk.number}


def _refused_records(row: QueuedCallout, chunk: BatchChunk) -> dict[str, str]:
    name = chunk.batch.read_function
    if not name:
        return {}
    found = registry.find(name).function(outcome=outcome_of(row))
    if not isinstance(found, Mapping):
        raise TypeError(f"{name} returns a mapping of refused records with reasons, not {type(found).__name__}.")
    known = set(chunk.records)
    if unknown := [key for key in found if str(key) not in known]:
        raise ValueError(f"{name} names records that are not in the chunk, {unknown[0]!r} among them.")
    return {str(key): str(reason)[:500] for key, reason in found.items()}


def _next_unbuilt(batch: int) -> BatchChunk | None:
    waiting = BatchChunk.objects.filter(batch=batch, is_built=False).exclude(batch__state=BatchState.CANCELLED)
    return waiting.select_related("batch__user").order_by("number").first()


def _build_chunk(chunk: BatchChunk) -> None:
    batch = chunk.batch
    try:
        with transaction.atomic():
            if not BatchChunk.objects.filter(pk=chunk.pk, is_built=False).update(is_built=True):
                return
            if batch.user_name and batch.user is None:
                raise BatchRefused(f"{batch.user_name}, on whose behalf it is sent, is gone.")
            request = registry.find(batch.function).function(records=list(chunk.records), context=batch.context)
            enqueue(
                batch.operation,
                request,
                context=batch.context,
                idempotency_key=f"batch-{batch.pk}-{chunk.number}" if batch.is_idempotent else None,
                user=batch.user,
                chunk=chunk,
            )
    except (BatchRefused, CalloutRefused) as error:
        BatchChunk.objects.filter(pk=chunk.pk).update(is_built=True, error=error.message)
    except Exception as error:
        # One chunk that cannot be built does not keep the others.
        log.exception("callout_batch.chunk_not_built", batch=batch.pk, chunk=chunk.number)
        BatchChunk.objects.filter(pk=chunk.pk).update(
            is_built=True, error=f"{type(error).__name__} while its request was built; the log has its trace."
        )


def _end_if_over(batch: CalloutBatch) -> None:
    if batch.chunks.filter(Q(is_built=False) | Q(callouts__state__in=NOT_ENDED)).exists():
        return
    unread = Q(callouts__state=QueueState.SUCCEEDED, is_read=False)
    if batch.chunks.filter(unread).exists():
        return
    is_whole = not batch.chunks.filter(
        Q(callouts__state__in=AWAITS_DECISION) | Q(callouts=None) | Q(failed__gt=0)
    ).exists()
    running = CalloutBatch.objects.filter(pk=batch.pk).exclude(state=BatchState.CANCELLED)
    running.update(state=BatchState.COMPLETED if is_whole else BatchState.PARTLY_FAILED, ended_at=clock.now())


def _failed_records_anew(batch: CalloutBatch) -> int:
    anew: list[str] = []
    for chunk in batch.chunks.filter(failed__gt=0):
        anew += list(chunk.failures)
        chunk.size -= chunk.failed
        chunk.records = [one for one in chunk.records if one not in chunk.failures]
        chunk.failures, chunk.failed = {}, 0
        chunk.save(update_fields=["size", "records", "failures", "failed"])
    last = batch.chunks.aggregate(last=Max("number"))["last"] or 0
    if not anew:
        return 0
    _add_chunks(batch, iter(anew), first_number=last + 1)
    return -(-len(anew) // batch.chunk_size)


def _add_chunks(batch: CalloutBatch, ids: Iterator[str], *, first_number: int) -> int:
    total, number = 0, first_number
    rows: list[BatchChunk] = []
    while records := list(islice(ids, batch.chunk_size)):
        rows.append(BatchChunk(batch=batch, number=number, records=records, size=len(records)))
        total += len(records)
        number += 1
        if len(rows) >= _ROWS_AT_ONCE:
            BatchChunk.objects.bulk_create(rows)
            rows = []
    BatchChunk.objects.bulk_create(rows)
    return total


def _ids(records: Iterable[Any]) -> Iterator[str]:
    if isinstance(records, models.QuerySet):
        keys = records.values_list("pk", flat=True)
        yield from map(str, keys.iterator(chunk_size=2_000))
        return
    for record in records:
        yield str(record.pk if isinstance(record, models.Model) else record)


def _name_of(function: Declared, **arguments: object) -> str:
    try:
        declaration = function.declaration
        inspect.signature(declaration.function).bind(**arguments)
    except (AttributeError, TypeError) as error:
        wanted = ", ".join(arguments)
        raise BatchRefused(f"The function is declared with @queueable and takes {wanted}.") from error
    return declaration.name


def _build_later(batch: CalloutBatch) -> None:
    build.enqueue(batch=batch.pk, subject=("CalloutBatch", str(batch.pk)))
