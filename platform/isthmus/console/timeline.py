"""The time line: everything that carries one correlation id, whichever app it happened in.

An app registers a source: how to read what happened under given correlation ids, which correlation ids belong to a
thing that a person may name (a job, a record, an invocation), and what happened last.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from isthmus.console.tones import Status

__all__ = [
    "ENTRIES_SHOWN",
    "Entry",
    "Finds",
    "Reads",
    "Recent",
    "TimeLine",
    "latest",
    "register_source",
    "register_source_temporarily",
    "trace",
]

ENTRIES_SHOWN = 500
"""The most entries one source gives to a time line; more are counted as left out."""
CORRELATIONS_FOLLOWED = 20
"""The most correlation ids that one reference (a record id, say) is followed to: the latest ones."""


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


Reads = Callable[[Sequence[str], int], Iterable[Entry]]
"""Given correlation ids and a limit, the entries that carry one of them: at most `limit`, the earliest first."""
Finds = Callable[[str], Iterable[str]]
"""Given what a person typed, the correlation ids of the things of that id; the latest first."""
Recent = Callable[[int], Iterable[Entry]]
"""Given a limit, the latest entries."""


@dataclass(frozen=True)
class _Source:
    reads: Reads
    finds: Finds | None
    recent: Recent | None


_sources: list[_Source] = []


def register_source(reads: Reads, *, finds: Finds | None = None, recent: Recent | None = None) -> None:
    """Add a source. Each of its functions must cost a constant number of queries."""
    _sources.append(_Source(reads, finds, recent))


@contextmanager
def register_source_temporarily(
    reads: Reads, *, finds: Finds | None = None, recent: Recent | None = None
) -> Iterator[None]:
    """Add a source while the block runs (for tests)."""
    source = _Source(reads, finds, recent)
    _sources.append(source)
    try:
        yield
    finally:
        _sources.remove(source)


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
    found = (correlation_id for source in _sources if source.finds for correlation_id in source.finds(reference))
    followed = tuple(dict.fromkeys(filter(None, found)))[:CORRELATIONS_FOLLOWED]
    asked = tuple(dict.fromkeys((*followed, reference)))
    batches = [list(source.reads(asked, ENTRIES_SHOWN)) for source in _sources]
    entries = sorted((entry for batch in batches for entry in batch), key=lambda entry: entry.at)
    return TimeLine(
        reference=reference,
        correlation_ids=followed or (reference,),
        entries=tuple(entries),
        is_cut=any(len(batch) >= ENTRIES_SHOWN for batch in batches),
    )


def latest(limit: int) -> list[Entry]:
    """Return the latest entries of every source, the newest first."""
    entries = [entry for source in _sources if source.recent for entry in source.recent(limit)]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:limit]
