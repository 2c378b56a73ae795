"""Reads series for pages: rolled-up periods, and of the newest minutes the raw rows, as far as these are few."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import Max, Q, Subquery, Sum

from isthmus import clock
from isthmus.console.conf import options
from isthmus.console.rollups.histograms import Histogram
from isthmus.console.rollups.models import SeriesPeriod, SeriesProgress, Width
from isthmus.console.rollups.periods import FINE, HOUR, Tallies, Tally, beginning, from_rows, gathered, regrouped
from isthmus.console.rollups.series import Sample, Series, find_series
from isthmus.console.rollups.spans import Span
from isthmus.remembering import Remembered

__all__ = ["MOST_FRESH_ROWS", "Lately", "Reading", "day_against_day", "forget", "last_of_scopes", "of_scopes", "read"]

MOST_FRESH_ROWS = 20_000
"""The most raw rows that are read for the newest minutes of a chart."""
_YOUNG = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is known of a series within a span."""

    span: Span
    slots: dict[datetime, dict[str, Tally]]
    """Tallies by kind, by the beginning of each slot."""
    note: str = ""
    """What is missing, as a sentence; "" when nothing is."""

    def total(self, kind: str | None = None) -> int:
        """Return how many there were in all; of one kind, or of any."""
        return sum(
            tally.number
            for tallies in self.slots.values()
            for name, tally in tallies.items()
            if kind is None or name == kind
        )


@dataclass(frozen=True, kw_only=True)
class Lately:
    """What happened in one scope in the last 24 hours."""

    numbers: dict[str, int]
    """By kind."""
    durations: Histogram

    @classmethod
    def nothing(cls) -> "Lately":
        """Return what there is before anything has happened."""
        return cls(numbers={}, durations=Histogram())

    @property
    def number(self) -> int:
        """How many there were of any kind."""
        return sum(self.numbers.values())


_remembered: Remembered[object, Reading] = Remembered(lambda: options.chart_seconds, most=500)
_fresh: Remembered[object, tuple[Tallies, str]] = Remembered(lambda: options.chart_seconds, most=500)


def forget() -> None:
    """Read everything anew (for tests)."""
    _remembered.forget()
    _fresh.forget()


def read(name: str, span: Span, *, scope: str = "") -> Reading:
    """Return what a series counted within the span; at most three queries."""
    key = (name, span.key, span.begin, scope)
    return _remembered.get(key, lambda: _read(find_series(name), span, scope))


def _read(series: Series, span: Span, scope: str) -> Reading:
    progress = SeriesProgress.objects.filter(series=series.name).first()
    rolled_until = progress.rolled_until if progress else None
    rows = SeriesPeriod.objects.filter(series=series.name, width_seconds=span.width, starts_at__gte=span.begin)
    if series.measure is not None or scope:
        rows = rows.filter(scope=scope)
    if series.measure is not None and rolled_until is not None:
        # What is rolled up meanwhile is read with the newest minutes.
        rows = rows.filter(starts_at__lt=rolled_until)
    fresh, note = _fresh_samples(series, rolled_until)
    fresh = regrouped(fresh, span.slot)
    if series.measure is None:
        fresh = _fresh_counts(series, span, scope, rolled_until)
    slots: dict[datetime, dict[str, Tally]] = {moment: {} for moment in span.moments}
    for tallies in (from_rows(rows, span.slot), fresh):
        for (of_scope, starts_at, kind), tally in tallies.items():
            is_wanted = of_scope == scope if series.measure is not None or scope else True
            if is_wanted and starts_at in slots:
                slots[starts_at].setdefault(kind, Tally()).merge(tally)
    return Reading(span=span, slots=slots, note=note)


def _fresh_samples(series: Series, rolled_until: datetime | None) -> tuple[Tallies, str]:
    """Return what is not rolled up yet, and what is missing of that."""
    if series.measure is None:
        return {}, ""
    return _fresh.get((series.name, rolled_until), lambda: _read_fresh(series, rolled_until))


def _read_fresh(series: Series, rolled_until: datetime | None) -> tuple[Tallies, str]:
    assert series.measure is not None  # noqa: S101 - for the type checker
    now = clock.now()
    begin = max(rolled_until or now - _YOUNG, now - _YOUNG)
    samples: Sequence[Sample] = list(islice(series.measure(begin, now), MOST_FRESH_ROWS + 1))
    if len(samples) > MOST_FRESH_ROWS:
        return {}, "The last minutes have so many rows that they are shown once they are rolled up."
    if rolled_until is not None and now - rolled_until > _YOUNG:
        return gathered(samples), (
            f"Figures are rolled up until {rolled_until:%Y-%m-%d %H:%M} UTC. Is a worker running?"
        )
    return gathered(samples), ""


