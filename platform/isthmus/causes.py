"""What is going on, so that what is begun meanwhile can say where it came from.

A cause is a kind and the id of a thing, such as `operation:0198…` or `event:17`; several events that are handled
together are `event:17-29`. Time lines draw it as the line from one thing to the next; nothing else depends on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["MAX_LENGTH", "bind", "current"]

MAX_LENGTH = 80
"""Characters that a column for causes holds; a kind and a UUID, or two large numbers, need fewer."""

_current: ContextVar[str] = ContextVar("isthmus_cause", default="")


def current() -> str:
    """Return what is going on, "" where nothing said so."""
    return _current.get()


@contextmanager
def bind(cause: str) -> Iterator[None]:
    """Let everything that is begun in the block come from `cause`; "" says that nothing is known."""
    token = _current.set(cause)
    try:
        yield
    finally:
        _current.reset(token)
