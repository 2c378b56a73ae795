"""Keeps what a query with many rows found, so that its pages meet whatever happens in between.

A cursor is the list of the rows' primary keys at the moment when the query began. Pages read the records as they are
then; one that is gone, or that the user no longer sees, is left out. Any page can be asked for, any number of times.
"""

import re
from array import array
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import F, Q, QuerySet

from isthmus import clock
from isthmus.objects.errors import MalformedId
from isthmus.objects.record_ids import decode, encode
from records.conf import options
from records.models import QueryCursor, QueryCursorIds
from records.soql.errors import InvalidQueryLocator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["begin", "find", "keys_of", "locator", "unusable"]

_PREFIX = "01g"
_KEYS_A_PIECE = 20_000
_LOCATOR = re.compile(r"(?P<cursor>01g[A-Za-z0-9]{12}(?:[A-Z0-5]{3})?)-(?P<place>[0-9]{1,12})")


def begin(
    user: AbstractUser, soql: str, keys: Iterable[int], *, include_deleted: bool, child_path: str = ""
) -> QueryCursor:
    """Keep these primary keys; they are read a piece at a time, so any number of them takes little memory."""
    with transaction.atomic():
        _make_room(user)
        cursor = QueryCursor.objects.create(
            user_id=user.pk, soql=soql, include_deleted=include_deleted, child_path=child_path, used_at=clock.now()
        )
        iterator, number = iter(keys), 0
        while piece := array("q", islice(iterator, _KEYS_A_PIECE)):
            QueryCursorIds.objects.create(cursor=cursor, number=number, keys=piece.tobytes())
            cursor.total += len(piece)
            number += 1
        cursor.save(update_fields=["total"])
    return cursor


def locator(cursor: QueryCursor, place: int) -> str:
    """Return the text by which the page that begins at `place` is asked for."""
    return f"{encode(_PREFIX, cursor.pk)}-{place}"


def find(text: str, user: AbstractUser) -> tuple[QueryCursor, int]:
    """Return the user's cursor and the place that a locator names. Raises `InvalidQueryLocator`."""
    matched = _LOCATOR.fullmatch(text)
    if matched is None:
        raise InvalidQueryLocator
    try:
        pk = decode(matched["cursor"])[1]
    except MalformedId:
        raise InvalidQueryLocator from None
    now = clock.now()
    alive = QueryCursor.objects.filter(user_id=user.pk, used_at__gt=now - _lifetime())
    cursor = alive.filter(pk=pk).first() if pk < 2**63 else None
    place = int(matched["place"])
    if cursor is None or place > cursor.total:
        raise InvalidQueryLocator
    if cursor.used_at < now - _lifetime() / 20:
        # Seldom enough that reading stays reading.
        QueryCursor.objects.filter(pk=cursor.pk).update(used_at=now)
    return cursor, place


def keys_of(cursor: QueryCursor, start: int, count: int) -> "Sequence[int]":
    """Return up to `count` primary keys from place `start` on."""
    first, last = start // _KEYS_A_PIECE, max(start, start + count - 1) // _KEYS_A_PIECE
    found = array("q")
    pieces = cursor.pieces.filter(number__range=(first, last)).order_by("number")
    for keys in pieces.values_list("keys", flat=True):
        found.frombytes(bytes(keys))
    skipped = start - first * _KEYS_A_PIECE
    return found[skipped : skipped + count]


def unusable() -> QuerySet[QueryCursor]:
    """Return the cursors that nobody can use any more."""
    return QueryCursor.objects.filter(used_at__lte=clock.now() - _lifetime())


def _make_room(user: AbstractUser) -> None:
    """Remove cursors that nobody can use any more, and the user's oldest when there are too many."""
    of_user = QueryCursor.objects.filter(user_id=user.pk).order_by(F("used_at").desc(), "-pk")
    too_many = list(of_user.values_list("pk", flat=True)[options.cursors_per_user - 1 :])
    unwanted = QueryCursor.objects.filter(Q(used_at__lte=clock.now() - _lifetime()) | Q(pk__in=too_many))
    # Those that somebody else is removing right now are left to them: two who wait for each other would both fail.
    held = list(unwanted.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
    if held:
        QueryCursor.objects.filter(pk__in=held).delete()


def _lifetime() -> timedelta:
    return timedelta(seconds=options.cursor_seconds)
