"""Makes the indexes that there should be, renews those that changed, and takes away the others."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from isthmus.logs import get_logger
from isthmus.objects import catalogue
from records.search_index import postgresql, sqlite
from records.search_index.plan import IndexPlan, plan_for

__all__ = ["maker_for", "missing_indexes", "prepare_for_migration", "searchable_tables", "synchronise"]

log = get_logger(__name__)

_MAKERS: dict[str, ModuleType] = {"postgresql": postgresql, "sqlite": sqlite}


def maker_for(vendor: str) -> Any:
    """Return what makes and asks the indexes of this kind of database. Raises `KeyError` for one that has none."""
    return _MAKERS[vendor]


def synchronise(using: str) -> None:
    """Let the database index exactly the objects that can be searched, with the rows that they have. Idempotent.

    An index that is as it should be is left alone: then this takes two questions.
    """
    connection = connections[using]
    if connection.vendor not in _MAKERS:
        return
    maker, there = _MAKERS[connection.vendor], _installed(connection)
    tables = set(connection.introspection.table_names())
    wanted = {plan.table: plan for plan in _plans(using) if plan.table in tables}
    changed = {table for table, plan in wanted.items() if there.get(table) != maker.definition(plan)}
    for table in sorted(there.keys() - wanted.keys()):
        _execute(connection, maker.removal(table))
    if changed:
        maker.prepare(connection)
    for table in sorted(changed):
        _renew(connection, maker, wanted[table])
        log.info("search.indexed", object=wanted[table].object_name, using=using)


def searchable_tables(using: str) -> set[str]:
    """Return the tables that have an index."""
    return set(_installed(connections[using]))


def missing_indexes(using: str) -> list[str]:
    """Return the names of the objects that cannot be searched as they should, because their index is not there."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if connection.vendor not in _MAKERS:
        return []
    maker, there = _MAKERS[connection.vendor], _installed(connection)
    return [
        plan.object_name
        for plan in _plans(using)
        if plan.table in tables and there.get(plan.table) != maker.definition(plan)
    ]


def prepare_for_migration(using: str, plan: Iterable[tuple[Any, bool]]) -> None:
    """Take the triggers away where they are in the way of a migration; what they index is indexed anew after it.

    SQLite refuses to change a column that a trigger names, and forgets the triggers of a table that Django rebuilds.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or not list(plan):
        return
    with transaction.atomic(using=using):
        for table in sorted(_installed(connection)):
            _execute(connection, sqlite.trigger_removal(table))


def _renew(connection: BaseDatabaseWrapper, maker: Any, plan: IndexPlan) -> None:
    statements = [*maker.removal(plan.table), *maker.creation(plan, connection)]
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        # An index that is made while others write cannot be made within a transaction.
        _execute(connection, statements)
        return
    with transaction.atomic(using=connection.alias):
        _execute(connection, statements)


def _installed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    found: dict[str, str] = _MAKERS[connection.vendor].installed(connection) if connection.vendor in _MAKERS else {}
    return found


def _plans(using: str) -> list[IndexPlan]:
    return [
        plan
        for found in catalogue.all_objects()
        if found.model is not None and router.db_for_write(found.model) == using
        if (plan := plan_for(found)) is not None
    ]


def _execute(connection: BaseDatabaseWrapper, statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
