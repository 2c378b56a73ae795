"""The time line: everything that carries one correlation id, whichever app it happened in.

An app registers a source: how to read what happened under given correlation ids, which correlation ids belong to a
thing that a person may name (a job, a record, an invocation), what happened last, and what the pages of its entries
tell in full.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from isthmus.console.tones import Status

__all__ = [
    "ENTRIES_SHOWN",
    "Details",
    "Entry",
    "Finds",
    "Lane",
    "Reads",
    "Recent",
    "TimeLine",
    "canonical",
    "details_of",
    "knows",
    "latest",
    "register_source",
    "register_source_temporarily",
    "register_spelling",
    "trace",
]

ENTRIES_SHOWN = 500
"""The most entries one source gives to a time line; more are counted as left out."""
CORRELATIONS_FOLLOWED = 20
"""The most correlation ids that one reference (a record id, say) is followed to: the latest ones."""


class Lane(Enum):
    """The row of the picture in which an entry stands, from what comes in to what comes back."""

    CALLS = "Calls from outside"
    CHANGES = "Changes"
    EVENTS = "Events"
    OPERATIONS = "Operations"
    CALLOUTS = "Callouts"
    CALLBACKS = "Callbacks"
    OTHER = "Other"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: datetime
    kind: str
    """What it is, in the user's words: "Job", "Callout", "Callback", "Event"."""
    icon: str
    title: str
    status: Status
    url: str
    """Where its details are; "" when it has no page of its own."""
    detail: str = ""
    correlation_id: str = ""
    id: str = ""
    """A kind and an id that no other thing has, such as `operation:0198…`; "" for what nothing comes from."""
    ended_at: datetime | None = None
    """When it was over; `None` for what takes no time, or still goes on."""
    lane: Lane = Lane.OTHER
    causes: tuple[str, ...] = ()
    """Ids of the entries that it came from, as far as that is known. `event:17-29` means any of these numbers."""


Reads = Callable[[Sequence[str], int], Iterable[Entry]]
"""Given correlation ids and a limit, the entries that carry one of them: at most `limit`, the earliest first."""
Finds = Callable[[str], Iterable[str]]
"""Given what a person typed, the correlation ids of the things of that id; the latest first."""
Recent = Callable[[int], Iterable[Entry]]
"""Given a limit, the latest entries."""
Details = Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]
"""Given ids of entries, its own or not, what the pages of its own tell, by id; values that JSON can hold. It masks what
the pages mask."""
Spelling = Callable[[str], str]
"""Given what a person typed, the form in which rows know it; the same text when it is none of its own."""


@dataclass(frozen=True)
class _Source:
    reads: Reads
    finds: Finds | None
    recent: Recent | None
    details: Details | None


_sources: list[_Source] = []
_spellings: list[Spelling] = []


def register_source(
    reads: Reads, *, finds: Finds | None = None, recent: Recent | None = None, details: Details | None = None
) -> None:
    """Add a source. Each of its functions must cost a constant number of queries."""
    _sources.append(_Source(reads, finds, recent, details))


@contextmanager
def register_source_temporarily(
    reads: Reads, *, finds: Finds | None = None, recent: Recent | None = None, details: Details | None = None
) -> Iterator[None]:
    """Add a source while the block runs (for tests)."""
    source = _Source(reads, finds, recent, details)
    _sources.append(source)
    try:
        yield
    finally:
        _sources.remove(source)


def register_spelling(spelling: Spelling) -> None:
    """Let ids that are written in several ways be known in one: record ids of 15 and of 18 characters."""
    _spellings.append(spelling)


def canonical(reference: str) -> str:
    """Return what a person typed in the form in which rows know it."""
    for spelling in _spellings:
        reference = spelling(reference)
    return reference


@dataclass(frozen=True, kw_only=True)
class TimeLine:
    """What is known about one reference."""

    reference: str
    correlation_ids: tuple[str, ...]
    """The correlation ids that were followed; the reference itself where nothing else was found."""
    entries: tuple[Entry, ...]
    """The earliest first."""
    is_cut: bool
    """Whether a source had more than could be shown."""

    @property
    def starts_at(self) -> datetime | None:
        """When it began; `None` while nothing is known."""
        return self.entries[0].at if self.entries else None


def trace(reference: str) -> TimeLine:
    """Gather what happened under a correlation id, or around the job, record or invocation of that id."""
    known_as = canonical(reference)
    found = (correlation_id for source in _sources if source.finds for correlation_id in source.finds(known_as))
    followed = tuple(dict.fromkeys(filter(None, found)))[:CORRELATIONS_FOLLOWED]
    asked = tuple(dict.fromkeys((*followed, reference, known_as)))
    batches = [list(source.reads(asked, ENTRIES_SHOWN)) for source in _sources]
    entries = sorted((entry for batch in batches for entry in batch), key=lambda entry: entry.at)
    return TimeLine(
        reference=reference,
        correlation_ids=followed or (reference,),
        entries=tuple(entries),
        is_cut=any(len(batch) >= ENTRIES_SHOWN for batch in batches),
    )


def knows(reference: str) -> bool:
    """Return whether the time line of this id would show anything."""
    known_as = canonical(reference)
    if any(True for source in _sources if source.finds for _ in source.finds(known_as)):
        return True
    asked = tuple(dict.fromkeys((reference, known_as)))
    return any(True for source in _sources for _ in source.reads(asked, 1))


def details_of(entries: Sequence[Entry]) -> dict[str, Mapping[str, Any]]:
    """Return what the pages of these entries tell, by the entries' ids."""
    wanted = [entry.id for entry in entries if entry.id]
    found: dict[str, Mapping[str, Any]] = {}
    for source in _sources:
        if source.details is not None:
            found.update(source.details(wanted))
    return found


def latest(limit: int) -> list[Entry]:
    """Return the latest entries of every source, the newest first."""
    entries = [entry for source in _sources if source.recent for entry in source.recent(limit)]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:limit]
