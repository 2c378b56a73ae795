"""Which series of figures there are. An app says where a series' raw rows are; the shell knows none of them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = [
    "MOST_KINDS",
    "OTHER_KIND",
    "Kind",
    "Measure",
    "Sample",
    "Series",
    "all_series",
    "find_series",
    "register_series",
    "register_series_temporarily",
]

MOST_KINDS = 30
"""The most kinds that a period of one scope keeps apart; the rarest others are counted together."""
OTHER_KIND = "others"


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing that happened, or several alike."""

    at: datetime
    kind: str
    """An outcome, or the cause of a failure."""
    scope: str = ""
    """What it belongs to (a credential, an endpoint); "" for nothing in particular."""
    milliseconds: float | None = None
    """How long it took; `None` where it took no time that means anything."""
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is counted apart, such as an outcome."""

    name: str
    label: str
    """In small letters: "12 succeeded"."""
    tone: str
    """Name of the tone in the style sheet: good, bad, warning, busy, waiting, neutral."""


Measure = Callable[[datetime, datetime], Iterable[Sample]]
"""Returns what happened from the first moment on and before the second one, read through an index."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Something that is counted period by period."""

    name: str
    """Short and stable: rows are kept under it."""
    subject: str
    """What is counted, in the plural and with a capital letter: "Callouts"."""
    kinds: tuple[Kind, ...] = ()
    """The kinds that are known beforehand, in the order in which they are shown; empty where they are found."""
    measure: Measure | None
    """Reads the raw rows; `None` for a series whose app counts while things happen (`counting.add`)."""
    first_since: Callable[[datetime], datetime | None] = lambda _: None
    """Returns the moment of the first raw row from this moment on, read through an index; `None` when there is none. A
    row that `measure` leaves out may be named, too."""
    settles_after: timedelta = timedelta(minutes=15)
    """How long after its moment a raw row may still appear or change, as a rule. What is later is found by the looks
    that are taken after one and after 24 hours."""


_series: dict[str, Series] = {}


def register_series(series: Series) -> None:
    """Add a series. Raises `ValueError` when its name is taken."""
    if series.name in _series:
        raise ValueError(f"A series named {series.name!r} is registered already.")
    _series[series.name] = series


@contextmanager
def register_series_temporarily(series: Series) -> Iterator[None]:
    """Add a series while the block runs (for tests)."""
    register_series(series)
    try:
        yield
    finally:
        del _series[series.name]


def all_series() -> tuple[Series, ...]:
    """Return every series."""
    return tuple(_series.values())


def find_series(name: str) -> Series:
    """Return the series of this name. Raises `KeyError`: names are written in code."""
    return _series[name]
