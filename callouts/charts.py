"""What happened hour by hour, as bars."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count
from django.db.models.functions import TruncHour

from callouts.models import Outcome
from callouts.querysets import IntegrationLogQuerySet
from isthmus import clock

__all__ = ["Bar", "Chart", "Part", "hourly"]

HOURS = 24
WIDTH, HEIGHT = 960, 88
_GAP = 6
_TONES = {
    Outcome.SUCCEEDED: "good",
    Outcome.FAILED: "bad",
    Outcome.IN_DOUBT: "warning",
    Outcome.REFUSED: "neutral",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One outcome's share of a bar, in the units of the chart."""

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
    """What it says in words: "14:00: 12 succeeded, 1 failed"."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The exchanges of the last 24 hours."""

    bars: tuple[Bar, ...]
    total: int
    most: int
    """The number of exchanges that the highest bar stands for."""
    summary: str
    width: int = WIDTH
    height: int = HEIGHT


def hourly(entries: IntegrationLogQuerySet) -> Chart:
    """Return how many of `entries` began in each of the last 24 hours (UTC), by outcome; one query."""
    last = clock.now().replace(minute=0, second=0, microsecond=0)
    first = last - timedelta(hours=HOURS - 1)
    rows = entries.since(first).order_by().annotate(hour=TruncHour("started_at")).values_list("hour", "outcome")
    counts: dict[datetime, dict[str, int]] = {first + timedelta(hours=number): {} for number in range(HOURS)}
    totals = dict.fromkeys(Outcome.values, 0)
    for hour, outcome, number in rows.annotate(number=Count("pk")):
        if hour in counts:
            counts[hour][outcome] = number
            totals[outcome] += number
    most = max((sum(found.values()) for found in counts.values()), default=0)
    told = ", ".join(f"{number:,} {Outcome(name).label.lower()}" for name, number in totals.items() if number)
    return Chart(
        bars=tuple(_bar(number, hour, found, most) for number, (hour, found) in enumerate(counts.items())),
        total=sum(totals.values()),
        most=most,
        summary=f"Exchanges of the last 24 hours: {told or 'none'}.",
    )


def _bar(number: int, hour: datetime, counts: dict[str, int], most: int) -> Bar:
    step = WIDTH / HOURS
    parts, y = [], float(HEIGHT)
    for outcome, tone in _TONES.items():
        if count := counts.get(outcome, 0):
            # What happened once among thousands is to be seen all the same.
            height = max(2.0, HEIGHT * count / most)
            y -= height
            parts.append(Part(tone=tone, y=round(y, 1), height=round(height, 1)))
    told = ", ".join(f"{count:,} {Outcome(name).label.lower()}" for name, count in counts.items()) or "none"
    return Bar(
        x=round(number * step + _GAP / 2, 1),
        width=round(step - _GAP, 1),
        parts=tuple(parts),
        label=f"{hour:%H:%M} UTC: {told}",
    )
