"""What a record held when it was loaded or last written, so that a save knows what changed without asking.

A write that is rolled back leaves the instance with values that the database does not have. The snapshot therefore
remembers in which transaction it was taken; when that was undone, the values from before it count again.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models, transaction

from isthmus.transaction_marks import TransactionMark

__all__ = ["UNKNOWN", "Snapshot", "current_scope", "snapshot_of", "take_snapshot"]

_ATTRIBUTE = "_isthmus_snapshot"
_SCOPES = "_isthmus_scopes"


Scope = TransactionMark[None]
"""One savepoint level of one transaction: still open, committed, or undone."""


def current_scope(using: str) -> Scope:
    """Return the scope that the open transaction is in."""
    connection = transaction.get_connection(using)
    scopes: dict[tuple[str, ...], Scope] = vars(connection).setdefault(_SCOPES, {})
    level = tuple(filter(None, connection.savepoint_ids))
    found = scopes.get(level)
    if found is None or not found.is_in_force():
        for known in [key for key, scope in scopes.items() if not scope.is_in_force()]:
            del scopes[known]
        found = scopes[level] = Scope(connection, None)
    return found


UNKNOWN = object()
"""Stands for a value that nobody has read yet."""


class Snapshot:
    """The known database values of one instance, by attribute name."""

    __slots__ = ("_overwritten", "_values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: _kept(value) for name, value in values.items()}
        # What each scope that may still be undone replaced, the oldest scope first.
        self._overwritten: list[tuple[Scope, dict[str, Any]]] = []

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process or a cache knows nothing of this connection's transactions.
        self._settle()
        uncertain = {name for _, replaced in self._overwritten for name in replaced}
        return {name: value for name, value in self._values.items() if name not in uncertain}

    def __setstate__(self, values: dict[str, Any]) -> None:
        self._values, self._overwritten = values, []

    def __deepcopy__(self, memo: dict[int, Any]) -> "Snapshot":
        twin = Snapshot(self._values)
        twin._overwritten = [(scope, dict(replaced)) for scope, replaced in self._overwritten]
        return twin

    def get(self, name: str, default: Any = None) -> Any:
        """Return the last known value."""
        self._settle()
        return self._values.get(name, default)

    def changed(self, instance: models.Model, names: Iterable[str]) -> set[str]:
        """Return which of `names` hold another value than the database, as far as is known."""
        self._settle()
        held = vars(instance)
        return {name for name in names if name in held and self._values.get(name, UNKNOWN) != held[name]}

    def learn(self, values: Mapping[str, Any]) -> None:
        """Note values that were read from the database."""
        self._settle()
        self._values.update({name: _kept(value) for name, value in values.items()})

    def wrote(self, values: Mapping[str, Any], scope: Scope) -> None:
        """Note values that were written in the transaction of `scope`; `UNKNOWN` for what the database computed."""
        self._settle()
        replaced = {
            name: self._values.get(name, UNKNOWN)
            for name, value in values.items()
            if self._values.get(name, UNKNOWN) != value
        }
        if self._overwritten and self._overwritten[-1][0] is scope:
            replaced = {**replaced, **self._overwritten.pop()[1]}
        self._overwritten.append((scope, replaced))
        for name, value in values.items():
            self._hold(name, value)

    def _hold(self, name: str, value: Any) -> None:
        if value is UNKNOWN:
            self._values.pop(name, None)
        else:
            self._values[name] = _kept(value)

    def _settle(self) -> None:
        """Take back what was undone, forget how to take back what is committed."""
        undecided = []
        for scope, replaced in reversed(self._overwritten):
            if scope.has_committed:
                continue
            if scope.is_in_force():
                undecided.append((scope, replaced))
                continue
            for name, value in replaced.items():
                self._hold(name, value)
        self._overwritten = undecided[::-1]


def snapshot_of(instance: models.Model) -> Snapshot | None:
    """Return what is known of the instance's row; `None` for one that was neither loaded nor saved."""
    return vars(instance).get(_ATTRIBUTE)


def take_snapshot(instance: models.Model, values: Mapping[str, Any]) -> Snapshot:
    """Note that the database has `values` for the instance, and nothing else is known."""
    snapshot = Snapshot(values)
    vars(instance)[_ATTRIBUTE] = snapshot
    return snapshot


def _kept(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, dict | list) else value
