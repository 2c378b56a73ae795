"""Rotation: seals every secret again with the primary key, online, and verifies that everything opens.

Rows are read in the order of their primary key, a batch at a time; a row is replaced only if it still holds what was
read, so a secret that somebody changes meanwhile stays changed. A run that was stopped is simply started again: rows
under the primary key are passed over by the database.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import models, router, transaction
from django.db.models.functions import Left

from isthmus.logs import get_logger
from isthmus.vault.errors import VaultError
from isthmus.vault.keyring import KeyRing, key_id_of, key_ring
from isthmus.vault.registry import EncryptedColumn
from isthmus.vault.secret import Sealed

__all__ = ["ColumnReport", "rotate", "verify"]

log = get_logger(__name__)


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


def rotate(column: EncryptedColumn, *, batch_size: int = 200) -> ColumnReport:
    """Seal again what is not under the primary key. Rows that do not open are reported, never touched."""
    report = ColumnReport(label=column.label)
    ring = key_ring()
    prefix = ring.primary_prefix
    others = _rows(column).annotate(_start=Left(column.field.attname, len(prefix))).exclude(_start=prefix)
    for batch in _batches(others, column, batch_size):
        with transaction.atomic(using=router.db_for_write(column.model)):
            for primary_key, sealed in batch:
                _reseal(column, primary_key, sealed, ring, report)
        log.info("vault.batch_rotated", column=column.label, resealed=report.resealed, broken=len(report.broken))
    return report


def verify(column: EncryptedColumn, *, batch_size: int = 1000) -> ColumnReport:
    """Open every secret of the column, changing nothing."""
    report = ColumnReport(label=column.label)
    ring = key_ring()
    for batch in _batches(_rows(column), column, batch_size):
        for primary_key, sealed in batch:
            try:
                ring.open_sealed(sealed.text, context=column.field.context_for(primary_key))
            except VaultError:
                report.broken.append(str(primary_key))
            else:
                report.keys[key_id_of(sealed.text)] += 1
    return report


def _reseal(column: EncryptedColumn, primary_key: object, sealed: Sealed, ring: KeyRing, report: ColumnReport) -> None:
    name, context = column.field.attname, column.field.context_for(primary_key)
    try:
        fresh = Sealed(ring.seal(ring.open_sealed(sealed.text, context=context), context=context))
    except VaultError:
        report.broken.append(str(primary_key))
        return
    # Zero rows: somebody replaced or deleted the secret meanwhile, which is sealed with the primary key already.
    report.resealed += _rows(column).filter(pk=primary_key, **{name: sealed}).update(**{name: fresh})


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
