"""What the database computes for a query, where Django has no expression of its own."""

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import models
from django.db.models import Func, Value
from django.db.models.functions import (
    Cast,
    Extract,
    ExtractDay,
    ExtractHour,
    ExtractMonth,
    ExtractQuarter,
    ExtractWeekDay,
    ExtractYear,
    NullIf,
    TruncDate,
)

__all__ = [
    "DATE_FUNCTIONS",
    "Junction",
    "Matches",
    "Never",
    "NumberValue",
    "WrittenMoment",
    "date_function",
    "none_if_empty",
]


class Junction(Func):
    """Conditions joined by AND or OR, in brackets that halve them: a chain of thousands is not thousands deep."""

    output_field = models.BooleanField()

    def __init__(self, connector: str, *conditions: Any, **extra: Any) -> None:
        super().__init__(*conditions, **extra)
        self.connector = connector

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, Any]:
        texts, params = [], []
        for condition in self.source_expressions:
            try:
                sql, given = compiler.compile(condition)
            except EmptyResultSet:
                sql, given = "(1 = 0)", []
            except FullResultSet:
                sql, given = "(1 = 1)", []
            texts.append(sql)
            params.extend(given)
        return _halved(texts, f" {self.connector} "), params

    def copy(self) -> "Junction":
        found: Junction = super().copy()
        found.connector = self.connector
        return found


class Never(Func):
    """A condition that no row meets."""

    output_field = models.BooleanField()
    template = "(1 = 0)"

    def __init__(self, **extra: Any) -> None:
        super().__init__(**extra)


class Matches(Func):
    """`text LIKE pattern`, both in lower case; `\\` makes the next letter of the pattern an ordinary one."""

    output_field = models.BooleanField()

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, Any]:
        text, pattern = self.source_expressions
        sql, params = compiler.compile(text)
        like, given = compiler.compile(pattern)
        return f"({sql} LIKE {like} ESCAPE '\\')", [*params, *given]


class NumberValue(Value):
    """A number to compare with. SQLite has no decimals: there it is a floating one, as the column's values are."""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        value = float(self.value) if isinstance(self.value, Decimal) else self.value
        return "%s", [value]


class WrittenMoment(Func):
    """A moment as the API writes it, for PostgreSQL: making a `datetime` of it first costs eight times as much."""

    output_field = models.TextField()
    template = """to_char((%(expressions)s) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+0000"')"""


class DayOfYear(Func):
    """The day within the year, from 1."""

    output_field = models.IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="CAST(EXTRACT(doy FROM %(expressions)s) AS integer)")

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="CAST(strftime('%%%%j', %(expressions)s) AS integer)")


def none_if_empty(text: Any) -> Any:
    """Return the text, or null for an empty one: Salesforce's fields know no difference."""
    return NullIf(text, Value(""), output_field=models.TextField())


def _extracted(kind: type[Extract]) -> Any:
    def made(source: Any, is_moment: bool) -> Any:
        return kind(source, tzinfo=UTC) if is_moment else kind(source)

    return made


def _day_of_year(source: Any, is_moment: bool) -> Any:
    return DayOfYear(TruncDate(source, tzinfo=UTC) if is_moment else source)


def _week_of(days: Any) -> Any:
    def made(source: Any, is_moment: bool) -> Any:
        # The first seven days are week 1, whatever day of the week they begin with.
        return models.ExpressionWrapper(
            (Cast(days(source, is_moment), models.IntegerField()) + Value(6)) / Value(7),
            output_field=models.IntegerField(),
        )

    return made


def _day_only(source: Any, is_moment: bool) -> Any:
    return TruncDate(source, tzinfo=UTC) if is_moment else source


_day, _month, _quarter, _year = (_extracted(one) for one in (ExtractDay, ExtractMonth, ExtractQuarter, ExtractYear))

DATE_FUNCTIONS = {
    "CALENDAR_MONTH": _month,
    "CALENDAR_QUARTER": _quarter,
    "CALENDAR_YEAR": _year,
    "DAY_IN_MONTH": _day,
    "DAY_IN_WEEK": _extracted(ExtractWeekDay),
    "DAY_IN_YEAR": _day_of_year,
    "DAY_ONLY": _day_only,
    "FISCAL_MONTH": _month,
    "FISCAL_QUARTER": _quarter,
    "FISCAL_YEAR": _year,
    "HOUR_IN_DAY": _extracted(ExtractHour),
    "WEEK_IN_MONTH": _week_of(_day),
    "WEEK_IN_YEAR": _week_of(_day_of_year),
}
"""Functions of a date or a moment. Days begin at midnight UTC; fiscal years are calendar years."""


def date_function(name: str, source: Any, *, is_moment: bool) -> Any:
    """Return the expression for a date function of `source`."""
    return DATE_FUNCTIONS[name](source, is_moment)


def _halved(texts: Sequence[str], joiner: str) -> str:
    if len(texts) == 1:
        return texts[0]
    half = len(texts) // 2
    return f"({_halved(texts[:half], joiner)}{joiner}{_halved(texts[half:], joiner)})"
