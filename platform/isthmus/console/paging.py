"""Pages of long tables, newest first, without counting: a page starts after the last row of the one before it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

__all__ = ["PAGE_SIZE", "CursorPage", "newest_first"]

PAGE_SIZE = 50
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
    def at_row(cls, direction: str, row: Model, moment: str | None) -> str:
        """Return the text of the cursor that goes on from `row`."""
        at = getattr(row, moment) if moment else _EPOCH
        return f"{direction}.{(at - _EPOCH) // timedelta(microseconds=1)}.{row.pk}"

    def condition(self, moment: str | None) -> Q:
        side = "lt" if self.direction == "older" else "gt"
        beyond = Q(**{f"pk__{side}": self.pk})
        if moment is None:
            return beyond
        # The first condition alone lets the database start in the index; the second settles rows of the same moment.
        return Q(**{f"{moment}__{side}e": self.at}) & (Q(**{f"{moment}__{side}": self.at}) | beyond)


def newest_first(rows: QuerySet[M], *, moment: str | None, cursor: str = "", size: int = PAGE_SIZE) -> CursorPage[M]:
    """Return one page of `rows`; one query. A cursor that makes no sense is the start.

    `moment` is the field to order by, the primary key settling equal ones; `None` orders by the primary key alone, for
    keys that grow with time.
    """
    place = _Cursor.parsed(cursor, rows.model) if cursor else None
    backwards = place is not None and place.direction == "newer"
    fields = [moment, "pk"] if moment else ["pk"]
    chosen = rows.filter(place.condition(moment)) if place else rows
    found = list(chosen.order_by(*(fields if backwards else [f"-{field}" for field in fields]))[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_older = backwards or has_more
    has_newer = has_more if backwards else place is not None
    return CursorPage(
        rows=found,
        older=_Cursor.at_row("older", found[-1], moment) if found and has_older else "",
        newer=_Cursor.at_row("newer", found[0], moment) if found and has_newer else "",
    )
