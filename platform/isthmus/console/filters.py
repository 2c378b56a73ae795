"""Filters of tables: a form in the address, so that a filtered table can be linked to and kept."""

from copy import copy
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar

from django import forms
from django.db.models import Model, Q, QuerySet
from django.forms.boundfield import BoundField
from django.http import QueryDict

from isthmus import clock
from isthmus.console.paging import CursorPage, newest_first

__all__ = ["ANY_TIME", "FilterForm"]

M = TypeVar("M", bound=Model)
ANY_TIME = ""
_SPANS = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
}


class FilterForm(forms.Form, Generic[M]):
    """Base of a table's filters: text and time here, the table's own in the subclass."""

    moment: ClassVar[str] = "created_at"
    """The field that the time filter looks at."""
    looks_into_texts: ClassVar[bool] = True
    """Whether the search looks for more than ids."""

    q = forms.CharField(
        label="Search", required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search"})
    )
    since = forms.ChoiceField(
        label="Time",
        required=False,
        choices=[(ANY_TIME, "Any time"), *((key, label) for key, (label, _) in _SPANS.items())],
    )

    def __init__(self, given: QueryDict) -> None:
        super().__init__(given, auto_id="filter-%s")
        self.now: datetime | None = None
        """When the filters were asked; `None`: just now. "The last hour" ends then."""
        # The search box leads, whatever a subclass declares before it; time closes the row.
        self.order_fields(["q", *(name for name in self.fields if name not in {"q", "since"}), "since"])

    def given(self, name: str) -> str:
        """Return what was chosen for one filter; "" when nothing or nothing valid was."""
        # Reading the errors cleans the form; what is invalid is then missing from the cleaned data.
        return "" if name in self.errors else str(self.cleaned_data.get(name) or "")

    @property
    def is_narrowing(self) -> bool:
        """Whether any filter is set."""
        return any(self.given(name) for name in self.fields)

    def in_words(self) -> list[tuple[str, str]]:
        """Return the label and what was chosen, for every filter that is set."""
        return [(str(field.label), self._chosen_words(field)) for field in self if self.given(field.name)]

    def _chosen_words(self, field: BoundField) -> str:
        given = self.given(field.name)
        choices = getattr(field.field, "choices", ())
        return next((str(label) for value, label in choices if str(value) == given), given)

    def narrow(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Return the rows that every valid filter lets through; an invalid one shows its error instead."""
        if span := _SPANS.get(self.given("since")):
            rows = rows.filter(**{f"{self.moment}__gte": (self.now or clock.now()) - span[1]})
        if text := self.given("q").strip():
            rows = self.matching(rows, text)
        return rows

    def page(self, rows: QuerySet[M], *, moment: str | None, cursor: str = "") -> CursorPage[M]:
        """Return one page of the rows that the filters let through, the newest first (`paging.newest_first`).

        A text that is the id of something finds what carries it, however old. Any other text is looked for stretch by
        stretch, so that a page of a table of any size is quick.
        """
        text = self.given("q").strip()
        if not text:
            return newest_first(self.narrow(rows), moment=moment, cursor=cursor)
        plain = copy(self)
        plain.cleaned_data = {**self.cleaned_data, "q": ""}
        narrowed = plain.narrow(rows)
        named = narrowed.filter(self.naming(text))
        if not self.looks_into_texts or named.exists():
            return newest_first(named, moment=moment, cursor=cursor)
        return newest_first(narrowed, moment=moment, cursor=cursor, matching=lambda chosen: self.matching(chosen, text))

    def naming(self, text: str) -> Q:
        """Return what is true of the rows that carry the id `text`; asked by indexes only."""
        return Q(pk__in=[])

    def matching(self, rows: QuerySet[M], text: str) -> QuerySet[M]:
        """Return the rows that the search text means; ids are enough for a subclass that has no more."""
        return rows.filter(self.naming(text))
