"""What callers of the API and code may use, how much of it is left, and what happens at the end.

Whoever counts something contributes it with `register_limits`; the REST resource `/limits` and the console's page read
the same list.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

__all__ = [
    "UNLIMITED",
    "Limit",
    "LimitSource",
    "all_limits",
    "register_limits",
    "register_limits_temporarily",
    "told_to_clients",
]

UNLIMITED = 2**31 - 1
"""What is told of something without a limit: clients want a number, and this one fits into what each of them has."""

Unit: TypeAlias = Literal["", "bytes", "seconds", "days", "hours"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Something of which there is only so much."""

    group: str
    """Limits of one group stand together: "API", "Callouts"."""
    label: str
    maximum: float | None
    """`None`: there is no limit, or each has one of its own."""
    used: float | None
    """How much of it is used now; `None` where each transaction, request or event begins anew."""
    per: str
    """For which the limit is: "24 hours", "one transaction", "one event"."""
    setting: str
    """The name of the setting that holds it, or where else it is set."""
    when_reached: str
    """What happens then, as a sentence."""
    unit: Unit = ""
    names: tuple[str, ...] = ()
    """The names under which clients ask for it at `/limits`; most limits have none."""
    url: str = ""
    """Where it is set, when that is a page."""
    begins_anew_at: datetime | None = None
    """When all of it is there again; `None` where use fades or stays."""

    @property
    def left(self) -> float | None:
        """How much may still be used; `None` when that has no meaning."""
        if self.maximum is None or self.used is None:
            return None
        return max(0, self.maximum - self.used)

    @property
    def percent(self) -> float | None:
        """How much of it is used, in percent; `None` when that has no meaning."""
        if not self.maximum or self.used is None:
            return None
        return min(100.0, 100 * self.used / self.maximum)


LimitSource: TypeAlias = Callable[[], Iterable[Limit]]
"""Returns limits; it costs a constant number of queries."""

_sources: list[LimitSource] = []


def register_limits(source: LimitSource) -> None:
    """Tell what `source` returns, too; it is asked each time."""
    _sources.append(source)


@contextmanager
def register_limits_temporarily(source: LimitSource) -> Iterator[None]:
    """Tell what `source` returns while the block runs (for tests)."""
    register_limits(source)
    try:
        yield
    finally:
        _sources.remove(source)


def all_limits() -> list[Limit]:
    """Return every limit."""
    return [limit for source in _sources for limit in source()]


def told_to_clients() -> dict[str, tuple[int, int]]:
    """Return what there is to use and what of it is left, under the names that clients know."""
    found: dict[str, tuple[int, int]] = {}
    for limit in all_limits():
        left = limit.left
        told = (UNLIMITED, UNLIMITED) if limit.maximum is None or left is None else (int(limit.maximum), int(left))
        found.update(dict.fromkeys(limit.names, told))
    return found
