"""Statements that every callout makes, past the ORM and past cursors: planned once by the database, few steps each.

On PostgreSQL they are prepared, and one can be under way while something else goes on. In a caller's transaction, and
where prepared statements are switched off, they take the ordinary way.
"""

import select
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from django.db import DatabaseError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    import psycopg

__all__ = ["UnderWay", "execute", "hand_over", "is_direct"]


class UnderWay:
    """A statement that was handed to the database and of whose end nobody has asked yet."""

    def __init__(self, connection: "psycopg.Connection[Any] | None" = None, rows: int = 0) -> None:
        self._connection = connection
        self._rows = rows

    def end(self) -> int:
        """Wait for its end; return how many rows it touched. Until then nothing else may use the connection.

        Raises `DatabaseError`.
        """
        if self._connection is None:
            return self._rows
        from psycopg.pq import ExecStatus

        pgconn, self._connection = self._connection.pgconn, None
        failed = ""
        try:
            while pgconn.is_busy():
                _wait(pgconn.socket, select.POLLIN)
                pgconn.consume_input()
            while (result := pgconn.get_result()) is not None:
                if result.status != ExecStatus.COMMAND_OK:
                    failed = result.error_message.decode(errors="replace")
                self._rows = result.command_tuples or 0
        except Exception as error:
            raise OperationalError("The connection to the database broke.") from error
        if failed:
            raise DatabaseError(failed)
        return self._rows


def is_direct(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a statement is prepared and a transaction of its own here."""
    raw: Any = connection.connection
    # Within a block psycopg itself begins the transaction, with the first statement that passes through it.
    return connection.vendor == "postgresql" and not connection.in_atomic_block and raw.prepare_threshold is not None


def execute(connection: BaseDatabaseWrapper, sql: str, values: Sequence[object]) -> int:
    """Run a statement with `%s` for each value; return how many rows it touched. Raises `DatabaseError`."""
    connection.ensure_connection()
    if connection.vendor != "postgresql":
        stored: list[Any] = [_as_sqlite_stores(connection, value) for value in values]
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            # Each step of Django's cursor would give other threads the interpreter, in the middle of a write.
            return int(connection.connection.execute(_with_question_marks(sql), stored).rowcount)
    if is_direct(connection):
        return hand_over(connection, sql, values).end()
    with connection.cursor() as cursor:
        given: list[Any] = [
            msgspec.json.encode(value).decode() if isinstance(value, dict) else value for value in values
        ]
        cursor.execute(sql, given)
        return int(cursor.rowcount)


def hand_over(connection: BaseDatabaseWrapper, sql: str, values: Sequence[object]) -> UnderWay:
    """Hand a statement to the database, where it is direct, and return at once; elsewhere it is over by then."""
    connection.ensure_connection()
    if not is_direct(connection):
        return UnderWay(rows=execute(connection, sql, values))
    raw: Any = connection.connection
    with connection.wrap_database_errors:
        name = _prepared_name(raw, sql)
        raw.pgconn.send_query_prepared(name, [_as_text(value) for value in values])
        while raw.pgconn.flush():
            _wait(raw.pgconn.socket, select.POLLOUT)
    return UnderWay(raw)


_prepared: "WeakKeyDictionary[psycopg.Connection[Any], dict[str, bytes]]" = WeakKeyDictionary()


def _prepared_name(raw: "psycopg.Connection[Any]", sql: str) -> bytes:
    from psycopg.pq import ExecStatus

    known = _prepared.setdefault(raw, {})
    name = known.get(sql)
    if name is None:
        name = f"isthmus_{len(known)}".encode()
        result = raw.pgconn.prepare(name, _numbered(sql).encode())
        if result.status != ExecStatus.COMMAND_OK:
            raise DatabaseError(result.error_message.decode(errors="replace"))
        known[sql] = name
    return name


def _numbered(sql: str) -> str:
    parts = sql.replace("%%", "%").split("%s")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], start=1)) + parts[-1]


def _wait(descriptor: int, event: int) -> None:
    # Unlike select(), poll() takes descriptors of any number.
    waiting = select.poll()
    waiting.register(descriptor, event)
    waiting.poll()


@lru_cache(maxsize=128)
def _with_question_marks(sql: str) -> str:
    return sql.replace("%s", "?").replace("%%", "%")


def _as_text(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat().encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    return msgspec.json.encode(value) if isinstance(value, dict) else str(value).encode()


def _as_sqlite_stores(connection: BaseDatabaseWrapper, value: object) -> object:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