def _fresh_counts(series: Series, span: Span, scope: str, rolled_until: datetime | None) -> Tallies:
    """Return what was counted since the hours were added up; five minutes are complete as they are."""
    if span.width != Width.HOUR:
        return {}
    newer = SeriesPeriod.objects.filter(
        series=series.name, width_seconds=Width.FINE, starts_at__gte=max(rolled_until or span.begin, span.begin)
    )
    return from_rows(newer.filter(scope=scope) if scope else newer, span.slot)


def of_scopes(name: str, *, scopes: Iterable[str] | None = None) -> dict[str, Lately]:
    """Return by scope what a series counted in the last 24 hours; of these scopes only, or of all (`None`).

    Of the newest minutes as much as `read` tells. Three queries at most.
    """
    series, since = find_series(name), beginning(clock.now(), HOUR) - 23 * HOUR
    rows = SeriesPeriod.objects.filter(series=name).exclude(scope="")
    wanted = None if scopes is None else set(scopes)
    if wanted is not None:
        rows = rows.filter(scope__in=wanted)
    # The mark comes with the rows that it belongs to: what is rolled up meanwhile would be counted twice.
    mark = SeriesProgress.objects.filter(series=name).values("rolled_until")
    hours = rows.filter(width_seconds=Width.HOUR, starts_at__gte=since).annotate(rolled_until=Subquery(mark))
    marked: list[Any] = list(hours)
    rolled_until = marked[0].rolled_until if marked else mark.values_list("rolled_until", flat=True).first()
    if series.measure is None:
        newer = rows.filter(width_seconds=Width.FINE, starts_at__gte=max(rolled_until or since, since))
        fresh = from_rows(newer)
    else:
        fresh, _ = _fresh_samples(series, rolled_until)
    found: dict[str, Lately] = {}
    for (scope, _, kind), tally in (*from_rows(marked).items(), *fresh.items()):
        if not scope or (wanted is not None and scope not in wanted):
            continue
        lately = found.setdefault(scope, Lately.nothing())
        lately.numbers[kind] = lately.numbers.get(kind, 0) + tally.number
        lately.durations.merge(tally.durations)
    return found


def last_of_scopes(name: str) -> dict[tuple[str, str], datetime]:
    """Return by scope and kind when something last happened within 7 days, exact to five minutes; one query."""
    since = clock.now() - timedelta(days=7)
    rows = SeriesPeriod.objects.filter(series=name, starts_at__gte=since, number__gt=0).exclude(scope="").order_by()
    found = rows.values_list("scope", "kind").annotate(last=Max("starts_at"))
    return {(scope, kind): last for scope, kind, last in found}


def day_against_day(names: Iterable[str]) -> dict[tuple[str, str, str], int]:
    """Return by series, kind and day (`today`, `yesterday`) what was counted since midnight (UTC).

    Of yesterday what was counted until this time of the day, exact to five minutes. Three queries, and one more for
    each series, whose newest minutes are not rolled up.
    """
    wanted = sorted(set(names))
    now = clock.now()
    midnight, day = now.replace(hour=0, minute=0, second=0, microsecond=0), timedelta(days=1)
    rows = SeriesPeriod.objects.filter(series__in=wanted, width_seconds=Width.FINE)
    found: dict[tuple[str, str, str], int] = {}
    for name, window in (
        ("today", Q(starts_at__gte=midnight)),
        ("yesterday", Q(starts_at__gte=midnight - day, starts_at__lt=beginning(now, FINE) - day)),
    ):
        counted = rows.filter(window).order_by().values_list("series", "kind", "scope").annotate(sum=Sum("number"))
        for series, kind, scope, number in counted:
            # Series that count as they happen have no rows of everything together.
            if not scope or find_series(series).measure is None:
                found[series, kind, name] = found.get((series, kind, name), 0) + number
    marks = dict(SeriesProgress.objects.filter(series__in=wanted).values_list("series", "rolled_until"))
    for series in wanted:
        fresh, _ = _fresh_samples(find_series(series), marks.get(series))
        for (scope, starts_at, kind), tally in fresh.items():
            if not scope and starts_at >= midnight:
                key = (series, kind, "today")
                found[key] = found.get(key, 0) + tally.number
    return found
