"""Ends a query of the database that takes too long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction

from isthmus.database_troubles import sqlstate_of
from records.conf import options
from records.soql.errors import QueryTimeout

__all__ = ["time_limit"]

_STEPS_BETWEEN_LOOKS = 100_000
_CANCELED = "57014"
_SET_TIMEOUT = "SELECT set_config('statement_timeout', %s, true)"


@contextmanager
def time_limit() -> Iterator[None]:
    """Let what the block asks of the database take `ISTHMUS_RECORDS_QUERY_SECONDS` at most. Raises `QueryTimeout`.

    On PostgreSQL each statement may take that long, on SQLite all of them together.
    """
    connection.ensure_connection()
    limited = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
    try:
        with limited(options.query_seconds):
            yield
    except OperationalError as error:
        if sqlstate_of(error) == _CANCELED or "interrupted" in str(error):
            raise QueryTimeout from error
        raise


@contextmanager
def _on_postgresql(seconds: float) -> Iterator[None]:
    is_inside = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        before = _statement_timeout(cursor) if is_inside else ""
        cursor.execute(_SET_TIMEOUT, [str(max(1, int(seconds * 1_000)))])
        yield
        if is_inside:
            # What is set lasts as long as the outermost transaction, whose other statements have a limit of their own.
            cursor.execute(_SET_TIMEOUT, [before])


def _statement_timeout(cursor: Any) -> str:
    cursor.execute("SELECT current_setting('statement_timeout')")
    return str(cursor.fetchone()[0])


@contextmanager
def _on_sqlite(seconds: float) -> Iterator[None]:
    ends = time.monotonic() + seconds
    raw: Any = connection.connection
    raw.set_progress_handler(lambda: int(time.monotonic() > ends), _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
