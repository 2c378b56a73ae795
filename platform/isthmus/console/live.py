"""Live pages: what changed, found by one look of the process and told to every open page.

An app registers a source: a name and a mark, which is another one whenever the source's rows have changed. While some
page shows the source, one thread of the process asks for its mark at most every `ISTHMUS_CONSOLE_REFRESH_SECONDS`. A
source that rings a channel of `isthmus.wakeups` with its commits is looked at when it was rung, and seldom otherwise.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from django.db import connections
from django.db.models import Model, QuerySet

from isthmus import clock, wakeups
from isthmus.console.conf import options
from isthmus.console.errors import LiveStreamsExhausted, UnknownLiveSource
from isthmus.logs import get_logger

__all__ = [
    "Board",
    "LiveSource",
    "Mark",
    "as_id",
    "board",
    "few",
    "from_id",
    "register_live",
    "register_live_temporarily",
]

log = get_logger(__name__)

_QUIET_SECONDS = 15.0
"""How often a source is looked at that rings: what is not heard costs time, never work."""
_SLICE_SECONDS = 0.5
"""How soon the thread notices that nobody watches any more."""
_PAUSE_SECONDS = 2.0
_MOST_ROWS = 1_000

M = TypeVar("M", bound=Model)

Mark = Callable[[], object]
"""Something whose `repr` differs once the rows differ. Costs a constant number of queries, each led by an index or by a
fixed number of rows."""


@dataclass(frozen=True, kw_only=True)
class LiveSource:
    """Something that pages show and that changes."""

    name: str
    """Letters, digits and hyphens."""
    mark: Mark
    channels: tuple[str, ...] = ()
    """Channels of `isthmus.wakeups` that ring with every change; without any it is looked at again and again."""


_sources: dict[str, LiveSource] = {}


def register_live(name: str, mark: Mark, *, channels: tuple[str, ...] = ()) -> None:
    """Add a source. Raises `ValueError` for a name that is taken or cannot be one."""
    if name in _sources:
        raise ValueError(f"A live source {name!r} is registered already.")
    if not name.replace("-", "").isalnum():
        raise ValueError(f"A live source is named with letters, digits and hyphens, not {name!r}.")
    _sources[name] = LiveSource(name=name, mark=mark, channels=channels)


@contextmanager
def register_live_temporarily(name: str, mark: Mark, *, channels: tuple[str, ...] = ()) -> Iterator[None]:
    """Add a source while the block runs (for tests)."""
    register_live(name, mark, channels=channels)
    try:
        yield
    finally:
        del _sources[name]


def newest(rows: QuerySet[M], field: str) -> object:
    """Return the greatest value of a field that an index leads to; `None` without any. One query, for marks."""
    found = rows.filter(**{f"{field}__isnull": False}).order_by(f"-{field}")
    return found.values_list(field, flat=True).first()


def few(rows: QuerySet[M]) -> QuerySet[M]:
    """Return the newest rows of what may be many, to be counted and summed in a mark."""
    return rows.order_by("-pk")[:_MOST_ROWS]


def known_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return these names once each, or every name when none is given. Raises `UnknownLiveSource`."""
    wanted = tuple(dict.fromkeys(filter(None, names))) or tuple(sorted(_sources))
    for name in wanted:
        if name not in _sources:
            raise UnknownLiveSource(f"Nothing named {name!r} tells of its changes.")
    return wanted


@dataclass(frozen=True)
class _Watcher:
    names: frozenset[str]
    wake: Callable[[], None]


