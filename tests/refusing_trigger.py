"""A database that refuses rows for reasons of its own."""

import contextlib
from collections.abc import Iterator

from django.db import connection

__all__ = ["rows_are_refused"]


@contextlib.contextmanager
def rows_are_refused(table: str, *, when: str) -> Iterator[None]:
    """Let the database refuse to insert or update rows of `table` that fulfil `when`, SQL about `NEW`."""
    if connection.vendor == "sqlite":
        makes = [
            f"CREATE TRIGGER refuse_{event} BEFORE {event} ON {table} WHEN {when} "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
            for event in ("INSERT", "UPDATE")
        ]
        removes = ["DROP TRIGGER refuse_INSERT", "DROP TRIGGER refuse_UPDATE"]
    else:
        makes = [
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               RAISE EXCEPTION 'no room' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
            f"""CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table}
                FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()""",
        ]
        removes = ["DROP FUNCTION refuse() CASCADE"]
    _execute(makes)
    try:
        yield
    finally:
        _execute(removes)


def _execute(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
