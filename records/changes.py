"""Which records were changed or deleted within a while, for those who copy them elsewhere piece by piece.

The interval is half-open: what changed at its start is in it, what changed at its end is not, so that intervals which
follow each other miss nothing and tell nothing twice.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import connections, models, transaction
from django.utils.dateparse import parse_datetime

from isthmus import clock
from isthmus.objects import sharing
from isthmus.objects.object_types import ObjectType
from isthmus.objects.record_ids import encode
from records.errors import NotReplicateable, ParameterRefused, ReplicationDateRefused, TooManyChanges

__all__ = [
    "HISTORY",
    "MAX_IDS",
    "ON_ITS_WAY",
    "Interval",
    "covered_until",
    "deleted_ids",
    "read_interval",
    "updated_ids",
]

HISTORY = timedelta(days=30)
"""How far back changes are told."""

MAX_IDS = 600_000
"""How many ids one answer holds."""

ON_ITS_WAY = timedelta(seconds=30)
"""How long a change may take from its time to its transaction.

The process that makes a change takes the time first; then it may wait for a connection of the pool, or on SQLite for
the lock, 20 s at most.
"""

_BLANK_FOR_PLUS = re.compile(r" (\d{2}:?\d{2})$")
_BASIC_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")


@dataclass(frozen=True)
class Interval:
    """From `start` on, until just before `end`."""

    start: datetime
    end: datetime


def read_interval(start: str | None, end: str | None) -> Interval:
    """Return the interval that two parameters name. Raises `ParameterRefused` or `ReplicationDateRefused`."""
    found = Interval(_moment("start", start), _moment("end", end))
    if found.start >= found.end:
        raise ReplicationDateRefused("The start date must be before the end date.")
    if found.start < clock.now() - HISTORY:
        raise ReplicationDateRefused(f"The start date must not be more than {HISTORY.days} days ago.")
    return found


@contextmanager
def covered_until(object_type: ObjectType) -> Iterator[datetime]:
    """Give the moment before which every change is committed, so that what is read in the block shows all of them.

    A record carries the time of its change, not of the commit: while a transaction is open, changes from its time may
    still appear, and from `ON_ITS_WAY` before it. PostgreSQL tells which are open (of the same role, or of all to a
    role that may see them); on SQLite nobody else writes during the block.
    """
    using = _model_of(object_type)._base_manager.db
    if connections[using].vendor == "postgresql":
        yield _oldest_open_transaction(using) - ON_ITS_WAY
        return
    with transaction.atomic(using=using):
        yield clock.now() - ON_ITS_WAY


def updated_ids(user: AbstractUser, object_type: ObjectType, interval: Interval, *, most: int = MAX_IDS) -> list[str]:
    """Return the ids of live records that were made or changed in the interval and that the user sees, oldest first.

    Raises `NotReplicateable` or `TooManyChanges`.
    """
    rows = _changed(user, object_type, interval, most, is_deleted=False)
    return [encode(object_type.key_prefix, pk) for pk, _ in rows]


def deleted_ids(
    user: AbstractUser, object_type: ObjectType, interval: Interval, *, most: int = MAX_IDS
) -> list[tuple[str, datetime]]:
    """Return ids and times of records that went to the recycle bin in the interval and that the user saw, oldest first.

    Raises `NotReplicateable` or `TooManyChanges`.
    """
    rows = _changed(user, object_type, interval, most, is_deleted=True)
    return [(encode(object_type.key_prefix, pk), moment) for pk, moment in rows]


def _changed(
    user: AbstractUser, object_type: ObjectType, interval: Interval, most: int, *, is_deleted: bool
) -> list[tuple[int, datetime]]:
    rows: models.QuerySet[Any] = _model_of(object_type)._base_manager.filter(
        is_deleted=is_deleted, system_modstamp__gte=interval.start, system_modstamp__lt=interval.end
    )
    seen = sharing.visible(user, object_type, rows).order_by("system_modstamp", "pk")
    found = list(seen.values_list("pk", "system_modstamp")[: most + 1])
    if len(found) > most:
        raise TooManyChanges(f"More than {most} records were changed; ask for a shorter while.")
    return found


def _model_of(object_type: ObjectType) -> type[models.Model]:
    if object_type.model is None or not getattr(object_type.model, "soft_deletes", False):
        raise NotReplicateable(f"{object_type} is not replicateable: its records do not tell when they change.")
    return object_type.model


def _oldest_open_transaction(using: str) -> datetime:
    now = clock.now()
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT min(xact_start) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        found = cursor.fetchone()[0]
    return now if found is None else min(now, found)


def _moment(name: str, given: str | None) -> datetime:
    if not given:
        raise ParameterRefused(f"The parameter {name} is missing: a date and time such as 2026-01-31T12:00:00+00:00.")
    # A plus that was not encoded arrives as a blank.
    text = _BASIC_OFFSET.sub(r"\1:\2", _BLANK_FOR_PLUS.sub(r"+\1", given.strip()))
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ParameterRefused(f"The parameter {name} is no ISO 8601 date and time with an offset: {given[:80]}")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ParameterRefused(f"The parameter {name} is out of range: {given[:80]}") from error
