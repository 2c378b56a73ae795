"""The records that a user dealt with last.

What a user made or changed is told by the records themselves (`last_modified_by`), so that writes cost nothing more.
What a user looked at is stored only when the caller says that a person did: a query `FOR VIEW` or `FOR REFERENCE`, or a
single record with the header `Sforce-Mru: updateMru=true`. Plain reads, which integrations do by the thousand, leave
no trace.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction

from isthmus import clock
from isthmus.objects import catalogue, sharing
from isthmus.objects.object_types import ObjectType
from isthmus.objects.permissions import may
from isthmus.objects.reading import live_rows
from records.models import RecentRecord

__all__ = ["MOST", "last_used", "note"]

MOST = 200
"""How many records are remembered of a user, and told at once."""


def note(user: AbstractUser, object_type: ObjectType, pks: Sequence[int]) -> None:
    """Remember that the user looked at these records, the first of them last. Three statements, however many."""
    now = clock.now()
    rows = [
        RecentRecord(user_id=user.pk, object_name=object_type.api_name, record_pk=pk, seen_at=now)
        for pk in dict.fromkeys(pks[:MOST])
    ]
    if not rows:
        return
    with transaction.atomic():
        RecentRecord.objects.bulk_create(
            sorted(rows, key=lambda row: row.record_pk),
            update_conflicts=True,
            update_fields=["seen_at"],
            unique_fields=["user", "object_name", "record_pk"],
        )
        mine = RecentRecord.objects.filter(user_id=user.pk)
        newest = list(mine.order_by("-seen_at", "-pk").values_list("pk", flat=True)[: MOST + 1])
        if len(newest) > MOST:
            mine.exclude(pk__in=newest[:MOST]).delete()


def last_used(user: AbstractUser, most: int = MOST, *, only: ObjectType | None = None) -> list[tuple[ObjectType, int]]:
    """Return object and primary key of the live records that the user sees and dealt with last, the latest first."""
    object_types = [only] if only is not None else [one for one in catalogue.all_objects() if may(user, one, "read")]
    seen = _looked_at(user, object_types)
    found = [
        (moment, object_type, pk)
        for object_type in object_types
        for moment, pk in _of_object(user, object_type, seen.get(object_type.api_name, {}), most)
    ]
    found.sort(key=lambda one: (one[0], one[2]), reverse=True)
    return [(object_type, pk) for _, object_type, pk in found[:most]]


def _looked_at(user: AbstractUser, object_types: Iterable[ObjectType]) -> dict[str, dict[int, datetime]]:
    names = [one.api_name for one in object_types]
    rows = RecentRecord.objects.filter(user_id=user.pk, object_name__in=names).order_by("-seen_at")[:MOST]
    found: dict[str, dict[int, datetime]] = {}
    for row in rows:
        found.setdefault(row.object_name, {})[row.record_pk] = row.seen_at
    return found


def _of_object(
    user: AbstractUser, object_type: ObjectType, seen: dict[int, datetime], most: int
) -> list[tuple[datetime, int]]:
    if object_type.model is None:
        return []
    rows: models.QuerySet[Any] = sharing.visible(user, object_type, live_rows(object_type.model))
    moments: dict[int, datetime] = {}
    if getattr(object_type.model, "soft_deletes", False):
        changed = rows.filter(last_modified_by_id=user.pk).order_by("-system_modstamp", "-pk")
        moments = dict(changed.values_list("pk", "system_modstamp")[:most])
    if seen:
        for pk in rows.filter(pk__in=seen).values_list("pk", flat=True):
            moments[pk] = max(seen[pk], moments.get(pk, seen[pk]))
    return [(moment, pk) for pk, moment in moments.items()]
