"""What happened hour by hour, as bars that are stacked by kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from isthmus import clock

__all__ = ["HOURS", "Bar", "Chart", "Kind", "Part", "first_hour", "hourly_chart"]

HOURS = 24
WIDTH, HEIGHT = 960, 88
_GAP = 6


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is counted apart, such as an outcome."""

    name: str
    label: str
    """In small letters: "12 succeeded"."""
    tone: str
    """Name of the tone in the style sheet: good, bad, warning, busy, neutral."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One kind's share of a bar, in the units of the chart."""

    tone: str
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One hour."""

    x: float
    width: float
    parts: tuple[Part, ...]
    label: str
    """What it says in words: "14:00 UTC: 12 succeeded, 1 failed"."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The last 24 hours."""

    bars: tuple[Bar, ...]
    kinds: tuple[Kind, ...]
    total: int
    most: int
    """The number that the highest bar stands for."""
    summary: str
    width: int = WIDTH
    height: int = HEIGHT


def first_hour() -> datetime:
    """Return the beginning of the first hour that a chart shows."""
    return clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)


def hourly_chart(subject: str, kinds: Sequence[Kind], counts: Iterable[tuple[datetime, str, int]]) -> Chart:
    """Return the chart of numbers that are given with the beginning of their hour and the name of their kind.

    `subject` is what is counted, in the plural and with a capital letter. Other hours and kinds are left out.
    """
    first = first_hour()
    by_hour: dict[datetime, dict[str, int]] = {first + timedelta(hours=number): {} for number in range(HOURS)}
    totals = {kind.name: 0 for kind in kinds}
    for hour, name, number in counts:
        if hour in by_hour and name in totals:
            by_hour[hour][name] = by_hour[hour].get(name, 0) + number
            totals[name] += number
    most = max(sum(found.values()) for found in by_hour.values())
    return Chart(
        bars=tuple(_bar(number, hour, found, kinds, most) for number, (hour, found) in enumerate(by_hour.items())),
        kinds=tuple(kinds),
        total=sum(totals.values()),
        most=most,
        summary=f"{subject} of the last 24 hours: {_told(totals, kinds)}.",
    )


def _bar(place: int, hour: datetime, counts: dict[str, int], kinds: Sequence[Kind], most: int) -> Bar:
    step = WIDTH / HOURS
    parts, y = [], float(HEIGHT)
    for kind in kinds:
        if count := counts.get(kind.name, 0):
            # What happened once among thousands is to be seen all the same.
            height = max(2.0, HEIGHT * count / most)
            y -= height
            parts.append(Part(tone=kind.tone, y=round(y, 1), height=round(height, 1)))
    return Bar(
        x=round(place * step + _GAP / 2, 1),
        width=round(step - _GAP, 1),
        parts=tuple(parts),
        label=f"{hour:%H:%M} UTC: {_told(counts, kinds)}",
    )


def _told(counts: dict[str, int], kinds: Sequence[Kind]) -> str:
    found = [(counts.get(kind.name, 0), kind.label) for kind in kinds]
    return ", ".join(f"{number:,} {label}" for number, label in found if number) or "none"
