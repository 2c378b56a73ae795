"""Lists of the console: one declaration gives the page's export, the JSON API, the command, and bulk actions.

An app registers each of its lists: where the rows come from, which filters narrow them, and what each column says. A
value is what the page shows, so what is redacted there is redacted everywhere.
"""

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from io import StringIO
from typing import Any, ClassVar, Generic, Self, TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import QueryDict

from isthmus.console.access import Action
from isthmus.console.errors import FilterRefused, ListingUnknown
from isthmus.console.filters import FilterForm
from isthmus.console.paging import CursorPage, newest_first
from isthmus.console.tones import Status

__all__ = [
    "Column",
    "Listing",
    "NoFilters",
    "PersonalListing",
    "QueryListing",
    "ShortListing",
    "csv_lines",
    "find_listing",
    "listings",
    "register_listing",
    "register_listing_temporarily",
]

M = TypeVar("M", bound=Model)
R = TypeVar("R")

ROWS_AT_ONCE = 500
"""How many rows an export reads with one query."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column."""

    name: str
    """The key in JSON, and the heading in CSV."""
    label: str
    """The heading for people."""
    value: Callable[[R], object]
    """What the page shows of a row. May not ask the database."""


class NoFilters(FilterForm[Any]):
    """What a list has that is too short to be filtered."""

    q = None  # type: ignore[assignment]  # how a form drops a field
    since = None  # type: ignore[assignment]  # as above

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return all of them."""
        return rows


@dataclass(frozen=True, kw_only=True)
class Listing(ABC, Generic[R]):
    """A list of the console."""

    name: str
    """In addresses and on the command line: small letters, digits and hyphens."""
    label: str
    url_name: str
    """The page that shows it."""
    columns: Sequence[Column[R]]
    action: Action | None = "view"
    """What of the console must be granted to whoever reads it; `None`: whoever is signed in."""
    filters: ClassVar[Any]

    def of(self, _user: User) -> Self:
        """Return the list as a user has it; nearly all are the same for everybody who may read them."""
        return self

    @abstractmethod
    def page(self, filters: FilterForm[Any], *, cursor: str, size: int) -> CursorPage[Any]:
        """Return some of the rows that the filters let through, and the way on; a constant number of queries."""

    def form(self, given: QueryDict) -> FilterForm[Any]:
        """Return the filters as they are given."""
        found: FilterForm[Any] = self.filters(given)
        return found

    def strict_form(self, given: Mapping[str, str]) -> FilterForm[Any]:
        """Return the filters for whoever does not look at the page. Raises `FilterRefused` for any that is wrong."""
        for name in given:
            if name not in self.filter_names:
                known = ", ".join(self.filter_names) or "none"
                raise FilterRefused(f"{self.name} has no filter {name!r}. It has: {known}.", fields=[name])
        query = QueryDict(mutable=True)
        query.update(given)
        form = self.form(query)
        if form.errors:
            told = [f"{name}: {' '.join(map(str, texts))}" for name, texts in form.errors.items()]
            raise FilterRefused(" ".join(told), fields=list(form.errors))
        return form

    @property
    def filter_names(self) -> tuple[str, ...]:
        """The names of its filters."""
        return tuple(self.filters.base_fields)

    def every(self, filters: FilterForm[Any]) -> Iterator[Any]:
        """Yield every row that the filters let through, a few hundred in memory at a time."""
        for rows in self.chunks(filters):
            yield from rows

    def chunks(self, filters: FilterForm[Any]) -> Iterator[Sequence[Any]]:
        """Yield every row that the filters let through, some at a time; each time a constant number of queries."""
        cursor = ""
        while True:
            page = self.page(filters, cursor=cursor, size=ROWS_AT_ONCE)
            yield page.rows
            cursor = page.older
            if not cursor:
                return

    def as_dict(self, row: R) -> dict[str, object]:
        """Return a row as JSON has it."""
        return {column.name: _plain(column.value(row)) for column in self.columns}

    def as_cells(self, row: R) -> list[str]:
        """Return a row as CSV has it. What a spreadsheet would take for a formula begins with an apostrophe."""
        return [_cell(_plain(column.value(row))) for column in self.columns]


@dataclass(frozen=True, kw_only=True)
class QueryListing(Listing[R], Generic[M, R]):
    """A list of rows of a table, newest first."""

    rows: Callable[[], QuerySet[M]]
    """Every row, with what the columns need and nothing large."""
    filters: type[FilterForm[Any]] = NoFilters  # type: ignore[misc]  # a field where the base has an annotation
    moment: str | None
    """The field to order by; `None`: the primary key, where it grows with time."""
    prepare: Callable[[Sequence[M]], Sequence[Any]] | None = None
    """Makes of some rows of the table what the columns look at; a constant number of queries."""

    def chosen(self, filters: FilterForm[Any]) -> QuerySet[M]:
        """Return the rows that the filters let through."""
        return filters.narrow(self.rows())

    def page(self, filters: FilterForm[Any], *, cursor: str, size: int) -> CursorPage[Any]:
        found = newest_first(self.chosen(filters), moment=self.moment, cursor=cursor, size=size)
        if self.prepare is None:
            return found
        return CursorPage(rows=list(self.prepare(found.rows)), older=found.older, newer=found.newer)


@dataclass(frozen=True, kw_only=True)
class ShortListing(Listing[R]):
    """A list that is always read whole."""

    all_rows: Callable[[], Iterable[R]]
    filters: type[FilterForm[Any]] = NoFilters  # type: ignore[misc]  # as above

    def page(self, filters: FilterForm[Any], *, cursor: str, size: int) -> CursorPage[Any]:
        rows = list(self.all_rows())
        start = int(cursor) if cursor.isdecimal() and len(cursor) < 10 else 0
        end = start + size
        return CursorPage(
            rows=rows[start:end],
            older=str(end) if end < len(rows) else "",
            newer=str(max(0, start - size)) if start else "",
        )


@dataclass(frozen=True, kw_only=True)
class PersonalListing(ShortListing[R]):
    """A list of what is somebody's own: everybody may read theirs. It is empty until it is told whose (`of`)."""

    rows_of: Callable[[User], Iterable[R]]
    all_rows: Callable[[], Iterable[R]] = tuple
    action: Action | None = None

    def of(self, user: User) -> Self:
        return replace(self, all_rows=partial(self.rows_of, user))


