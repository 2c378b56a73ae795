"""Makes the triggers that there should be, and takes away the others."""

from collections.abc import Iterable
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations import RunPython, RunSQL

from isthmus.logs import get_logger
from isthmus.objects import catalogue
from isthmus.objects.capture import tracking
from isthmus.objects.capture.context import RAW_TABLE
from isthmus.objects.capture.triggers import postgresql, sqlite
from isthmus.objects.capture.triggers.plan import TriggerPlan, plan_for
from isthmus.objects.object_types import ObjectType

__all__ = ["install_triggers", "missing_triggers", "note_snapshot", "prepare_for_migration", "synchronise_triggers"]

log = get_logger(__name__)

_MAKERS: dict[str, Any] = {"postgresql": postgresql, "sqlite": sqlite}


def synchronise_triggers(using: str) -> None:
    """Let the database note the changes of exactly the tracked objects. Idempotent."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if connection.vendor not in _MAKERS or RAW_TABLE not in tables:
        return
    wanted = {plan.table: plan for plan in _plans(using) if plan.table in tables}
    maker = _MAKERS[connection.vendor]
    with transaction.atomic(using=using):
        for table in sorted(_tables_with_triggers(connection) - wanted.keys()):
            _execute(connection, maker.removal(table))
        for _, plan in sorted(wanted.items()):
            _execute(connection, maker.creation(plan))
        _tell_of_unseen_changes(connection, wanted.values())


def install_triggers(object_type: ObjectType, using: str, *, noting: bool) -> None:
    """Begin, or cease, to note the changes of one object."""
    connection = connections[using]
    maker = _MAKERS[connection.vendor]
    plan = plan_for(object_type)
    with transaction.atomic(using=using):
        _execute(connection, maker.creation(plan) if noting else maker.removal(plan.table))
    log.info("capture.switched", object=object_type.api_name, noting=noting)


def note_snapshot(object_type: ObjectType, using: str, *, after: int, limit: int) -> int | None:
    """Note what the next records hold, as SNAPSHOT, in a transaction of its own.

    Returns the last one's primary key; `None` when there is no record after `after`. What changes a record meanwhile is
    noted after it.
    """
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(_MAKERS[connection.vendor].snapshot(plan_for(object_type)), [after, limit])
        return max((pk for (pk,) in cursor.fetchall()), default=None)


def missing_triggers(using: str) -> list[str]:
    """Return the names of the tracked objects whose changes the database does not note."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if RAW_TABLE not in tables:
        # Nothing is migrated yet, so nothing can change.
        return []
    noted = _tables_with_triggers(connection) if connection.vendor in _MAKERS else set()
    return [plan.object_name for plan in _plans(using) if plan.table in tables and plan.table not in noted]


_unseen: dict[str, set[str]] = {}
"""Alias of the database → tables that had rows when their triggers were taken away for a migration."""


def prepare_for_migration(using: str, plan: Iterable[tuple[Any, bool]]) -> None:
    """Take the triggers away where they are in the way of a migration.

    SQLite refuses to change a column that a trigger names. What the migration itself writes is not noted then; if it
    may have written anything, readers get an overflow event for each table that held rows.
    """
    connection = connections[using]
    migrations = list(plan)
    if connection.vendor != "sqlite" or not migrations:
        return
    noted = _tables_with_triggers(connection)
    writes = any(
        isinstance(operation, RunPython | RunSQL) for migration, _ in migrations for operation in migration.operations
    )
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for table in sorted(noted):
            quoted = connection.ops.quote_name(table)
            cursor.execute(f"SELECT 1 FROM {quoted} LIMIT 1")
            if writes and cursor.fetchone():
                _unseen.setdefault(using, set()).add(table)
            for statement in sqlite.removal(table):
                cursor.execute(statement)


def _tell_of_unseen_changes(connection: BaseDatabaseWrapper, plans: Iterable[TriggerPlan]) -> None:
    unseen = _unseen.pop(connection.alias, set())
    with connection.cursor() as cursor:
        for name in sorted(plan.object_name for plan in plans if plan.table in unseen):
            cursor.execute(
                f"INSERT INTO {RAW_TABLE} (transaction_key, object_name, operation, context, created_at) "
                "VALUES (isthmus_transaction_key(), %s, 'T', isthmus_context(), strftime('%%Y-%%m-%%d %%H:%%M:%%f'))",
                [name],
            )


def _plans(using: str) -> list[TriggerPlan]:
    return [
        plan_for(found)
        for found in catalogue.all_objects()
        if found.model is not None and tracking.is_tracked(found) and router.db_for_write(found.model) == using
    ]


def _tables_with_triggers(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "JOIN pg_proc p ON p.oid = t.tgfoid "
                "WHERE p.proname LIKE 'isthmus\\_capture\\_%%' AND pg_table_is_visible(c.oid)",
                [],
            )
        else:
            cursor.execute(
                "SELECT DISTINCT tbl_name FROM sqlite_master "
                "WHERE type = 'trigger' AND name LIKE 'isthmus\\_capture\\_%%' ESCAPE '\\'",
                [],
            )
        return {table for (table,) in cursor.fetchall()}


def _execute(connection: BaseDatabaseWrapper, statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
