"""Who is told of changes. Sinks are called inside the transaction of the change, once a statement, not once a record.

What a sink writes therefore commits with the change or not at all; what it raises undoes the change.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from isthmus.objects.capture.changes import Change

__all__ = ["Sink", "hand_over", "register_sink", "register_sink_temporarily"]

Sink = Callable[[Sequence[Change]], None]

_sinks: list[Sink] = []


def register_sink(sink: Sink) -> None:
    """Let `sink` be told of every change. Raises `ValueError` when it is already."""
    if sink in _sinks:
        raise ValueError("This sink is registered already.")
    _sinks.append(sink)


@contextmanager
def register_sink_temporarily(sink: Sink) -> Iterator[None]:
    """Let `sink` be told while the block runs (for tests)."""
    register_sink(sink)
    try:
        yield
    finally:
        _sinks.remove(sink)


def hand_over(changes: Sequence[Change]) -> None:
    """Tell every sink of `changes`, if there are any."""
    if not changes:
        return
    for sink in tuple(_sinks):
        sink(changes)
