"""The correlation id: born at an entrance (request, job, event, callback), carried to everything that follows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from isthmus import ids

__all__ = ["HEADER", "accept", "bind", "current", "current_or_new"]

HEADER = "X-Request-Id"

# Long enough for every tracing system's id, short enough for a log line; no blanks, quotes or control characters.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_current: ContextVar[str] = ContextVar("isthmus_correlation_id", default="")


def current() -> str:
    """Return the correlation id of what is going on, or "" outside any entrance."""
    return _current.get()


def current_or_new() -> str:
    """Return the correlation id of what is going on; outside any entrance, a new one (which is not bound)."""
    return _current.get() or str(ids.new_uuid())


def accept(given: str | None) -> str:
    """Return `given` if a caller may name a correlation so, else a new id."""
    return given if given and _ACCEPTABLE.fullmatch(given) else str(ids.new_uuid())


@contextmanager
def bind(correlation_id: str = "") -> Iterator[str]:
    """Enter: everything in the block carries `correlation_id` ("" asks for a new one)."""
    bound = correlation_id or str(ids.new_uuid())
    token = _current.set(bound)
    try:
        yield bound
    finally:
        _current.reset(token)
