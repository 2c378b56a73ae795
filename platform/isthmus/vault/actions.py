"""Rotation: seals every secret again with the primary key, online, and verifies that everything opens.

Rows are read in the order of their primary key, a batch at a time, and written by one statement a batch. A row is
replaced only if it still holds what was read, so a secret that somebody changes meanwhile stays changed. A run that was
stopped is simply started again: rows under the primary key are passed over by the database.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from django.db import connections, models, router, transaction
from django.db.models import Count
from django.db.models.functions import Left
from django.views.decorators.debug import sensitive_variables

from isthmus.logs import get_logger
from isthmus.vault.errors import VaultError
from isthmus.vault.keyring import KeyRing, key_id_of
from isthmus.vault.keys_in_use import key_ring, open_sealed
from isthmus.vault.registry import EncryptedColumn
from isthmus.vault.secret import Sealed

__all__ = ["ColumnReport", "count_left", "key_usage", "rotate", "verify"]

log = get_logger(__name__)

_PREFIX_LENGTH = 40
"""Enough for version and the longest key id: `v1.<32 characters>.`."""
_STATEMENT_ROWS = 300
"""Three parameters a row stay below SQLite's smallest usual limit of 999."""

Progress = Callable[[int], None]
_Resealed = tuple[object, Sealed, Sealed]


@dataclass(kw_only=True)
class ColumnReport:
    """What was found in one column."""

    label: str
    resealed: int = 0
    """Rows that were sealed again with the primary key."""
    keys: Counter[str] = field(default_factory=Counter)
    """Rows that open, by key id (filled by `verify`)."""
    broken: list[str] = field(default_factory=list)
    """Primary keys of the rows that do not open; they are left as they are."""


def rotate(column: EncryptedColumn, *, batch_size: int = 1_000, progress: Progress | None = None) -> ColumnReport:
    """Seal again what is not under the primary key. Rows that do not open are reported, never touched.

    `progress` is told after each batch how many rows were looked at since it was told last.
    """
    report = ColumnReport(label=column.label)
    ring = key_ring()
    for batch in _batches(_under_other_keys(column, ring), column, batch_size):
        fresh = list(_sealed_anew(column, batch, ring, report))
        report.resealed += replace_sealed(column, fresh)
        log.info("vault.batch_rotated", column=column.label, resealed=report.resealed, broken=len(report.broken))
        if progress:
            progress(len(batch))
    return report


def verify(column: EncryptedColumn, *, batch_size: int = 1_000, progress: Progress | None = None) -> ColumnReport:
    """Open every secret of the column, changing nothing."""
    report = ColumnReport(label=column.label)
    for batch in _batches(_rows(column), column, batch_size):
        for primary_key, sealed in batch:
            try:
                open_sealed(sealed.text, context=column.field.context_for(primary_key))
            except VaultError:
                report.broken.append(str(primary_key))
            else:
                report.keys[key_id_of(sealed.text)] += 1
        if progress:
            progress(len(batch))
    return report


def count_left(column: EncryptedColumn) -> int:
    """Return how many rows are not under the primary key."""
    return _under_other_keys(column, key_ring()).count()


def key_usage(column: EncryptedColumn) -> Counter[str]:
    """Return how many rows each key id stands on, as their texts say, opening nothing."""
    starts = _rows(column).annotate(_start=Left(column.field.attname, _PREFIX_LENGTH)).values_list("_start")
    found: Counter[str] = Counter()
    for start, count in starts.annotate(count=Count("pk")).order_by():
        parts = str(start.text if isinstance(start, Sealed) else start).split(".")
        found[parts[1] if len(parts) > 2 else "?"] += count
    return found


def replace_sealed(column: EncryptedColumn, fresh: Sequence[_Resealed]) -> int:
    """Write the new text of rows that still hold the one that was read; return how many did."""
    using = router.db_for_write(column.model)
    written = 0
    with transaction.atomic(using=using):
        for start in range(0, len(fresh), _STATEMENT_ROWS):
            written += _replace(column, fresh[start : start + _STATEMENT_ROWS], using)
    return written


def _replace(column: EncryptedColumn, fresh: Sequence[_Resealed], using: str) -> int:
    connection = connections[using]
    quote = connection.ops.quote_name
    primary_key = column.model._meta.pk
    names = (column.model._meta.db_table, column.field.column, primary_key.column)
    table, name, key = (quote(str(each)) for each in names)
    row = f"(CAST(%s AS {primary_key.db_type(connection)}), %s, %s)"
    # Names come from the models and are quoted; values are parameters.
    # `columnN` is what both databases call the columns of a list of values.
    statement = (
        f"UPDATE {table} SET {name} = fresh.column3 "  # noqa: S608
        f"FROM (VALUES {', '.join([row] * len(fresh))}) AS fresh "
        f"WHERE {table}.{key} = fresh.column1 AND {table}.{name} = fresh.column2"
    )
    parameters = [
        value
        for identity, old, new in fresh
        for value in (primary_key.get_db_prep_value(identity, connection), old.text, new.text)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


@sensitive_variables()
def _sealed_anew(
    column: EncryptedColumn, batch: Sequence[tuple[object, Sealed]], ring: KeyRing, report: ColumnReport
) -> Iterator[_Resealed]:
    for primary_key, sealed in batch:
        context = column.field.context_for(primary_key)
        try:
            plaintext = open_sealed(sealed.text, context=context)
        except VaultError:
            report.broken.append(str(primary_key))
            continue
        yield primary_key, sealed, Sealed(ring.seal(plaintext, context=context))


def _under_other_keys(column: EncryptedColumn, ring: KeyRing) -> "models.QuerySet[models.Model]":
    prefix = ring.primary_prefix
    rows: models.QuerySet[models.Model] = _rows(column).annotate(_start=Left(column.field.attname, len(prefix)))
    return rows.exclude(_start=prefix)


def _rows(column: EncryptedColumn) -> "models.QuerySet[models.Model]":
    # A plain QuerySet, not the model's manager: rows hidden by it (soft-deleted ones) hold secrets too, and a
    # rotation is no change that anybody should be told of.
    return models.QuerySet(column.model).filter(**{f"{column.field.attname}__isnull": False})


def _batches(
    rows: "models.QuerySet[models.Model]", column: EncryptedColumn, size: int
) -> Iterator[list[tuple[object, Sealed]]]:
    """Yield primary keys with sealed texts; always onward from the last one seen, so that broken rows never block."""
    remaining = rows.order_by("pk")
    while batch := list(remaining.values_list("pk", column.field.attname)[:size]):
        yield batch
        remaining = rows.filter(pk__gt=batch[-1][0]).order_by("pk")
