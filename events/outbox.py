"""Where published events wait for the relay, and the two ways in.

*After commit* writes in the publisher's transaction: what is rolled back was never published. *Immediately* is kept
whatever becomes of that transaction, so inside one it goes another way: over a connection of its own on PostgreSQL, and
on SQLite, where a second connection could not write while the first one does, into a second file, which the relay
empties.
"""

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events.models import OutboxEvent, Topic
from isthmus import wakeups
from isthmus.objects.capture.context import STAGED
from isthmus.objects.capture.transactions import transaction_key

__all__ = ["SameTransaction", "SideDoor", "StagedEvent", "side_door", "stage", "use"]

_TABLE = OutboxEvent._meta.db_table
_COLUMNS = "event_uuid, topic_id, schema_id, payload, size, correlation_id, cause, created_at"
_STATEMENT_ROWS = 2_000
"""Rows in one statement: keeps it below SQLite's limit on parameters."""


class StagedEvent(NamedTuple):
    """A row of the outbox; the fields are in the order of the columns."""

    event_uuid: UUID
    topic_id: int
    schema_id: str
    payload: str
    size: int
    correlation_id: str
    cause: str
    created_at: datetime


def stage(events: Sequence[StagedEvent]) -> None:
    """Write the events in the open transaction, or in one of their own, and wake the relay when that commits."""
    if not events:
        return
    _insert(connections[router.db_for_write(OutboxEvent)], events)


def _insert(to: BaseDatabaseWrapper, events: Sequence[StagedEvent]) -> None:
    if to.vendor == "postgresql":
        _insert_on_postgresql(to, events)
        return
    key = transaction_key(to).hex
    adapt = to.ops.adapt_datetimefield_value
    rows = [(event.event_uuid.hex, *event[1:7], adapt(event.created_at), key) for event in events]
    places = f"({', '.join(['%s'] * 9)})"
    is_one_statement = len(rows) <= _STATEMENT_ROWS
    together = contextlib.nullcontext() if is_one_statement else transaction.atomic(using=to.alias, savepoint=False)
    with together, to.cursor() as cursor:
        for start in range(0, len(rows), _STATEMENT_ROWS):
            some = rows[start : start + _STATEMENT_ROWS]
            cursor.execute(
                f"INSERT INTO {_TABLE} ({_COLUMNS}, transaction_key) VALUES {', '.join([places] * len(some))}",
                [value for row in some for value in row],
            )
    if _has_to_ring(to):
        wakeups.ring(STAGED, to.alias)


def _has_to_ring(to: BaseDatabaseWrapper) -> bool:
    # Within a transaction nobody knows when it commits; a single statement does at once.
    return to.in_atomic_block or wakeups.is_due(STAGED)


def _insert_on_postgresql(to: BaseDatabaseWrapper, events: Sequence[StagedEvent]) -> None:
    # The notification goes along in the same message, and is sent when the transaction commits.
    places = f"({', '.join(['%s'] * 8)}, isthmus_transaction_key())"
    statement = f"INSERT INTO {_TABLE} ({_COLUMNS}, transaction_key) VALUES {', '.join([places] * len(events))}"
    if _has_to_ring(to):
        statement += f"; {wakeups.notification(STAGED)}"
    with to.cursor() as cursor:
        cursor.execute(statement, [value for event in events for value in event])


# --- immediately ------------------------------------------------------------------------------------------------------
class SideDoor(ABC):
    """Takes events that are kept even if the open transaction is rolled back."""

    @abstractmethod
    def write(self, events: Sequence[StagedEvent]) -> None:
        """Return when the events are committed."""

    def empty(self) -> int:
        """Move what was written elsewhere into the outbox; return how many events. The relay calls it."""
        return 0


class SameTransaction(SideDoor):
    """For tests whose transaction is rolled back in the end: immediate events go with it."""

    def write(self, events: Sequence[StagedEvent]) -> None:
        stage(events)


class SecondConnection(SideDoor):
    """Writes the outbox over a connection of its own, which waits for nothing that the first one holds."""

    def write(self, events: Sequence[StagedEvent]) -> None:
        second = connection.copy()
        try:
            _insert(second, events)
        finally:
            second.close()


class SecondFile(SideDoor):
    """Writes into a file beside the database.

    `empty` copies, commits, and only then removes: what a crash in between leaves in both is one event all the same,
    for the log takes an event's UUID once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, events: Sequence[StagedEvent]) -> None:
        with self._open() as file:
            file.executemany(
                f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(event.event_uuid.hex, *event[1:7], event.created_at.isoformat()) for event in events],
            )
        wakeups.ring(STAGED)

    def empty(self) -> int:
        if not self._path.exists():
            return 0
        moved = 0
        with self._open() as file:
            while found := file.execute(f"SELECT id, {_COLUMNS} FROM events ORDER BY id LIMIT 1000").fetchall():
                events = [_staged(row[1:]) for row in found]
                topics = set(Topic.objects.values_list("pk", flat=True))
                # Topics never go, unless somebody emptied the whole database: then there is nobody to tell.
                stage([event for event in events if event.topic_id in topics])
                file.execute("DELETE FROM events WHERE id <= ?", [found[-1][0]])
                file.commit()
                moved += len(found)
        return moved

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=20)) as file:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=FULL")
            file.execute(
                "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, event_uuid TEXT, topic_id "
                "INTEGER, schema_id TEXT, payload TEXT, size INTEGER, correlation_id TEXT, cause TEXT, created_at TEXT)"
            )
            with file:
                yield file


def _staged(row: tuple[Any, ...]) -> StagedEvent:
    event_uuid, topic_id, schema_id, payload, size, correlation_id, cause, created_at = row
    at = datetime.fromisoformat(created_at)
    return StagedEvent(UUID(event_uuid), topic_id, schema_id, payload, size, correlation_id, cause, at)


_substitute: SideDoor | None = None


def side_door() -> SideDoor:
    """Return the way past the open transaction."""
    if _substitute is not None:
        return _substitute
    if connection.vendor == "sqlite":
        return SecondFile(Path(f"{connection.settings_dict['NAME']}-immediate"))
    return SecondConnection()


@contextmanager
def use(substitute: SideDoor) -> Iterator[SideDoor]:
    """Use another way in the whole process while the block runs (for tests)."""
    global _substitute
    before, _substitute = _substitute, substitute
    try:
        yield substitute
    finally:
        _substitute = before
