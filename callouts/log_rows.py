"""The two statements of every callout's log row: one when it leaves, one when it is over.

They make up most of what a logged callout costs over an unlogged one. On PostgreSQL the first one can be under way at
the same time as the request that it tells of: it was handed to the database before, so that a process that dies leaves
the truth behind all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from callouts import statements
from callouts.models import IntegrationLogEntry
from callouts.statements import UnderWay

__all__ = ["AlongWith", "insert", "insert_meanwhile", "update", "update_along_with"]


@dataclass(frozen=True, kw_only=True)
class AlongWith:
    """An `UPDATE` of another table that is to be made together with the log's, or not at all."""

    sql: str
    values: tuple[object, ...]


def insert(values: Mapping[str, object]) -> None:
    """Add a row; columns that are not named get their defaults."""
    connection = _connection()
    statements.execute(connection, _insert_sql(connection.alias, tuple(values)), list(values.values()))


def insert_meanwhile(values: Mapping[str, object]) -> UnderWay:
    """Add a row like `insert`, where the database can do that while something else goes on."""
    connection = _connection()
    return statements.hand_over(connection, _insert_sql(connection.alias, tuple(values)), list(values.values()))


def update(entry_id: UUID, values: Mapping[str, object], *, may_be_late: bool = False) -> None:
    """Change the row of this id.

    `may_be_late`: the database need not have it on its disk yet when this returns. Should its machine fail in the next
    moment, the row says what it said before.
    """
    connection = _connection()
    sql = _update_sql(connection.alias, tuple(values))
    if may_be_late and connection.vendor == "postgresql" and not connection.in_atomic_block:
        sql = f"{_RELAXED} {sql.replace(' WHERE ', ' FROM relaxed WHERE ')}"
    statements.execute(connection, sql, [*values.values(), entry_id])


def update_along_with(entry_id: UUID, values: Mapping[str, object], other: AlongWith) -> int:
    """Change the row of this id and make the other change, both or neither; return how many rows the other touched."""
    connection = _connection()
    sql, given = _update_sql(connection.alias, tuple(values)), [*values.values(), entry_id]
    if connection.vendor == "postgresql":
        # One statement is a transaction by itself, in one round trip.
        return statements.execute(connection, f"WITH told AS ({sql}) {other.sql}", [*given, *other.values])
    with transaction.atomic(using=connection.alias):
        statements.execute(connection, sql, given)
        return statements.execute(connection, other.sql, other.values)


# For this one transaction (https://www.postgresql.org/docs/current/wal-async-commit.html), in the same round trip.
_RELAXED = "WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"


def _connection() -> BaseDatabaseWrapper:
    connection = connections[router.db_for_write(IntegrationLogEntry)]
    connection.ensure_connection()
    return connection


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
