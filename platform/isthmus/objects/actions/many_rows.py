"""An update of many records with values of their own, in one statement that does not grow into a formula.

`UPDATE … FROM (VALUES …)` joins the rows with what they get: the database reads each value once, where `CASE` (which
other databases than PostgreSQL are given, by `rows`) compares every row with every key, column by column.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import connections, models

__all__ = ["is_possible", "update"]

_MODIFIER = re.compile(r"\([0-9, ]*\)")


@lru_cache(maxsize=1024)
def is_possible(model: type[models.Model], names: tuple[str, ...], using: str) -> bool:
    """Return whether these columns, by attribute name, can be written like this."""
    own = {field.attname: field for field in model._meta.local_concrete_fields}
    return (
        connections[using].vendor == "postgresql"
        and model._meta.pk.attname in own
        # Columns whose values have a form of their own in statements are the ORM's business.
        and all(name in own and not hasattr(own[name], "get_placeholder") for name in names)
    )


def update(model: type[models.Model], instances: Sequence[models.Model], names: Sequence[str], using: str) -> None:
    """Write the columns `names` of the instances. Raises what the database refuses with."""
    connection = connections[using]
    quote = connection.ops.quote_name
    columns = {field.attname: field for field in model._meta.local_concrete_fields}
    key: Any = model._meta.pk
    table = quote(model._meta.db_table)
    assigned, same, own = [], [], [key]
    for name in names:
        column = quote(str(columns[name].column))
        first = getattr(instances[0], name)
        if all(getattr(instance, name) == first for instance in instances[1:]):
            assigned.append(f"{column} = %s")
            same.append(columns[name].get_db_prep_save(first, connection))
        else:
            own.append(columns[name])
            assigned.append(f"{column} = given.{column}")
    # The first row tells the types: without lengths, so that what is too long is refused and not cut.
    types = [_MODIFIER.sub("", field.db_type(connection) or "") for field in own]
    casts = f"({', '.join(f'CAST(%s AS {one})' for one in types)})"
    row = f"({', '.join(['%s'] * len(own))})"
    listed = ", ".join([casts, *[row] * (len(instances) - 1)])
    heads = ", ".join(quote(str(field.column)) for field in own)
    statement = (
        f"UPDATE {table} SET {', '.join(assigned)} FROM (VALUES {listed}) AS given ({heads}) "  # noqa: S608 - our names
        f"WHERE {table}.{quote(str(key.column))} = given.{quote(str(key.column))}"
    )
    values = [
        field.get_db_prep_save(getattr(instance, field.attname), connection) for instance in instances for field in own
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [*same, *values])