_listings: dict[str, Listing[Any]] = {}


def register_listing(*found: Listing[Any]) -> None:
    """Add lists. Raises `ValueError` for a name that is taken or cannot be one."""
    for listing in found:
        if listing.name in _listings:
            raise ValueError(f"A list {listing.name!r} is registered already.")
        if not listing.name.replace("-", "").isalnum() or listing.name != listing.name.lower():
            raise ValueError(f"A list is named with small letters, digits and hyphens, not {listing.name!r}.")
        _listings[listing.name] = listing


@contextmanager
def register_listing_temporarily(listing: Listing[Any]) -> Iterator[None]:
    """Add a list while the block runs (for tests)."""
    register_listing(listing)
    try:
        yield
    finally:
        del _listings[listing.name]


def listings() -> list[Listing[Any]]:
    """Return every list, by name."""
    return [_listings[name] for name in sorted(_listings)]


def find_listing(name: str) -> Listing[Any]:
    """Return the list of this name. Raises `ListingUnknown`."""
    if name not in _listings:
        raise ListingUnknown(f"There is no list {name!r}. There are: {', '.join(sorted(_listings))}.")
    return _listings[name]


def csv_lines(listing: Listing[Any], rows: Iterable[Any], *, with_heading: bool) -> str:
    """Return rows as lines of CSV (RFC 4180)."""
    text = StringIO()
    writer = csv.writer(text)
    if with_heading:
        writer.writerow([column.name for column in listing.columns])
    writer.writerows(listing.as_cells(row) for row in rows)
    return text.getvalue()


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, Status):
        return value.label
    if value is None or isinstance(value, bool | int | float | str):
        # An enumeration's member is a str, too.
        return str(value) if isinstance(value, str) else value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    return str(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip(" \u00a0\ufeff").startswith(_FORMULA_STARTS):
        # https://owasp.org/www-community/attacks/CSV_Injection
        return f"'{value}"
    return str(value)
