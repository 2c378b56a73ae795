"""Knows whether this thread has an open transaction that holds writes: such a one must not wait for an outsider.

A connection's execute-wrapper sees every statement; one that is not a mere read, inside an atomic block, makes the
block's transaction one with work in it, until the outermost block ends (by commit or rollback). A rolled back
savepoint does not count as undone: nobody can be sure of what the code around it still holds.

Blocks that a test case opens around a test are not counted, so that a callout behaves in a test as in production.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic

from callouts.errors import UncommittedWorkPending

__all__ = ["bookkeeping", "is_pending", "refuse_if_pending", "watch"]

_READS = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:select|values|table|explain|pragma|show|set|reset|begin|start|commit|end|rollback|savepoint|release|fetch|declare|"
    r"close|listen|unlisten|discard|analyze|(?P<with>with))\b",
    re.IGNORECASE | re.DOTALL,
)
_WRITES_BEHIND_WITH = re.compile(r"\b(?:insert|update|delete|merge)\b", re.IGNORECASE)


class _Bookkeeping(threading.local):
    """How deep this thread is in blocks of bookkeeping; its connections are its own."""

    depth = 0


_bookkeeping = _Bookkeeping()

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]


def is_write(sql: str) -> bool:
    """Return whether a statement may change something; what is not known as a read counts as a write."""
    found = _READS.match(sql)
    if found is None:
        return True
    return bool(found["with"] and _WRITES_BEHIND_WITH.search(sql, found.end()))


class _Blocks(list[Atomic]):
    """The open atomic blocks of a connection, in the list where Django keeps them; it tells when the last one ends."""

    def __init__(self, watcher: "_Watcher") -> None:
        super().__init__()
        self._watcher = watcher

    def pop(self, index: Any = -1) -> Atomic:
        block = super().pop(index)
        if not self.are_open():
            self._watcher.has_writes = False
        return block

    def are_open(self) -> bool:
        """Return whether code (not a test case around it) has an atomic block open."""
        return any(not getattr(block, "_from_testcase", False) for block in self)


class _Watcher:
    """Watches one connection."""

    def __init__(self) -> None:
        self.has_writes = False
        self._blocks = _Blocks(self)

    def attach(self, connection: BaseDatabaseWrapper) -> None:
        """Begin anew: the connection to the database was just (re)made, so no transaction is open."""
        self.has_writes = False
        self._blocks = _Blocks(self)
        connection.atomic_blocks = self._blocks
        if self not in connection.execute_wrappers:
            connection.execute_wrappers.append(self)

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        answer = execute(sql, params, many, context)
        if not self.has_writes and self._blocks and not _bookkeeping.depth and self._blocks.are_open():
            self.has_writes = is_write(sql if isinstance(sql, str) else str(sql))
        return answer


def watch(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Watch a connection from now on. The receiver of Django's `connection_created` signal."""
    watcher = watcher_of(connection) or _Watcher()
    watcher.attach(connection)


def is_pending() -> bool:
    """Return whether a connection of this thread has an open transaction with writes in it."""
    for connection in connections.all(initialized_only=True):
        watcher = watcher_of(connection)
        if watcher is not None and watcher.has_writes:
            return True
        # Transactions managed by hand (autocommit off) end unseen, so that nothing is known but that one is open.
        is_by_hand = connection.connection is not None and not connection.in_atomic_block
        if watcher is not None and is_by_hand and not connection.get_autocommit():
            return True
    return False


def refuse_if_pending() -> None:
    """Raise `UncommittedWorkPending` when a callout would hold up an open transaction that has writes in it."""
    if is_pending():
        raise UncommittedWorkPending


@contextmanager
def bookkeeping() -> Iterator[None]:
    """Statements of the block are the platform's own records of a callout and do not count as work."""
    _bookkeeping.depth += 1
    try:
        yield
    finally:
        _bookkeeping.depth -= 1


def watcher_of(connection: BaseDatabaseWrapper) -> _Watcher | None:
    """Return what watches this connection; `None` until it was first opened."""
    return next((wrapper for wrapper in connection.execute_wrappers if isinstance(wrapper, _Watcher)), None)
