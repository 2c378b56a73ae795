"""What callers of the API may use, and how much of it is left, under Salesforce's names.

Whoever counts something contributes it: `register_limits(lambda: {"DailyApiRequests": (1_000_000, 999_998)})`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["UNLIMITED", "LimitSource", "all_limits", "register_limits", "register_limits_temporarily"]

LimitSource: TypeAlias = Callable[[], Mapping[str, tuple[int, int]]]
"""Returns, by name, how much may be used and how much of that is left."""

UNLIMITED = 2**31 - 1
"""What is told of something without a limit: clients want a number, and this one fits into what each of them has."""

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


def all_limits() -> dict[str, tuple[int, int]]:
    """Return what there is to use and what of it is left, by name."""
    found: dict[str, tuple[int, int]] = {}
    for source in _sources:
        found.update(source())
    return found
