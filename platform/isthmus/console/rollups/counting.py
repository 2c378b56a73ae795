"""Counts what leaves no row behind: into its period at once, in the transaction of what happened."""

from collections.abc import Iterable

from isthmus import clock
from isthmus.console.rollups.histograms import Histogram
from isthmus.console.rollups.models import SeriesPeriod, Width
from isthmus.console.rollups.periods import FINE, Tally, beginning, rows_of
from isthmus.console.rollups.series import Series

__all__ = ["add"]


def add(series: Series, *, scope: str, kind: str, durations: Iterable[float | None]) -> None:
    """Count one thing for each duration (in milliseconds; `None`: it has none that means anything), now.

    At most one process may count in a scope at a time: the caller holds what belongs to it.
    """
    tally = Tally()
    for milliseconds in durations:
        tally.number += 1
        if milliseconds is not None:
            tally.durations.add(milliseconds)
    if not tally.number:
        return
    starts_at = beginning(clock.now(), FINE)
    of_period = SeriesPeriod.objects.filter(
        series=series.name, width_seconds=Width.FINE, scope=scope[:300], starts_at=starts_at, kind=kind
    )
    row = of_period.first()
    if row is None:
        [row] = rows_of(series.name, Width.FINE, {(scope[:300], starts_at, kind): tally})
        row.save(force_insert=True)
        return
    tally.merge(Tally(row.number, Histogram(row.buckets)))
    of_period.update(number=tally.number, buckets=tally.durations.as_json())
