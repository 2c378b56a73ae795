"""Pages of long tables, newest first, without counting: a page starts after the last row of the one before it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

__all__ = ["PAGE_SIZE", "SEARCH_STRETCH", "CursorPage", "newest_first"]

PAGE_SIZE = 50
SEARCH_STRETCH = 10_000
"""How many rows a search that no index serves looks through for one page."""
M = TypeVar("M", bound=Model)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class CursorPage(Generic[M]):
    """Some rows and the way on."""

    rows: list[M]
    older: str
    """The cursor of the next page; "" at the end."""
    newer: str
    """The cursor of the page before; "" at the start."""
    searched: int = 0
    """How many rows a search has looked through when it stopped before a page was full; 0 when it did not stop."""
    searched_to: datetime | None = None
    """The moment of the last of them, where rows have one."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class _Cursor:
    direction: str
    at: datetime
    pk: Any

    @classmethod
    def parsed(cls, text: str, model: type[Model]) -> "_Cursor | None":
        """Return the cursor, or `None` when somebody made the text up."""
        try:
            direction, microseconds, pk = text.split(".", 2)
            at = _EPOCH + timedelta(microseconds=int(microseconds))
            key = model._meta.pk.to_python(pk)
        except (ValueError, OverflowError, ValidationError):
            return None
        return cls(direction, at, key) if direction in {"older", "newer"} else None

    @classmethod
    def at_row(cls, direction: str, row: Model, moment: str | None) -> "_Cursor":
        """Return the cursor that goes on from `row`."""
        return cls(direction, getattr(row, moment) if moment else _EPOCH, row.pk)

    def __str__(self) -> str:
        return f"{self.direction}.{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.pk}"

    @property
    def is_backwards(self) -> bool:
        return self.direction == "newer"

    def turned(self) -> "_Cursor":
        """Return the cursor that goes from the same place the other way."""
        return replace(self, direction="older" if self.is_backwards else "newer")

    def condition(self, moment: str | None) -> Q:
        """Return what is true of the rows beyond."""
        side = "gt" if self.is_backwards else "lt"
        beyond = Q(**{f"pk__{side}": self.pk})
        if moment is None:
            return beyond
        # The first condition alone lets the database start in the index; the second settles rows of the same moment.
        return Q(**{f"{moment}__{side}e": self.at}) & (Q(**{f"{moment}__{side}": self.at}) | beyond)

    def up_to(self, moment: str | None) -> Q:
        """Return what is true of the rows before, and of the one at the place."""
        side = "lt" if self.is_backwards else "gt"
        before = Q(**{f"pk__{side}e": self.pk})
        if moment is None:
            return before
        return Q(**{f"{moment}__{side}e": self.at}) & (Q(**{f"{moment}__{side}": self.at}) | before)


def newest_first(
    rows: QuerySet[M],
    *,
    moment: str | None,
    cursor: str = "",
    size: int = PAGE_SIZE,
    matching: Callable[[QuerySet[M]], QuerySet[M]] | None = None,
    stretch: int = SEARCH_STRETCH,
) -> CursorPage[M]:
    """Return one page of `rows`; one query. A cursor that makes no sense is the start.

    `moment` is the field to order by, the primary key settling equal ones; `None` orders by the primary key alone, for
    keys that grow with time.

    `matching` narrows the rows by what no index knows. Then a page looks through `stretch` rows at most, a second query
    finds where they end, and the next page goes on there: it may have few rows, or none, and still not be the last.
    """
    place = _Cursor.parsed(cursor, rows.model) if cursor else None
    backwards = place is not None and place.is_backwards
    fields = [moment, "pk"] if moment else ["pk"]
    order = fields if backwards else [f"-{field}" for field in fields]
    ahead = rows.filter(place.condition(moment)) if place else rows
    end = None
    if matching is not None:
        end = _end_of_stretch(ahead, moment, order, stretch, "newer" if backwards else "older")
        ahead = matching(ahead.filter(end.up_to(moment)) if end else ahead)
    found = list(ahead.order_by(*order)[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    more = _Cursor.at_row("newer" if backwards else "older", found[0 if backwards else -1], moment) if has_more else end
    back = place.turned() if place else None
    if back is not None and found:
        back = _Cursor.at_row(back.direction, found[-1 if backwards else 0], moment)
    older, newer = (back, more) if backwards else (more, back)
    return CursorPage(
        rows=found,
        older=str(older or ""),
        newer=str(newer or ""),
        searched=stretch if end and not has_more else 0,
        searched_to=end.at if end and moment and not has_more else None,
    )


def _end_of_stretch(
    rows: QuerySet[M], moment: str | None, order: list[str], stretch: int, direction: str
) -> _Cursor | None:
    """Return the place of the last row that one page looks at; `None` when there are not so many."""
    places = rows.order_by(*order).values_list(moment or "pk", "pk")
    last = next(iter(places[stretch - 1 : stretch]), None)
    return _Cursor(direction, last[0] if moment else _EPOCH, last[1]) if last else None
