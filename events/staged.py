"""What waits to be relayed: rows that committed transactions have written, and which of them come next.

The order of transactions. Ids of rows are handed out before the commit, so they are no order of commits. But a
transaction that builds on what another one committed (it changed the same record, or read it) has written a row after
that commit, and this row's id is higher than every id of the other. So transactions are moved in the order of their
*last* row: whatever can depend on each other keeps its order.

One number says what comes next, a row id: all transactions whose last row is at or before it. Those form a beginning of
the order, however many other rows there are, and one statement can name them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from django.db import connection, models

__all__ = [
    "BY_INDEX",
    "COMPLETE",
    "EVERYTHING",
    "StagedTransaction",
    "end_of_next",
    "look_by_index",
    "next_transactions",
    "remove",
    "with_rows",
]

Row = TypeVar("Row", bound=models.Model)

COMPLETE = """
id <= %s AND NOT EXISTS (
  SELECT 1 FROM {table} later WHERE later.transaction_key = {table}.transaction_key AND later.id > %s
)
"""
"""Condition on a row of a table of staged rows: its transaction has ended at or before the row id given twice."""


BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
"""Has PostgreSQL find the rows of these tables through their indexes for the rest of the transaction.

After a burst such a table is long and empty until it is vacuumed. Statistics of the burst then lead the planner to read
all of it, or all of an index, for a handful of rows, which takes up to 0.1 s a move; one look into an index for each
row is right for many rows and for few.
"""

EVERYTHING = models.Q()

_READ_AT_ONCE = 2_000


@dataclass(frozen=True, kw_only=True)
class StagedTransaction(Generic[Row]):
    """The rows of one committed transaction in one table."""

    key: UUID
    last_id: int
    last_created_at: datetime
    waiting: models.QuerySet[Row]
    """The rows of all transactions."""
    size: int
    """Number of its rows."""


def look_by_index() -> None:
    """See `BY_INDEX`; call it in the transaction of a move. SQLite, which has no such statistics, is left alone."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(BY_INDEX)


def end_of_next(model: type[models.Model], limit: int, *, only: models.Q = EVERYTHING) -> int | None:
    """Return the row id up to which about `limit` rows come next; `None` when nothing waits.

    At least one whole transaction ends there, however large it is. `only` leaves rows out as if they were not there.
    """
    rows = _rows(model, only)
    window = rows.values("pk", "transaction_key")[:limit]
    found = window.aggregate(number=models.Count("pk"), last=models.Max("pk"))
    last: int | None = found["last"]
    if last is None or found["number"] < limit:
        return last
    # The window may be full of transactions that go on beyond it: then up to the end of the one that ends first.
    keys = rows.filter(pk__lte=last).order_by().values("transaction_key").distinct()
    ends = rows.filter(transaction_key=models.OuterRef("transaction_key")).order_by("-pk")
    found_ends = keys.values_list(models.Subquery(ends.values("pk")[:1]), flat=True)
    # Without a lock another relay may have moved them meanwhile; a row id is a bound, not a claim, and does no harm.
    first_end = min(found_ends, default=last)
    return max(last, first_end)


def next_transactions(model: type[Row], end: int, *, only: models.Q = EVERYTHING) -> list[StagedTransaction[Row]]:
    """Return the transactions that have ended at or before `end`, in order."""
    rows = _rows(model, only)
    later = rows.order_by().filter(transaction_key=models.OuterRef("transaction_key"), pk__gt=end)
    complete = rows.order_by().filter(~models.Exists(later), pk__lte=end)
    ends = complete.values("transaction_key").annotate(
        last=models.Max("pk"), at=models.Max("created_at"), size=models.Count("pk")
    )
    return [
        StagedTransaction(
            key=found["transaction_key"],
            last_id=found["last"],
            last_created_at=found["at"],
            waiting=rows,
            size=found["size"],
        )
        for found in ends.order_by("last")
    ]


def with_rows(
    transactions: Iterable[StagedTransaction[Row]],
) -> Iterator[tuple[StagedTransaction[Row], Iterable[Row]]]:
    """Yield each transaction with its rows in the order in which they were written.

    Small transactions are read together; of a large one no more than a few rows are in memory at a time.
    """
    together: list[StagedTransaction[Row]] = []
    room = _READ_AT_ONCE
    for found in transactions:
        if found.size > room:
            yield from _read_together(together)
            together, room = [], _READ_AT_ONCE
        if found.size > _READ_AT_ONCE:
            yield found, _rows_of([found]).iterator(chunk_size=_READ_AT_ONCE)
        else:
            together.append(found)
            room -= found.size
    yield from _read_together(together)


def _read_together(
    transactions: list[StagedTransaction[Row]],
) -> Iterator[tuple[StagedTransaction[Row], Iterable[Row]]]:
    by_key: dict[UUID, list[Row]] = {found.key: [] for found in transactions}
    for row in _rows_of(transactions) if transactions else ():
        by_key[row.transaction_key].append(row)  # type: ignore[attr-defined]  # staged rows have one
    for found in transactions:
        yield found, by_key[found.key]


def _rows_of(transactions: list[StagedTransaction[Row]]) -> models.QuerySet[Row]:
    keys, last_id = [found.key for found in transactions], max(found.last_id for found in transactions)
    return transactions[0].waiting.filter(transaction_key__in=keys, pk__lte=last_id)


def remove(transactions: list[StagedTransaction[Row]]) -> int:
    """Remove the rows of these transactions, which are in the log now; return how many."""
    removed = 0
    for start in range(0, len(transactions), 5_000):
        removed += _rows_of(transactions[start : start + 5_000]).delete()[0]
    return removed


def _rows(model: type[Row], only: models.Q) -> models.QuerySet[Row]:
    return model._base_manager.filter(only).order_by("pk")
