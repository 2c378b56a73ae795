"""What waits to be relayed: rows that committed transactions have written, and which of them come next.

The order of transactions. Ids of rows are handed out before the commit, so they are no order of commits. But a
transaction that builds on what another one committed (it changed the same record, or read it) has written a row after
that commit, and this row's id is higher than every id of the other. So transactions are moved in the order of their
*last* row: whatever can depend on each other keeps its order.

One number says what comes next, a row id: all transactions whose last row is at or before it. Those form a beginning of
the order, however many other rows there are, and one statement can name them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

from django.db import connection, models

__all__ = ["COMPLETE", "StagedTransaction", "end_of_next", "next_transactions", "remove"]

Row = TypeVar("Row", bound=models.Model)

COMPLETE = """
id <= %s AND NOT EXISTS (
  SELECT 1 FROM {table} later WHERE later.transaction_key = {table}.transaction_key AND later.id > %s
)
"""
"""Condition on a row of a table of staged rows: its transaction has ended at or before the row id given twice."""


@dataclass(frozen=True, kw_only=True)
class StagedTransaction(Generic[Row]):
    """The rows of one committed transaction in one table."""

    key: UUID
    last_id: int
    last_created_at: datetime
    model: type[Row]

    def rows(self) -> Iterator[Row]:
        """Yield the rows in the order in which they were written, a few at a time."""
        found = _rows(self.model).filter(transaction_key=self.key, pk__lte=self.last_id)
        return found.iterator(chunk_size=2_000)


def end_of_next(model: type[models.Model], limit: int) -> int | None:
    """Return the row id up to which about `limit` rows come next; `None` when nothing waits.

    At least one whole transaction ends there, however large it is.
    """
    rows = _rows(model)
    window = rows.values("pk", "transaction_key")[:limit]
    found = window.aggregate(number=models.Count("pk"), last=models.Max("pk"))
    last: int | None = found["last"]
    if last is None or found["number"] < limit:
        return last
    # The window may be full of transactions that go on beyond it: then up to the end of the one that ends first.
    keys = rows.filter(pk__lte=last).order_by().values("transaction_key").distinct()
    ends = _rows(model).filter(transaction_key=models.OuterRef("transaction_key")).order_by("-pk")
    first_end: int = min(keys.values_list(models.Subquery(ends.values("pk")[:1]), flat=True))
    return max(last, first_end)


def next_transactions(model: type[Row], end: int) -> list[StagedTransaction[Row]]:
    """Return the transactions that have ended at or before `end`, in order."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT transaction_key, max(id), max(created_at) FROM {table} WHERE {COMPLETE.format(table=table)} "
            "GROUP BY transaction_key ORDER BY 2",
            [end, end],
        )
        found = cursor.fetchall()
    return [
        StagedTransaction(key=_uuid(key), last_id=last_id, last_created_at=_moment(created_at), model=model)
        for key, last_id, created_at in found
    ]


def remove(transactions: list[StagedTransaction[Row]]) -> int:
    """Remove the rows of these transactions, which are in the log now; return how many."""
    removed = 0
    for start in range(0, len(transactions), 5_000):
        some = transactions[start : start + 5_000]
        rows = _rows(some[0].model).filter(
            transaction_key__in=[staged.key for staged in some], pk__lte=max(staged.last_id for staged in some)
        )
        removed += rows.delete()[0]
    return removed


def _rows(model: type[Row]) -> models.QuerySet[Row]:
    return model._base_manager.order_by("pk")


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _moment(value: datetime | str) -> datetime:
    field = models.DateTimeField()
    found: datetime = field.to_python(value)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
