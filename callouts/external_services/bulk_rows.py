"""Inserting thousands of rows of one table at the database's own pace."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models

__all__ = ["insert"]


def insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows whose values are ready for the database, in the open transaction.

    Like `bulk_create`, without objects: models' defaults and signals are left out. Raises Django's database errors.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(connection.ops.quote_name(_column(model, name)) for name in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # https://www.psycopg.org/psycopg3/docs/basic/copy.html
            with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", list(rows))  # noqa: S608 - names are ours


def _column(model: type[models.Model], name: str) -> str:
    return next(str(field.column) for field in model._meta.concrete_fields if field.name == name)
