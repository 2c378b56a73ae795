"""The two statements of every callout's log row, prepared once: one when it leaves, one when it is over.

They make up most of what a logged callout costs over an unlogged one, so they go past the ORM: by the names and types
of the model, in autocommit where no transaction is open, as prepared statements on PostgreSQL.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from callouts.models import IntegrationLogEntry

__all__ = ["insert", "update"]

_one_writer = threading.Lock()


def insert(values: Mapping[str, object]) -> None:
    """Add a row; columns that are not named get their defaults."""
    names = tuple(values)
    connection = _connection()
    _execute(
        connection, _insert_sql(connection.alias, names), [_as_stored(connection, value) for value in values.values()]
    )


def update(entry_id: UUID, values: Mapping[str, object]) -> None:
    """Change the row of this id."""
    names = tuple(values)
    connection = _connection()
    given = [_as_stored(connection, value) for value in (*values.values(), entry_id)]
    _execute(connection, _update_sql(connection.alias, names), given)


def _connection() -> BaseDatabaseWrapper:
    connection = connections[router.db_for_write(IntegrationLogEntry)]
    connection.ensure_connection()
    return connection


def _execute(connection: BaseDatabaseWrapper, sql: str, values: Sequence[Any]) -> None:
    if connection.vendor != "postgresql":
        # SQLite lets one writer in at a time and lets the others sleep for milliseconds; threads that wait here wake at
        # once. Whoever has a transaction open is in already, and must not wait for one who waits for it.
        with nullcontext() if connection.in_atomic_block else _one_writer, connection.cursor() as cursor:
            cursor.execute(sql, values)
        return
    from psycopg import Cursor

    # Django's own cursors write values into the text of the statement; this one lets the server plan it once.
    raw: Any = connection.connection
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors, Cursor(raw) as cursor:
        cursor.execute(cast("Any", sql), values, prepare=raw.prepare_threshold is not None)


@lru_cache(maxsize=32)
def _insert_sql(alias: str, names: tuple[str, ...]) -> str:
    given = dict.fromkeys(names, "%s")
    for field in IntegrationLogEntry._meta.concrete_fields:
        if field.column and field.column not in given and not field.null:
            given[field.column] = _literal(field.get_default())
    quote = connections[alias].ops.quote_name
    columns = ", ".join(quote(name) for name in given)
    return f"INSERT INTO {_table(alias)} ({columns}) VALUES ({', '.join(given.values())})"  # noqa: S608 - our own names


@lru_cache(maxsize=32)
def _update_sql(alias: str, names: tuple[str, ...]) -> str:
    quote = connections[alias].ops.quote_name
    assignments = ", ".join(f"{quote(name)} = %s" for name in names)
    return f"UPDATE {_table(alias)} SET {assignments} WHERE {quote('id')} = %s"  # noqa: S608 - our own names


def _table(alias: str) -> str:
    return connections[alias].ops.quote_name(IntegrationLogEntry._meta.db_table)


def _literal(default: object) -> str:
    """Return a default of the model in SQL; the model has text, whole numbers and empty objects for defaults."""
    if isinstance(default, dict):
        return "'{}'"
    if isinstance(default, int):
        return str(default)
    text = str(default).replace("'", "''").replace("%", "%%")
    return f"'{text}'"


def _as_stored(connection: BaseDatabaseWrapper, value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value)
    if connection.vendor == "sqlite":
        if isinstance(value, UUID):
            return value.hex
        if isinstance(value, datetime):
            return connection.ops.adapt_datetimefield_value(value)
    return value
