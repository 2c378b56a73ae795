"""Charts of series: how many of each kind, or how long things took. A script draws them; a table tells the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from isthmus.console.durations import spoken_duration
from isthmus.console.rollups.histograms import Histogram
from isthmus.console.rollups.periods import Tally
from isthmus.console.rollups.reading import Reading, read
from isthmus.console.rollups.series import Kind, find_series
from isthmus.console.rollups.spans import SPANS, Span

__all__ = ["PERCENTILES", "Chart", "Curve", "counts", "durations"]

PERCENTILES = (50, 95, 99)
_PERCENTILE_TONES = ("good", "busy", "warning")
_CAUSE_TONES = ("bad", "warning", "waiting", "busy", "good", "neutral")
"""Tones in the order in which causes get them; from the sixth cause on they are shown together."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One kind's numbers, or one percentile, slot by slot."""

    label: str
    tone: str
    values: tuple[float | None, ...]

    @property
    def total(self) -> float:
        """The sum of its numbers."""
        return sum(value for value in self.values if value)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What a page shows of a series within a span."""

    key: str
    """Names the chart on its page."""
    title: str
    form: Literal["bars", "lines"]
    span: Span
    moments: tuple[datetime, ...]
    curves: tuple[Curve, ...]
    summary: str
    total: int
    """How many things are behind it."""
    note: str = ""
    """What is missing, as a sentence; "" when nothing is."""

    spans = SPANS

    @property
    def as_json(self) -> str:
        """What the script draws."""
        return json.dumps(
            {
                "form": self.form,
                "slot": self.span.slot.total_seconds(),
                "moments": [int(moment.timestamp()) for moment in self.moments],
                "curves": [{"label": one.label, "tone": one.tone, "values": one.values} for one in self.curves],
            },
            separators=(",", ":"),
        )

    @property
    def rows(self) -> list[tuple[datetime, list[float | None]]]:
        """The same numbers as rows of a table, the newest first."""
        rows = [(moment, [curve.values[place] for curve in self.curves]) for place, moment in enumerate(self.moments)]
        return [row for row in reversed(rows) if any(row[1])]


def counts(key: str, name: str, span: Span, *, title: str, scope: str = "") -> Chart:
    """Return the chart of how many things of each kind a series counted, stacked."""
    reading = read(name, span, scope=scope)
    kinds = find_series(name).kinds or _causes(reading)
    curves = tuple(_count_curve(reading, kind, kinds) for kind in kinds)
    told = ", ".join(f"{curve.total:,.0f} {curve.label}" for curve in curves if curve.total) or "none"
    return Chart(
        key=key,
        title=title,
        form="bars",
        span=span,
        moments=tuple(reading.slots),
        curves=curves,
        summary=f"{find_series(name).subject} of {span.label}: {told}.",
        total=reading.total(),
        note=reading.note,
    )


_OTHER_CAUSES = "other causes"


def _causes(reading: Reading) -> Sequence[Kind]:
    """Return the most frequent kinds that were found, each with a tone of its own, and the others together."""
    names = {name for tallies in reading.slots.values() for name in tallies}
    ranked = sorted(names, key=lambda name: (-reading.total(name), name))
    most = len(_CAUSE_TONES)
    if len(ranked) > most:
        ranked = [*ranked[: most - 1], _OTHER_CAUSES]
    return [Kind(name=name, label=name, tone=tone) for name, tone in zip(ranked, _CAUSE_TONES, strict=False)]


def _count_curve(reading: Reading, kind: Kind, kinds: Sequence[Kind]) -> Curve:
    if kind.name == _OTHER_CAUSES:
        named = {one.name for one in kinds}
        values = [
            sum(tally.number for name, tally in tallies.items() if name not in named)
            for tallies in reading.slots.values()
        ]
    else:
        values = [tallies[kind.name].number if kind.name in tallies else 0 for tallies in reading.slots.values()]
    return Curve(label=kind.label, tone=kind.tone, values=tuple(values))


def durations(
    key: str, name: str, span: Span, *, title: str, what: str, scope: str = "", only: Sequence[str] = ()
) -> Chart:
    """Return the chart of the percentiles of what a series measured; `only`: of these kinds.

    `what` goes on in "Half of the callouts took at most …": "callouts took".
    """
    reading = read(name, span, scope=scope)
    slots = [_together(tallies, only) for tallies in reading.slots.values()]
    everything = Histogram()
    for found in slots:
        everything.merge(found)
    curves = tuple(
        Curve(
            label=f"p{percent}",
            tone=tone,
            values=tuple(_rounded(found.percentile(percent)) for found in slots),
        )
        for percent, tone in zip(PERCENTILES, _PERCENTILE_TONES, strict=True)
    )
    return Chart(
        key=key,
        title=title,
        form="lines",
        span=span,
        moments=tuple(reading.slots),
        curves=curves,
        summary=_told(what, span, everything),
        total=everything.total,
        note=reading.note,
    )


def _together(tallies: Mapping[str, Tally], only: Sequence[str]) -> Histogram:
    found = Histogram()
    for kind, tally in tallies.items():
        if not only or kind in only:
            found.merge(tally.durations)
    return found


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else float(f"{milliseconds:.3g}")


def _told(what: str, span: Span, everything: Histogram) -> str:
    half, most = everything.percentile(50), everything.percentile(95)
    if half is None or most is None:
        return f"Nothing was measured in {span.label}."
    return f"In {span.label} half of the {what} at most {spoken_duration(half)}, 95 % at most {spoken_duration(most)}."
