"""What the home page gathers from every app: what needs a person, what waits the longest, and today against yesterday.

Each function that an app registers costs a constant number of queries.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Generic, Literal, TypeVar

from django.urls import reverse

from isthmus import clock
from isthmus.console.charts import Chart
from isthmus.console.conf import options
from isthmus.console.rollups.reading import day_against_day
from isthmus.console.rollups.spans import Span
from isthmus.console.tones import Tone
from isthmus.remembering import Remembered

__all__ = [
    "Comparison",
    "HomeChart",
    "Need",
    "Needs",
    "Today",
    "Urgency",
    "Waiting",
    "WaitingSource",
    "all_needs",
    "all_waiting",
    "comparisons",
    "forget",
    "home_charts",
    "register_home_chart",
    "register_needs",
    "register_needs_temporarily",
    "register_today",
    "register_waiting",
    "register_waiting_temporarily",
]

T = TypeVar("T")


class Urgency(IntEnum):
    """How long something can wait for a person; the most urgent first."""

    NOW = 0
    """Nothing gets done before somebody acts."""
    BROKEN = 1
    """Something failed and stays so."""
    UNDECIDED = 2
    """Only a person can know what is right."""
    SOON = 3
    """Still well, and not for long."""

    @property
    def tone(self) -> Tone:
        """How it looks."""
        return {Urgency.NOW: Tone.BAD, Urgency.BROKEN: Tone.BAD, Urgency.UNDECIDED: Tone.WARNING}.get(
            self, Tone.WAITING
        )

    @property
    def label(self) -> str:
        """How it is called."""
        return _LABELS[self]


_LABELS = {
    Urgency.NOW: "At once",
    Urgency.BROKEN: "Broken",
    Urgency.UNDECIDED: "To decide",
    Urgency.SOON: "Soon",
}


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that does not get well without a person."""

    title: str
    """What is so, as a short sentence without a full stop: "3 background operations failed"."""
    urgency: Urgency
    url: str
    """Where it is dealt with."""
    advice: str = ""
    """What to do, as a sentence."""
    since: datetime | None = None
    """Since when the oldest of them is so, or when it will be."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Work of one kind that has not begun or not ended, as told by its oldest piece."""

    label: str
    """What waits, in the plural and with a capital letter."""
    number: int
    since: datetime | None
    """Since when the oldest of them waits; `None` when none does."""
    url: str
    late_after_seconds: float
    """From which age on that is unusual."""
    hint: str = ""

    @property
    def is_late(self) -> bool:
        """Whether the oldest waits for longer than is usual."""
        return self.since is not None and (clock.now() - self.since).total_seconds() > self.late_after_seconds

    @property
    def tone(self) -> Tone:
        """How it looks."""
        if not self.number:
            return Tone.GOOD
        return Tone.WARNING if self.is_late else Tone.WAITING


@dataclass(frozen=True, kw_only=True)
class Today:
    """A number of today that the home page compares with yesterday's."""

    label: str
    series: str
    url_name: str
    """The page that lists the things behind the number."""
    query: str = ""
    """Its filters, such as `state=Failed`."""
    kinds: tuple[str, ...] = ()
    """Which kinds of the series count; empty: all of them."""
    wanted: Literal["more", "less", "either"] = "either"
    """What is good news."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `Today` asked for."""

    today: Today
    number: int
    yesterday: int
    """Until the same time of the day."""

    @property
    def url(self) -> str:
        """Where the things behind the number are listed."""
        page = reverse(self.today.url_name)
        return f"{page}?{self.today.query}" if self.today.query else page

    @property
    def direction(self) -> Literal["more", "less", "same"]:
        """Which way it went."""
        return "more" if self.number > self.yesterday else "less" if self.number < self.yesterday else "same"

    @property
    def words(self) -> str:
        """The difference in words."""
        if self.direction == "same":
            return "as many as yesterday by now" if self.number else "none yesterday by now, too"
        word = "more" if self.direction == "more" else "fewer"
        return f"{abs(self.number - self.yesterday):,} {word} than yesterday by now ({self.yesterday:,})"

    @property
    def tone(self) -> Tone:
        """Whether that is good news."""
        if self.direction == "same" or self.today.wanted == "either":
            return Tone.NEUTRAL
        return Tone.GOOD if self.direction == self.today.wanted else Tone.WARNING


Needs = Callable[[], Iterable[Need]]
WaitingSource = Callable[[], Iterable[Waiting]]
HomeChart = Callable[[Span], Chart]


class _Sources(Generic[T]):
    """Functions of apps, in the order of their registration."""

    def __init__(self) -> None:
        self._found: list[T] = []

    def add(self, source: T) -> None:
        self._found.append(source)

    @contextmanager
    def added(self, source: T) -> Iterator[None]:
        self.add(source)
        try:
            yield
        finally:
            self._found.remove(source)

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._found))


_needs: _Sources[Needs] = _Sources()
_waiting: _Sources[WaitingSource] = _Sources()
_today: _Sources[Today] = _Sources()
_charts: _Sources[HomeChart] = _Sources()
_remembered: Remembered[str, dict[tuple[str, str, str], int]] = Remembered(lambda: options.chart_seconds, most=1)

register_needs = _needs.add
"""Let the home page tell what `needs()` returns."""
register_needs_temporarily = _needs.added
register_waiting = _waiting.add
"""Let the home page tell what waits, as `waiting()` returns it: one entry a kind, also when none waits."""
register_waiting_temporarily = _waiting.added
register_today = _today.add
"""Let the home page compare a number of today with yesterday's."""
register_home_chart = _charts.add
"""Let the home page show the chart that `chart(span)` returns."""


def all_needs() -> list[Need]:
    """Return what needs a person, the most urgent first, of these the oldest."""
    now = clock.now()
    found = [need for needs in _needs for need in needs()]
    return sorted(found, key=lambda need: (need.urgency, need.since or now, need.title))


def all_waiting() -> list[Waiting]:
    """Return what waits, the oldest first; what does not wait comes last."""
    now = clock.now()
    found = [waiting for source in _waiting for waiting in source()]
    return sorted(found, key=lambda waiting: (waiting.since is None, waiting.since or now, waiting.label))


def comparisons() -> list[Comparison]:
    """Return today's numbers with yesterday's."""
    asked = list(_today)
    counted = _remembered.get("", lambda: day_against_day(today.series for today in asked))
    return [
        Comparison(today=today, number=_sum(counted, today, "today"), yesterday=_sum(counted, today, "yesterday"))
        for today in asked
    ]


def _sum(counted: dict[tuple[str, str, str], int], today: Today, day: str) -> int:
    return sum(
        number
        for (series, kind, of_day), number in counted.items()
        if series == today.series and of_day == day and (not today.kinds or kind in today.kinds)
    )


def home_charts(span: Span) -> list[Chart]:
    """Return the charts of the home page."""
    return [chart(span) for chart in _charts]


def forget() -> None:
    """Count anew (for tests)."""
    _remembered.forget()
