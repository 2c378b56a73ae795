"""The relay: moves what committed transactions have staged into the event log.

Rows come from two tables, published events and raw changes. Each move is one database transaction: wait for any other
relay, read whole transactions, append their events to the log, delete the rows. A process that dies in the middle
leaves everything as it was. Leases see to it that one relay works at a time; should two believe that they lead, the
lock on the series keeps the second waiting, and it then reads what the first has left.

The order of transactions. Ids of rows are handed out before the commit, so they are no order of commits. But a
transaction that builds on what another one committed (it changed the same record, or read it) has written a row after
that commit, and this row's id is higher than every id of the other. So transactions are moved in the order of their
*last* row: whatever can depend on each other keeps its order. A window of the lowest ids decides that cheaply: the
transactions that lie wholly within it are the ones whose last rows are the lowest of all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice
from typing import Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, OuterRef, QuerySet, Subquery

from events.conf import options
from events.logs.base import EventLog, NewEvent
from events.models import ChangeRow, OutboxEvent, StagedRow
from events.series import COMMIT_SERIES, advance, lock
from events.shaping import ShapingLimits, shape_changes

__all__ = ["Relay"]

_APPENDED_AT_ONCE = 2_000

Row = TypeVar("Row", bound=StagedRow)


@dataclass(frozen=True, kw_only=True)
class StagedTransaction(Generic[Row]):
    """The rows of one committed transaction in one table."""

    key: UUID
    last_id: int
    last_created_at: datetime
    rows: Iterable[Row]


class Relay:
    """Moves staged rows into a log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def move(self) -> int:
        """Move one batch of either table; return how many transactions were moved, 0 when nothing waits."""
        return self._move(OutboxEvent, _outbox_events) + self._move(ChangeRow, _change_events)

    def move_all(self) -> int:
        """Move until nothing waits; return how many transactions were moved."""
        moved = 0
        while now_moved := self.move():
            moved += now_moved
        return moved

    def _move(self, model: type[Row], shape: "Callable[[StagedTransaction[Row], int], Iterator[NewEvent]]") -> int:
        rows = _rows(model)
        # Asked outside a transaction: on SQLite an idle relay must not take the writers' turn.
        if not rows.values_list("id")[:1]:
            return 0
        with transaction.atomic():
            commit_number = lock(COMMIT_SERIES)
            moved = _next_transactions(model, options.relay_batch_size)
            events = (
                event for number, staged in enumerate(moved, start=commit_number + 1) for event in shape(staged, number)
            )
            while some := list(islice(events, _APPENDED_AT_ONCE)):
                self._log.append(some)
            if moved:
                advance(COMMIT_SERIES, commit_number + len(moved))
                rows.filter(
                    transaction_key__in=[staged.key for staged in moved],
                    id__lte=max(staged.last_id for staged in moved),
                ).delete()
        return len(moved)


def _rows(model: type[Row]) -> QuerySet[Row]:
    return model._default_manager.order_by("id")  # noqa: SLF001 - Django documents it


def _next_transactions(model: type[Row], limit: int) -> list[StagedTransaction[Row]]:
    """Return the transactions that come next, in order: about `limit` rows of them, at least one transaction."""
    window = list(_rows(model)[:limit])
    if not window:
        return []
    by_key: dict[UUID, list[Row]] = {}
    for row in window:
        by_key.setdefault(row.transaction_key, []).append(row)
    last_id = window[-1].pk
    # A window that is not full holds all there is.
    ends = _ends(model, [rows[-1].pk for rows in by_key.values()]) if len(window) == limit else {}
    whole = [rows for key, rows in by_key.items() if ends.get(key, 0) <= last_id]
    if whole:
        return sorted((_in_memory(rows) for rows in whole), key=lambda staged: staged.last_id)
    return _next_beyond_window(model, limit, first_end=min(ends.values()))


def _next_beyond_window(model: type[Row], limit: int, *, first_end: int) -> list[StagedTransaction[Row]]:
    """Return what comes next when the lowest rows all belong to transactions larger than the window.

    Smaller transactions may have begun later and ended earlier; `first_end` is the last row of the one that ends first
    among those in the window, so that everything that comes before it ends at or before that row.
    """
    candidates = (
        _rows(model)
        .filter(id__lte=first_end)
        .order_by()
        .values_list("transaction_key")
        .annotate(last=Max("id"), size=Count("id"))
        .order_by("last")
    )
    chosen: list[UUID] = []
    total = 0
    for start in count(0, limit):
        some = list(candidates[start : start + limit])
        ends = _ends(model, [last for _, last, _ in some])
        for key, last, size in some:
            if ends[key] != last:
                continue
            if chosen and total + size > limit:
                return _by_keys(model, chosen)
            if size > limit:
                return [_streamed(model, key, last)]
            chosen.append(key)
            total += size
        if len(some) < limit:
            break
    return _by_keys(model, chosen)


def _ends(model: type[Row], row_ids: list[int]) -> dict[UUID, int]:
    """Return, for the transaction of each row, the id of its last row: one probe of the index each."""
    same = _rows(model).filter(transaction_key=OuterRef("transaction_key")).order_by("-id")
    rows = _rows(model).filter(pk__in=row_ids).order_by()
    return dict(rows.values_list("transaction_key", Subquery(same.values("id")[:1])))


def _by_keys(model: type[Row], keys: list[UUID]) -> list[StagedTransaction[Row]]:
    by_key: dict[UUID, list[Row]] = {}
    for row in _rows(model).filter(transaction_key__in=keys):
        by_key.setdefault(row.transaction_key, []).append(row)
    return [_in_memory(by_key[key]) for key in keys]


def _in_memory(rows: list[Row]) -> StagedTransaction[Row]:
    last = rows[-1]
    return StagedTransaction(key=last.transaction_key, last_id=last.pk, last_created_at=last.created_at, rows=rows)


def _streamed(model: type[Row], key: UUID, last_id: int) -> StagedTransaction[Row]:
    rows = _rows(model).filter(transaction_key=key, id__lte=last_id)
    return StagedTransaction(
        key=key,
        last_id=last_id,
        last_created_at=rows.get(pk=last_id).created_at,
        rows=rows.iterator(chunk_size=_APPENDED_AT_ONCE),
    )


def _outbox_events(staged: StagedTransaction[OutboxEvent], _commit_number: int) -> Iterator[NewEvent]:
    for sequence_number, row in enumerate(staged.rows, start=1):
        yield NewEvent(
            topic=row.topic,
            event_uuid=row.event_uuid,
            schema_id=row.schema_id,
            payload=row.payload,
            created_at=row.created_at,
            correlation_id=row.correlation_id,
            transaction_key=row.transaction_key,
            sequence_number=sequence_number,
        )


def _change_events(staged: StagedTransaction[ChangeRow], commit_number: int) -> Iterator[NewEvent]:
    return shape_changes(
        staged.rows,
        commit_number=commit_number,
        commit_timestamp=staged.last_created_at,
        limits=ShapingLimits(changes=options.max_changes_per_transaction, event_bytes=options.max_event_bytes),
    )
