"""Finds the records of one object that fit an expression, in some of its fields."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any as Anything

from django.db import connections, models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length

from records.search_index.expressions import All, Expression, Number, Words, is_exact, loosened, positive
from records.search_index.installing import maker_for
from records.search_index.numbers import digits_of, writings_of
from records.search_index.plan import IndexedColumn, IndexPlan
from records.search_index.words import MAX_WORD_CHARACTERS, words_in

__all__ = ["Found", "find"]

_AT_ONCE = 500
"""Rows that are looked through together."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where to look."""

    plan: IndexPlan
    rows: "models.QuerySet[Anything]"
    """The records that may be found at all."""
    fields: Collection[str]
    """API names of the fields in which to look."""
    names: Collection[str]
    """Those of them that are (parts of) the record's name: a record that is found by these comes first."""
    title: str = ""
    """Name of the attribute with the record's whole name; "" when it has none, or none that may be looked at."""


def find(where: Found, expression: Expression, limit: int) -> list[int]:
    """Return the primary keys of the first `limit` records that fit.

    Those that fit by their name come first, the shorter the name the earlier: what is called exactly so leads. Then
    the others, the newest first.
    """
    anywhere = _Condition(expression, [column for column in where.plan.columns if column.api_name in where.fields])
    # What must not be found must not be found anywhere.
    names = [column for column in where.plan.columns if column.api_name in where.names]
    by_name = _Condition(positive(expression), names)
    order = [Length(where.title), "pk"] if where.title else ["pk"]
    found = list(islice(_fitting(where, [anywhere, by_name], order, limit), limit))
    if len(found) < limit:
        known = set(found)
        rest = (pk for pk in _fitting(where, [anywhere], ["-pk"], limit) if pk not in known)
        found.extend(islice(rest, limit - len(found)))
    return found


@dataclass(frozen=True)
class _Condition:
    """What has to be found in which columns."""

    expression: Expression
    columns: Sequence[IndexedColumn]


def _fitting(where: Found, conditions: Sequence[_Condition], order: Sequence[Anything], limit: int) -> Iterator[int]:
    """Return the primary keys of rows that meet all conditions, in order, and not many more than `limit` at once."""
    maker = maker_for(connections[where.rows.db].vendor)
    rows = where.rows.order_by(*order)
    for condition in conditions:
        query = maker.query_for(loosened(condition.expression), condition.columns)
        if query is None:
            return iter(())
        rows = rows.filter(RawSQL(maker.condition(where.plan), [query], output_field=models.BooleanField()))  # noqa: S611 - the text is made of the plan, what is looked for is a parameter
    if all(is_exact(condition.expression) for condition in conditions):
        return iter(rows.values_list("pk", flat=True)[:limit])
    attnames = {column.attname for condition in conditions for column in condition.columns}
    told = rows.values("pk", *sorted(attnames - {"pk"})).iterator(chunk_size=_AT_ONCE)
    return (
        row["pk"]
        for row in told
        if all(_fits(condition.expression, _Texts(row, condition.columns)) for condition in conditions)
    )


class _Texts:
    """What a row holds in the columns that are looked at, as words and as numbers."""

    def __init__(self, row: Mapping[str, Anything], columns: Sequence[IndexedColumn]) -> None:
        self.words = [
            [word[:MAX_WORD_CHARACTERS] for word in words_in((row[column.attname] or "")[: column.characters])]
            for column in columns
            if not column.is_number
        ]
        numbers = (digits_of(row[column.attname]) for column in columns if column.is_number)
        self.numbers = [number for number in numbers if number is not None]


def _fits(expression: Expression, texts: _Texts) -> bool:
    """Return whether a row fits, where the index cannot tell: wildcards within words."""
    if isinstance(expression, Words):
        return any(_stands_in(words, expression) for words in texts.words)
    if isinstance(expression, Number):
        return any(
            number.startswith(digits) if is_beginning else number == digits
            for digits, is_beginning in writings_of(expression)
            for number in texts.numbers
        )
    if isinstance(expression, All):
        return all(_fits(part, texts) for part in expression.parts) and not any(
            _fits(part, texts) for part in expression.without
        )
    return any(_fits(part, texts) for part in expression.parts)


def _stands_in(words: Sequence[str], wanted: Words) -> bool:
    patterns = wanted.patterns
    return any(
        all(pattern.match(word) for pattern, word in zip(patterns, words[start:], strict=False))
        for start in range(len(words) - len(patterns) + 1)
    )
