"""Periods and what is counted within them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from isthmus.console.rollups.histograms import Histogram
from isthmus.console.rollups.models import SeriesPeriod, Width
from isthmus.console.rollups.series import MOST_KINDS, OTHER_KIND, Sample

__all__ = ["FINE", "HOUR", "Tallies", "Tally", "beginning", "from_rows", "gathered", "regrouped", "rows_of"]

FINE, HOUR = timedelta(seconds=Width.FINE), timedelta(seconds=Width.HOUR)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCOPE, _KIND = 300, 120

Key = tuple[str, datetime, str]
"""Scope, beginning of the period, kind."""


@dataclass(slots=True)
class Tally:
    """What was counted under one key."""

    number: int = 0
    durations: Histogram = field(default_factory=Histogram)

    def merge(self, other: "Tally") -> None:
        """Count everything that the other one has counted."""
        self.number += other.number
        self.durations.merge(other.durations)


Tallies = dict[Key, Tally]


def beginning(moment: datetime, width: timedelta) -> datetime:
    """Return the beginning of the period of this width that the moment is in."""
    return moment - (moment - _EPOCH) % width


def gathered(samples: Iterable[Sample], width: timedelta = FINE) -> Tallies:
    """Return the tallies of the samples, by scope and over all scopes."""
    tallies: Tallies = {}
    for sample in samples:
        starts_at, kind = beginning(sample.at, width), sample.kind[:_KIND]
        for scope in {"", sample.scope[:_SCOPE]}:
            tally = tallies.setdefault((scope, starts_at, kind), Tally())
            tally.number += sample.number
            if sample.milliseconds is not None:
                tally.durations.add(sample.milliseconds, sample.number)
    return _with_few_kinds(tallies)


def _with_few_kinds(tallies: Tallies) -> Tallies:
    kinds: dict[tuple[str, datetime], list[str]] = {}
    for scope, starts_at, kind in tallies:
        kinds.setdefault((scope, starts_at), []).append(kind)
    for (scope, starts_at), found in kinds.items():
        if len(found) > MOST_KINDS:
            rarest = sorted(found, key=lambda kind: (-tallies[scope, starts_at, kind].number, kind))[MOST_KINDS - 1 :]
            together = Tally()
            for kind in rarest:
                together.merge(tallies.pop((scope, starts_at, kind)))
            tallies.setdefault((scope, starts_at, OTHER_KIND), Tally()).merge(together)
    return tallies


def from_rows(rows: Iterable[SeriesPeriod], width: timedelta | None = None) -> Tallies:
    """Return the tallies that rows hold, in periods of this width (`None`: of their own)."""
    tallies: Tallies = {}
    for row in rows:
        starts_at = beginning(row.starts_at, width) if width else row.starts_at
        tallies.setdefault((row.scope, starts_at, row.kind), Tally()).merge(Tally(row.number, Histogram(row.buckets)))
    return tallies


def regrouped(tallies: Tallies, width: timedelta) -> Tallies:
    """Return the tallies in periods of this width, of which theirs are parts."""
    found: Tallies = {}
    for (scope, starts_at, kind), tally in tallies.items():
        found.setdefault((scope, beginning(starts_at, width), kind), Tally()).merge(tally)
    return found


def rows_of(series: str, width: Width, tallies: Tallies) -> Iterator[SeriesPeriod]:
    """Yield rows that hold the tallies."""
    for (scope, starts_at, kind), tally in tallies.items():
        yield SeriesPeriod(
            series=series,
            width_seconds=width,
            scope=scope,
            starts_at=starts_at,
            kind=kind,
            number=tally.number,
            buckets=tally.durations.as_json(),
        )