class Board:
    """The marks of what is watched, and who is to be woken when one changes. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._look_lock = threading.Lock()
        self._watchers: dict[int, _Watcher] = {}
        self._number = 0
        self._marks: dict[str, str] = {}
        self._looked_at: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()
        self.is_ending = False
        """Whether the process ends, so that streams do, too."""

    @property
    def number_of_watchers(self) -> int:
        """How many streams are open."""
        return len(self._watchers)

    @property
    def is_looking(self) -> bool:
        """Whether the process's thread is at work."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @contextmanager
    def watching(self, names: Iterable[str], wake: Callable[[], None]) -> Iterator[None]:
        """Let `wake` be called, from another thread, when a mark of `names` has changed while the block runs.

        Raises `LiveStreamsExhausted`.
        """
        with self._lock:
            if len(self._watchers) >= options.live_streams:
                raise LiveStreamsExhausted
            self._number += 1
            number = self._number
            self._watchers[number] = _Watcher(frozenset(names), wake)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="console-live", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._watchers[number]

    def marks(self, names: Iterable[str]) -> dict[str, str]:
        """Return the marks of `names`, none older than the shortest time between two looks."""
        wanted = tuple(names)
        with self._look_lock:
            now = clock.monotonic_seconds()
            self._look([name for name in wanted if not self._is_fresh(name, now)])
            return {name: self._marks[name] for name in wanted}

    def known_marks(self, names: Iterable[str]) -> dict[str, str]:
        """Return the marks as they were seen last, without a look."""
        return {name: self._marks[name] for name in tuple(names) if name in self._marks}

    def look_at_what_is_due(self, heard: set[str]) -> set[str]:
        """Look at the watched sources whose time has come, wake who shows one that changed; return what was looked at.

        `heard` are the channels that were rung since.
        """
        with self._look_lock:
            now = clock.monotonic_seconds()
            due = [source.name for source in self._watched() if self._is_due(source, heard, now)]
            changed = self._look(due)
        if changed:
            self._wake(changed)
        return set(due)

    def wake_all(self) -> None:
        """Wake everybody."""
        with self._lock:
            woken = list(self._watchers.values())
        for watcher in woken:
            watcher.wake()

    def _is_fresh(self, name: str, now: float) -> bool:
        return name in self._marks and 0 <= now - self._looked_at[name] < options.refresh_seconds

    def _is_due(self, source: LiveSource, heard: set[str], now: float) -> bool:
        if source.name not in self._marks:
            return True
        age = now - self._looked_at[source.name]
        is_quiet = bool(source.channels) and not heard & set(source.channels)
        return age >= (max(_QUIET_SECONDS, options.refresh_seconds) if is_quiet else options.refresh_seconds)

    def _look(self, names: Iterable[str]) -> set[str]:
        """Ask for these marks; return the names of those that changed since the last look."""
        changed = set()
        for name in names:
            # Before the question: what changes while it is asked is found by the next look.
            self._looked_at[name] = clock.monotonic_seconds()
            mark = hashlib.blake2s(repr(_sources[name].mark()).encode(), digest_size=6).hexdigest()
            if self._marks.get(name, mark) != mark:
                changed.add(name)
            self._marks[name] = mark
        return changed

    def _watched(self) -> list[LiveSource]:
        with self._lock:
            names = {name for watcher in self._watchers.values() for name in watcher.names}
        return [source for name, source in _sources.items() if name in names]

    def _wake(self, changed: set[str]) -> None:
        with self._lock:
            woken = [watcher for watcher in self._watchers.values() if watcher.names & changed]
        for watcher in woken:
            watcher.wake()

    def _has_ended(self) -> bool:
        with self._lock:
            if self._watchers:
                return False
            self._thread = None
            # What is remembered grows old while nobody looks.
            self._marks.clear()
            return True

    def _run(self) -> None:
        ears = _Ears()
        heard: set[str] = set()
        try:
            while not self._has_ended():
                try:
                    heard |= ears.wait({channel for source in self._watched() for channel in source.channels})
                    looked_at = self.look_at_what_is_due(heard)
                    if looked_at:
                        connections.close_all()
                    heard -= {channel for name in looked_at for channel in _channels_of(name)}
                except Exception:
                    # The outermost edge of the thread: the database may be away, and pages wait for its return.
                    log.warning("console.live_look_failed", exc_info=True)
                    ears.close()
                    connections.close_all()
                    self._pause.wait(_PAUSE_SECONDS)
        finally:
            ears.close()
            connections.close_all()


def _channels_of(name: str) -> tuple[str, ...]:
    source = _sources.get(name)
    return source.channels if source else ()


class _Ears:
    """Hears the channels that are wanted just now."""

    def __init__(self) -> None:
        self._channels: set[str] = set()
        self._listener: wakeups.Listener | None = None
        self._nothing = threading.Event()

    def wait(self, channels: set[str]) -> set[str]:
        """Return what was rung, after a short time at the latest."""
        if channels != self._channels:
            self.close()
            if channels:
                self._listener = wakeups.listen(*sorted(channels))
            self._channels = channels
            # What was rung before somebody listened is not known.
            return set(channels)
        if self._listener is None:
            self._nothing.wait(_SLICE_SECONDS)
            return set()
        return self._listener.wait(_SLICE_SECONDS)

    def close(self) -> None:
        """Cease to listen."""
        listener, self._listener = self._listener, None
        self._channels = set()
        if listener is not None:
            listener.close()


board = Board()
"""The process's own."""


def as_id(marks: Mapping[str, str]) -> str:
    """Return marks as the `id:` of a message, which the browser brings back when it returns."""
    return ",".join(f"{name}:{mark}" for name, mark in sorted(marks.items()))


def from_id(text: str) -> dict[str, str]:
    """Return the marks that an id tells; none for one that somebody made up."""
    pairs = (part.partition(":") for part in text.split(","))
    return {name: mark for name, colon, mark in pairs if colon}
