"""Rolls raw rows up into periods, a step at a time.

A step counts the raw rows of some periods anew and puts what it finds in place of what was there, together with the
mark of how far the series is: all of it or nothing. So a step that dies, or is done twice, changes no number, and a row
that commits late is found by the next look at its period. Periods are looked at again until they have settled, once
when they are an hour old and once when they are a day old.

Raw rows are read before the transaction, so that on SQLite nobody waits for a long read to write; whoever finds that
another process has moved the mark meanwhile begins again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from isthmus import clock
from isthmus.console.conf import options
from isthmus.console.rollups.models import SeriesPeriod, SeriesProgress, Width
from isthmus.console.rollups.periods import FINE, HOUR, Tallies, beginning, from_rows, gathered, rows_of
from isthmus.console.rollups.series import Series, all_series

__all__ = ["remove_old", "roll_up", "roll_up_everything", "step"]

_STEP = timedelta(hours=1)
_LOOKS = (timedelta(hours=1), timedelta(hours=24))
"""How old an hour is when it is looked at again, for rows that came late."""
_DAY = timedelta(days=1)
_ROWS_AT_ONCE = 1_000


def roll_up_everything(*, most_steps: int = 2_000) -> Iterator[str]:
    """Roll every series up to now; yield the name of a series after each step.

    After `most_steps` of one series it is left for the next time, so that no series waits for another one's long past.
    """
    for series in all_series():
        for _ in roll_up(series, most_steps=most_steps):
            yield series.name


def roll_up(series: Series, *, most_steps: int = 2_000) -> Iterator[None]:
    """Roll one series up to now, yielding after each step."""
    for _ in range(most_steps):
        if not step(series):
            return
        yield


def step(series: Series) -> bool:
    """Roll the next hour up, or what there is of it; return whether the series is further than before.

    A stretch of a long past in which nothing happened is one step, however long it is.
    """
    begin = _rolled_until(series)
    if (later := _end_of_emptiness(series, begin)) > begin:
        return _move(series, begin, later)
    end = min(begin + _STEP, beginning(clock.now(), FINE))
    if end <= begin:
        return False
    looks = [_look(series, beginning(begin - series.settles_after, FINE), end)]
    looks += [_look(series, hour, hour + HOUR, may_lower=False) for hour in _hours_to_look_at_again(begin, end)]
    with transaction.atomic():
        moved = _move(series, begin, end)
        if moved:
            for look in looks:
                _write(series, look, until=end)
    return moved


def remove_old() -> int:
    """Remove the periods that are kept no longer; return how many rows that were."""
    now, removed = clock.now(), 0
    for progress in SeriesProgress.objects.all():
        # The next look at a series' last periods builds their hours from these rows.
        needed_from = progress.rolled_until - _DAY - 2 * HOUR
        for width, days in ((Width.FINE, options.fine_days), (Width.HOUR, options.hours_days)):
            before = min(now - timedelta(days=days), needed_from)
            removed += _remove(progress.series, width, before)
    return removed


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What the raw rows say about some periods."""

    begin: datetime
    end: datetime
    tallies: Tallies | None
    """`None` for a series that is counted as it happens: its rows say it already."""
    may_lower: bool
    """Whether fewer raw rows than before are believed; of older ones some may be removed already."""


def _look(series: Series, begin: datetime, end: datetime, *, may_lower: bool = True) -> _Look:
    tallies = None if series.measure is None else gathered(series.measure(begin, end))
    return _Look(begin=begin, end=end, tallies=tallies, may_lower=may_lower)


def _move(series: Series, begin: datetime, end: datetime) -> bool:
    """Move the mark on from `begin`; return whether it was there still."""
    mark = SeriesProgress.objects.filter(series=series.name, rolled_until=begin)
    return bool(mark.update(rolled_until=end, rolled_at=clock.now()))


def _rolled_until(series: Series) -> datetime:
    found = SeriesProgress.objects.filter(series=series.name).first()
    if found is None:
        now = clock.now()
        oldest = _first_since(series, now - timedelta(days=options.hours_days)) or now
        beginnings = [SeriesProgress(series=series.name, rolled_until=beginning(oldest, HOUR), rolled_at=now)]
        SeriesProgress.objects.bulk_create(beginnings, ignore_conflicts=True)
        found = SeriesProgress.objects.get(series=series.name)
    return found.rolled_until


def _end_of_emptiness(series: Series, begin: datetime) -> datetime:
    """Return the hour up to which a long past holds nothing, `begin` when there is something to count.

    Nothing is passed over that may still grow, nor anything that the step at `begin` would count anew.
    """
    recent = beginning(clock.now() - _DAY, HOUR)
    if begin >= recent:
        return begin
    first = _first_since(series, beginning(begin - series.settles_after, FINE))
    return max(begin, recent if first is None else min(recent, beginning(first, HOUR)))


def _first_since(series: Series, moment: datetime) -> datetime | None:
    if series.measure is not None:
        return series.first_since(moment)
    counted = SeriesPeriod.objects.filter(series=series.name, width_seconds=Width.FINE, starts_at__gte=moment)
    return counted.order_by("starts_at").values_list("starts_at", flat=True).first()


def _hours_to_look_at_again(begin: datetime, end: datetime) -> Iterable[datetime]:
    """Return the hours that have come of age with this step; while a long past is caught up, none."""
    hour = beginning(end, HOUR)
    if hour == beginning(begin, HOUR) or clock.now() - end > _DAY:
        return ()
    return [hour - HOUR - age for age in _LOOKS]


def _write(series: Series, look: _Look, *, until: datetime) -> None:
    if look.tallies is not None:
        kept = SeriesPeriod.objects.filter(
            series=series.name, width_seconds=Width.FINE, starts_at__gte=look.begin, starts_at__lt=look.end
        )
        if not look.may_lower and _total(look.tallies) < (
            kept.filter(scope="").aggregate(all=Sum("number"))["all"] or 0
        ):
            return
        kept.delete()
        SeriesPeriod.objects.bulk_create(rows_of(series.name, Width.FINE, look.tallies), batch_size=_ROWS_AT_ONCE)
    _write_hours(series, beginning(look.begin, HOUR), min(until, beginning(look.end - FINE, HOUR) + HOUR))


def _total(tallies: Tallies) -> int:
    return sum(tally.number for (scope, _, _), tally in tallies.items() if not scope)


def _write_hours(series: Series, begin: datetime, end: datetime) -> None:
    rows = SeriesPeriod.objects.filter(series=series.name, starts_at__gte=begin, starts_at__lt=end)
    # What is counted as it happens may have rows after the mark: they belong to the next step.
    hours = from_rows(rows.filter(width_seconds=Width.FINE), HOUR)
    rows.filter(width_seconds=Width.HOUR).delete()
    SeriesPeriod.objects.bulk_create(rows_of(series.name, Width.HOUR, hours), batch_size=_ROWS_AT_ONCE)


def _remove(series: str, width: Width, before: datetime) -> int:
    old = SeriesPeriod.objects.filter(series=series, width_seconds=width, starts_at__lt=before)
    removed = 0
    while keys := list(old.values_list("pk", flat=True)[:_ROWS_AT_ONCE]):
        removed += SeriesPeriod.objects.filter(pk__in=keys).delete()[0]
    return removed
