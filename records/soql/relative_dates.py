"""Dates that a query names by their distance from today: `TODAY`, `LAST_N_DAYS:7`, `NEXT_QUARTER`.

Each is a span of whole days. Weeks begin on Sunday; fiscal years are calendar years. Days are those of UTC.
Meanings: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_dateformats.htm
"""

import re
from collections.abc import Callable
from datetime import date, timedelta

__all__ = ["is_known", "span"]

_Span = tuple[date, date]
_PATTERN = re.compile(
    r"(?P<how>LAST|THIS|NEXT)_(?P<unit>DAY|WEEK|MONTH|QUARTER|YEAR|FISCAL_QUARTER|FISCAL_YEAR)"
    r"|(?P<side>LAST|NEXT)_N_(?P<units>DAYS|WEEKS|MONTHS|QUARTERS|YEARS|FISCAL_QUARTERS|FISCAL_YEARS)"
    r"|N_(?P<ago>DAYS|WEEKS|MONTHS|QUARTERS|YEARS|FISCAL_QUARTERS|FISCAL_YEARS)_AGO"
)
_DAYS = {"YESTERDAY": -1, "TODAY": 0, "TOMORROW": 1}
_NINETY = {"LAST_90_DAYS", "NEXT_90_DAYS"}
_MOST = 10_000_000


def is_known(name: str, has_number: bool) -> bool:
    """Return whether there is such a date. `name`: in upper case; `has_number`: whether `:n` follows."""
    if name in _DAYS or name in _NINETY:
        return not has_number
    found = _PATTERN.fullmatch(name)
    if found is None or found["unit"] == "DAY":
        return False
    return (found["how"] is None) == has_number


def span(name: str, number: int, today: date) -> _Span:
    """Return the first day of the span and the day after its last. Raises `OverflowError` beyond the calendar."""
    if name in _DAYS:
        return _days(today, _DAYS[name], 1)
    if abs(number) > _MOST:
        raise OverflowError("No calendar goes that far.")
    if name == "LAST_90_DAYS":
        return _back_from(today, 90)
    if name == "NEXT_90_DAYS":
        return _days(today, 1, 90)
    found = _PATTERN.fullmatch(name)
    assert found is not None  # noqa: S101 - for the type checker: asked for before
    if found["how"]:
        shift = {"LAST": -1, "THIS": 0, "NEXT": 1}[found["how"]]
        return _units(found["unit"])(today, shift, 1)
    if found["ago"]:
        return _units(found["ago"])(today, -number, 1)
    if found["side"] == "NEXT":
        return _units(found["units"])(today, 1, number)
    if found["units"] == "DAYS":
        # The only one that includes what is not over yet.
        return _back_from(today, number)
    return _units(found["units"])(today, -number, number)


def _back_from(today: date, days: int) -> _Span:
    return today - timedelta(days=days), today + timedelta(days=1)


def _days(today: date, shift: int, count: int) -> _Span:
    first = today + timedelta(days=shift)
    return first, first + timedelta(days=count)


def _weeks(today: date, shift: int, count: int) -> _Span:
    sunday = today - timedelta(days=(today.weekday() + 1) % 7)
    first = sunday + timedelta(weeks=shift)
    return first, first + timedelta(weeks=count)


def _of_months(months: int) -> Callable[[date, int, int], _Span]:
    def found(today: date, shift: int, count: int) -> _Span:
        begins = (today.year * 12 + today.month - 1) // months * months
        return _month(begins + shift * months), _month(begins + (shift + count) * months)

    return found


def _month(number: int) -> date:
    year, month = divmod(number, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError("No calendar goes that far.")
    return date(year, month + 1, 1)


def _units(unit: str) -> Callable[[date, int, int], _Span]:
    kind = unit.removeprefix("FISCAL_").removesuffix("S")
    return {"DAY": _days, "WEEK": _weeks, "MONTH": _of_months(1), "QUARTER": _of_months(3), "YEAR": _of_months(12)}[
        kind
    ]
