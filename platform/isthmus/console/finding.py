"""One box for every id: apps say what they know things by, and where such a thing is shown.

A finder gets what a person typed, says which things have that id or name, and looks at indexes only. What the person
may not see is not found.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.urls import reverse

from isthmus import correlation
from isthmus.access.policy import AnyUser
from isthmus.console import timeline

__all__ = [
    "LONGEST",
    "MOST_FOUND",
    "Finder",
    "Found",
    "Match",
    "find",
    "register_finder",
    "register_finder_temporarily",
    "time_line_or",
]

LONGEST = 255
"""Characters: no id, key or name is longer."""
MOST_FOUND = 20
"""The most things that one finder names; its list says that there are more."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A thing that goes by what was typed."""

    kind: str
    """What it is, in the user's words: "Background operation"."""
    icon: str
    title: str
    url: str
    detail: str = ""


Finds = Callable[[AnyUser, str], Iterable[Match]]
"""Given who asks and what was typed, the things of that id that they may see."""


@dataclass(frozen=True)
class Finder:
    """What an app looks at."""

    looks_at: str
    """In words, for whoever searched in vain: "Background operations by id"."""
    finds: Finds


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search came to."""

    matches: tuple[Match, ...]
    looked_at: tuple[str, ...]
    is_cut: bool
    """Whether more things than are listed go by what was typed."""


_finders: list[Finder] = []


def register_finder(looks_at: str, finds: Finds) -> None:
    """Add a finder. It must cost a constant number of queries and look at indexes only."""
    _finders.append(Finder(looks_at, finds))


@contextmanager
def register_finder_temporarily(looks_at: str, finds: Finds) -> Iterator[None]:
    """Add a finder while the block runs (for tests)."""
    finder = Finder(looks_at, finds)
    _finders.append(finder)
    try:
        yield
    finally:
        _finders.remove(finder)


def find(user: AnyUser, text: str) -> Found:
    """Return the things that go by `text`, each once, as far as the user may see them."""
    by_address: dict[str, Match] = {}
    is_cut = False
    for finder in _finders:
        matches = list(finder.finds(user, text))
        is_cut |= len(matches) > MOST_FOUND
        for match in matches[:MOST_FOUND]:
            by_address.setdefault(match.url, match)
    if (line := _time_line(text)) is not None:
        by_address.setdefault(line.url, line)
    looked_at = ("Correlation ids of everything that happened", *(finder.looks_at for finder in _finders))
    return Found(matches=tuple(by_address.values()), looked_at=looked_at, is_cut=is_cut)


def time_line_or(page: str, *, reference: str, correlation_id: str) -> str:
    """Return the address of the time line of a thing, that of its page where nothing else belongs to it."""
    is_a_reference = correlation.accept(reference) == reference
    return reverse("console:time-line", args=[reference]) if correlation_id and is_a_reference else page


def _time_line(text: str) -> Match | None:
    reference = timeline.canonical(text)
    if correlation.accept(reference) != reference or not timeline.knows(reference):
        return None
    return Match(
        kind="Time line",
        icon="timeline",
        title=reference,
        url=reverse("console:time-line", args=[reference]),
        detail="Everything that carries this id",
    )
