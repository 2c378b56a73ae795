"""Cron expressions of five fields, in a time zone.

Where clocks are put forward or back, an expression is read as cron does:

- Hours that are named (`30 2 * * *`) are local times, each of which has one run: a time that does not exist that day
  runs right after the gap (several of them: once), one that comes twice runs the first time.
- `*` hours (`*/15 * * * *`) are as real time has them: a run at every moment whose local time fits, so that an hour
  that comes twice has its runs twice, and one that does not exist has none.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter

from isthmus import clock

__all__ = ["is_cron", "is_time_zone", "names_a_time", "next_after", "times_after"]

_FIELDS = 5
_RANGE_OF_ONE = re.compile(r"(?<![\w-])(\w+)-\1(?:/\d+)?(?![\w-])")
"""croniter takes `5-5` for `*`."""
_SECOND = timedelta(seconds=1)
_STEP = timedelta(hours=12)
"""No zone changes its offset and changes it back within so short a time."""


def is_cron(expression: str) -> bool:
    """Return whether `expression` can be scheduled."""
    valid: bool = croniter.is_valid(expression)  # type: ignore[no-untyped-call]  # croniter has no types
    return valid and len(expression.split()) == _FIELDS


def names_a_time(expression: str) -> bool:
    """Return whether there is any time at all that it names; the 31st of February is none."""
    try:
        next_after(expression, clock.now())
    except ValueError:
        return False
    return True


def is_time_zone(name: str) -> bool:
    """Return whether `name` is the IANA name of a time zone."""
    return name == "UTC" or name in _zone_names()


def next_after(expression: str, moment: datetime, time_zone: str = "UTC") -> datetime:
    """Return the first time after `moment` that the expression names, in UTC.

    Raises `ValueError` for a bad expression or one that names no time, `ZoneInfoNotFoundError` (a `KeyError`) for a
    zone that is unknown.
    """
    zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    moment = moment.astimezone(UTC)
    if expression.split()[1].startswith("*"):
        return _next_real(expression, moment, zone)
    return _next_local(expression, moment, zone)


def times_after(expression: str, moment: datetime, time_zone: str = "UTC") -> Iterator[datetime]:
    """Yield the times after `moment`, one after the other."""
    while True:
        moment = next_after(expression, moment, time_zone)
        yield moment


def _next_local(expression: str, moment: datetime, zone: tzinfo) -> datetime:
    """Go through the local times that fit until one of them is after `moment`."""
    for local in _fitting(expression, moment.astimezone(zone).replace(tzinfo=None)):
        found = _moment_of(local, zone)
        if found > moment:
            return found
    raise ValueError(f"{expression} names no time.")


def _moment_of(local: datetime, zone: tzinfo) -> datetime:
    """Return when it is `local`: the first time, or the end of the gap that swallows it."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # In a gap the offset before it (fold=0) leads behind it, and the one after it (fold=1) before it.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(before, moment, zone)


def _next_real(expression: str, moment: datetime, zone: tzinfo) -> datetime:
    """Look at one stretch of unchanging offset after the other."""
    while True:
        offset = _offset(moment, zone)
        found = next(_fitting(expression, moment.replace(tzinfo=None) + offset)).replace(tzinfo=UTC) - offset
        change = _first_change(moment, found, zone)
        if change is None:
            return found
        # The change itself belongs to what follows it.
        if _fits(expression, change, zone):
            return change
        moment = change


def _first_change(begin: datetime, end: datetime, zone: tzinfo) -> datetime | None:
    """Return the first moment after `begin`, up to `end`, with another offset."""
    offset, at = _offset(begin, zone), begin
    while at < end:
        following = min(at + _STEP, end)
        if _offset(following, zone) != offset:
            return _change_between(at, following, zone)
        at = following
    return None


def _change_between(begin: datetime, end: datetime, zone: tzinfo) -> datetime:
    """Return the first moment that has the offset of `end` and not that of `begin`, to the second."""
    before = _offset(begin, zone)
    begin, end = begin.replace(microsecond=0), end.replace(microsecond=0)
    while end - begin > _SECOND:
        middle = begin + (end - begin) // 2
        middle = middle.replace(microsecond=0)
        begin, end = (middle, end) if _offset(middle, zone) == before else (begin, middle)
    return end


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _fits(expression: str, moment: datetime, zone: tzinfo) -> bool:
    local = moment.astimezone(zone).replace(tzinfo=None)
    return next(_fitting(expression, local - _SECOND)) == local


def _fitting(expression: str, local: datetime) -> Iterator[datetime]:
    """Yield the local times after `local` that the expression names."""
    times = croniter(_RANGE_OF_ONE.sub(r"\1", expression), local)
    while True:
        yield times.get_next(datetime)  # type: ignore[no-untyped-call]  # croniter has no types


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())
